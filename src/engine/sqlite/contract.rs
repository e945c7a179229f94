//! What a target must offer, and the ledger: read from the copy's schema.

use rusqlite::Connection;
use serde_json::{Map, Value, json};

use super::copy::{Copied, text};
use crate::model::manifest::Contract;
use crate::model::names::FileName;

/// The table that holds the ledger of migrations.
const LEDGER: &str = "schema_migrations";

/// A feature, the SQLite version that brought it, and a query that is true where it is used.
/// Versions from <https://sqlite.org/changes.html>.
const FEATURES: [([u32; 3], &str); 6] = [
    ([3, 37, 0], "SELECT EXISTS (SELECT 1 FROM pragma_table_list WHERE schema = 'main' AND strict)"),
    (
        [3, 31, 0],
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema AS s, pragma_table_xinfo(s.name, 'main') AS c \
         WHERE s.type = 'table' AND s.rootpage > 0 AND c.hidden IN (2, 3))",
    ),
    (
        [3, 9, 0],
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema AS s, pragma_index_info(s.name, 'main') AS c \
         WHERE s.type = 'index' AND c.cid = -2)",
    ),
    ([3, 8, 2], "SELECT EXISTS (SELECT 1 FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND wr)"),
    (
        [3, 8, 0],
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema AS s, pragma_index_list(s.name, 'main') AS i \
         WHERE s.type = 'table' AND i.partial)",
    ),
    ([3, 7, 0], "SELECT (SELECT journal_mode FROM pragma_journal_mode) = 'wal'"),
];

/// The contract of the copy behind `connection`, which is stored as `file`.
pub(super) fn contract(connection: &Connection, copied: &Copied, file: &FileName) -> rusqlite::Result<Contract> {
    let number = |pragma: &str| connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0));
    let mut details = Map::new();
    details.insert("file".to_owned(), json!(file.as_str()));
    details.insert("journal_mode".to_owned(), json!(copied.journal_mode));
    for pragma in ["page_size", "user_version", "application_id", "auto_vacuum"] {
        details.insert(pragma.to_owned(), json!(number(pragma)?));
    }
    Ok(Contract {
        minimum_version: minimum_version(connection, &copied.journal_mode),
        encoding: text(connection, "PRAGMA encoding")?,
        plain_bytes: copied.bytes,
        extensions: modules(connection)?,
        details,
    })
}

/// The newest feature decides. A query that this schema can't answer counts as unused: the version is advice, and
/// the comparison after a restore is the proof.
fn minimum_version(connection: &Connection, journal_mode: &str) -> String {
    let used = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, bool>(0)).unwrap_or(false);
    let needed = |([_, minor, _], sql): &([u32; 3], &str)| (*minor == 7 && journal_mode == "wal") || used(sql);
    match FEATURES.iter().find(|feature| needed(feature)) {
        Some(([major, minor, patch], _)) => format!("{major}.{minor}.{patch}"),
        None => "3".to_owned(),
    }
}

/// Modules of the virtual tables, each once, sorted.
fn modules(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND rootpage = 0 AND sql LIKE 'create virtual%'";
    let mut statement = connection.prepare(sql)?;
    let statements = statement.query_map([], |row| row.get::<_, String>(0))?;
    let statements = statements.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut modules: Vec<_> = statements.iter().filter_map(|sql| module(sql)).collect();
    modules.sort();
    modules.dedup();
    Ok(modules)
}

/// The module that `CREATE VIRTUAL TABLE … USING module(…)` names; SQLite stores the statement with exactly these
/// words before the table's name (sqlite3VtabFinishParse).
fn module(sql: &str) -> Option<String> {
    let (_, rest) = word(sql)?;
    let (_, rest) = word(rest)?;
    let (_, rest) = word(rest)?;
    let (_, rest) = word(rest)?;
    let (using, rest) = word(rest)?;
    let (module, _) = word(rest)?;
    using.eq_ignore_ascii_case("using").then(|| module.to_ascii_lowercase())
}

/// The next bare or quoted word, and what comes after it.
fn word(sql: &str) -> Option<(&str, &str)> {
    let sql = skip_space(sql);
    let first = sql.chars().next()?;
    let close = match first {
        '"' | '\'' | '`' => first,
        '[' => ']',
        _ => {
            let end = sql.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(sql.len());
            return (end > 0).then(|| sql.split_at(end));
        }
    };
    let mut end = 1 + sql[1..].find(close)? + 1;
    // A doubled quote stands for itself, inside.
    while close != ']' && sql[end..].starts_with(close) {
        end += 1;
        end += sql[end..].find(close)? + 1;
    }
    Some((&sql[1..end - 1], &sql[end..]))
}

fn skip_space(mut sql: &str) -> &str {
    loop {
        let trimmed = sql.trim_start();
        let after = if let Some(comment) = trimmed.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, rest)| rest)
        } else if let Some(comment) = trimmed.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, rest)| rest)
        } else {
            return trimmed;
        };
        sql = after;
    }
}

/// Name, rows and newest version of the ledger; `None` where the database has none.
pub(super) fn ledger(connection: &Connection) -> rusqlite::Result<Option<Value>> {
    let exists = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 AND name = ?1)";
    if !connection.query_row(exists, [LEDGER], |row| row.get::<_, bool>(0))? {
        return Ok(None);
    }
    let rows: i64 = connection.query_row(&format!("SELECT count(*) FROM {LEDGER}"), [], |row| row.get(0))?;
    let has = |column: &str| {
        let sql = "SELECT EXISTS (SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2)";
        connection.query_row(sql, [LEDGER, column], |row| row.get::<_, bool>(0))
    };
    let head = match (has("version")?, has("applied_at")?) {
        (true, true) => head(connection, "applied_at DESC, version DESC")?,
        (true, false) => head(connection, "version DESC")?,
        (false, _) => None,
    };
    Ok(Some(json!({ "table": LEDGER, "rows": rows, "head": head })))
}

fn head(connection: &Connection, order: &str) -> rusqlite::Result<Option<String>> {
    let sql = format!("SELECT CAST(version AS TEXT) FROM {LEDGER} ORDER BY {order} LIMIT 1");
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    rows.next()?.map_or(Ok(None), |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_found_behind_any_name() {
        for (sql, expected) in [
            ("CREATE VIRTUAL TABLE notes USING fts5(title, body)", Some("fts5")),
            ("CREATE VIRTUAL TABLE \"a \"\"using\"\" b\" USING FTS5(x)", Some("fts5")),
            ("CREATE VIRTUAL TABLE [x y] using/* c */rtree(id, a, b)", Some("rtree")),
            ("CREATE VIRTUAL TABLE 'q' -- c\n USING \"my mod\"", Some("my mod")),
            ("CREATE VIRTUAL TABLE t", None),
            ("CREATE VIRTUAL TABLE \"t", None),
        ] {
            assert_eq!(module(sql).as_deref(), expected, "{sql}");
        }
    }
}
