//! The tables that a fingerprint covers, and how their rows are read.

use rusqlite::Connection;

use crate::model::names::{TableName, quoted};

/// Names by which SQLite gives out a row's number, unless a column has taken them.
const ROWID_NAMES: [&str; 3] = ["rowid", "_rowid_", "oid"];

/// A table with rows of its own.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// Its name.
    pub name: TableName,
    /// The columns that are stored, in their order; generated ones follow from them.
    pub columns: Vec<String>,
    /// The name of its row numbers; absent for WITHOUT ROWID tables and where columns have taken all names.
    pub rowid: Option<&'static str>,
}

/// Every table with rows of its own, sorted by name: shadow tables, statistics and sequences too. Virtual tables
/// have none: their content is in their shadow tables.
pub(super) fn list(connection: &Connection) -> rusqlite::Result<Vec<Table>> {
    let sql = "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND rootpage > 0";
    let mut statement = connection.prepare(sql)?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    let tables = names.iter().map(|name| table(connection, name));
    let mut tables = tables.collect::<rusqlite::Result<Vec<_>>>()?;
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tables)
}

fn table(connection: &Connection, name: &str) -> rusqlite::Result<Table> {
    let mut statement = connection.prepare_cached("SELECT name, hidden FROM pragma_table_xinfo(?1, 'main')")?;
    let columns = statement.query_map([name], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
    let columns = columns.collect::<rusqlite::Result<Vec<_>>>()?;
    let taken = |name: &str| columns.iter().any(|(column, _)| column.eq_ignore_ascii_case(name));
    let rowid = ROWID_NAMES.into_iter().find(|name| !taken(name));
    let stored = columns.iter().filter(|(_, hidden)| *hidden == 0).map(|(column, _)| column.clone()).collect();
    let mut table = Table { name: TableName::new("main", name), columns: stored, rowid };
    // WITHOUT ROWID tables refuse the name; so does a result of one column too many.
    if table.rowid.is_some() && connection.prepare(&table.sql()).is_err() {
        table.rowid = None;
    }
    Ok(table)
}

impl Table {
    /// Reads its rows: those with numbers from ?1 to ?2 in their order, the number first; or all there are.
    /// `NOT INDEXED`, since an index that holds all columns would be read instead of the table.
    pub(super) fn sql(&self) -> String {
        let columns: Vec<_> = self.columns.iter().map(|column| format!("t.{}", quoted(column))).collect();
        let (columns, name) = (columns.join(", "), self.name.quoted());
        match self.rowid {
            Some(rowid) => format!(
                "SELECT t.{rowid}, {columns} FROM {name} AS t NOT INDEXED \
                 WHERE t.{rowid} BETWEEN ?1 AND ?2 ORDER BY t.{rowid}"
            ),
            None => format!("SELECT {columns} FROM {name} AS t NOT INDEXED"),
        }
    }

    /// The smallest and the largest row number; `None` for an empty table.
    pub(super) fn bounds(&self, connection: &Connection, rowid: &str) -> rusqlite::Result<Option<(i64, i64)>> {
        let name = self.name.quoted();
        let sql = format!("SELECT (SELECT min({rowid}) FROM {name}), (SELECT max({rowid}) FROM {name})");
        let (first, last): (Option<i64>, Option<i64>) =
            connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(first.zip(last))
    }
}
