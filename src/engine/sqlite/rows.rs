//! Fingerprints of all tables, by several workers that share the work as they go.
//!
//! A worker that has nothing left takes half of what another has still before it, so that neither gaps in the row
//! numbers nor rows of unequal size leave one of them with the work of all.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, Row};
use twox_hash::XxHash3_128;

use super::board::{Board, Span};
use super::check::{DAMAGE_MAX, is_sql_error};
use super::connect::{self, failure, is_damage};
use super::halt::Halt;
use super::tables::{self, Table};
use crate::codec::row_hash;
use crate::engine::{EngineError, IfDamaged};
use crate::model::event::Phase;
use crate::model::fingerprint::Fingerprint;
use crate::model::manifest::TableRecord;
use crate::model::watch::Watch;

/// Bytes of a value from which on rows are read by one worker at a time, so that memory is bound by the largest row
/// and not by one for each worker.
const LARGE_VALUE_BYTES: i32 = 4 << 20;

/// Rows, or bytes of rows, between two reports; then work is shared, too.
const REPORT_ROWS: u64 = 2048;
const REPORT_BYTES: usize = 1 << 20;

/// What was found in all tables.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Every table that could be read, sorted by name.
    pub tables: Vec<TableRecord>,
    /// What kept others from being read.
    pub damage: Vec<String>,
}

/// A worker's surroundings.
struct Scan<'a> {
    path: &'a Path,
    tables: &'a [Table],
    board: &'a Board,
    /// Held by the worker that reads a large row.
    large: &'a Mutex<()>,
    halt: &'a Halt,
    phase: Phase,
    watch: &'a Watch,
}

/// Fingerprints every table of the file at `path`, which nobody changes, with `jobs` workers.
pub(super) fn fingerprints(
    path: &Path,
    jobs: usize,
    damaged: IfDamaged,
    phase: Phase,
    halt: &Halt,
    watch: &Watch,
) -> Result<Found, EngineError> {
    watch.began(phase, None);
    let connection = connect::still(path)?;
    let tables = match tables::list(&connection) {
        Err(error) if is_damage(&error) && damaged == IfDamaged::Keep => {
            return Ok(Found { tables: Vec::new(), damage: vec![error.to_string()] });
        }
        other => other.map_err(|error| failure("read", path, error))?,
    };
    drop(connection);
    let board = Board::new(tables.len());
    let scan = Scan { path, tables: &tables, board: &board, large: &Mutex::new(()), halt, phase, watch };
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| scan.work(damaged));
        }
    });
    halt.check()?;
    watch.ended(phase);
    collect(tables, board)
}

fn collect(tables: Vec<Table>, board: Board) -> Result<Found, EngineError> {
    let outcome = board.outcome()?;
    let mut found = Found { tables: Vec::new(), damage: outcome.broken.values().take(DAMAGE_MAX).cloned().collect() };
    for (index, (table, fingerprint)) in tables.into_iter().zip(outcome.sums).enumerate() {
        if !outcome.broken.contains_key(&index) {
            let Table { name, columns, rowid: _ } = table;
            found.tables.push(TableRecord { table: name, columns, fingerprint, plain_bytes: None, file: None });
        }
    }
    Ok(found)
}

impl Scan<'_> {
    fn work(&self, damaged: IfDamaged) {
        let connection = match self.connect() {
            Ok(connection) => connection,
            Err(error) => return self.board.fail(error),
        };
        while let Some(mut span) = self.board.take(self.halt) {
            let table = span.table;
            match self.span(&connection, &mut span) {
                Ok(sum) => self.board.add(table, sum),
                Err(error) if is_damage(&error) && damaged == IfDamaged::Keep => {
                    self.board.broken(table, format!("table {} can't be read: {error}", self.tables[table].name));
                }
                Err(error) => self.board.fail(self.failure(table, error)),
            }
        }
    }

    fn connect(&self) -> Result<Connection, EngineError> {
        let mut connection = connect::still(self.path)?;
        let halt = self.halt.clone();
        connect::heed(&mut connection, move || halt.is_set())
            .and_then(|()| connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, LARGE_VALUE_BYTES))
            .map_err(|error| failure("read", self.path, error))?;
        Ok(connection)
    }

    fn failure(&self, table: usize, error: rusqlite::Error) -> EngineError {
        if !is_sql_error(&error) {
            return failure("read", self.path, error);
        }
        EngineError::Refused {
            deed: "read",
            subject: format!("table {} of {}", self.tables[table].name, self.path.display()),
            why: error.to_string(),
            hint: Some("it needs something that only its application adds to SQLite".to_owned()),
        }
    }

    /// Adds up the rows of a span; values that are too large make it go on row by row, or begin again.
    fn span(&self, connection: &Connection, span: &mut Span) -> rusqlite::Result<Fingerprint> {
        let table = &self.tables[span.table];
        let Some(rowid) = table.rowid else { return self.whole(connection, table) };
        if span.is_whole {
            let Some((first, last)) = table.bounds(connection, rowid)? else { return Ok(Fingerprint::default()) };
            (span.first, span.last, span.is_whole) = (first, last, false);
        }
        let mut sum = Fingerprint::default();
        loop {
            match self.run(connection, table, span, &mut sum) {
                Err(error) if is_too_big(&error) => self.one_large(connection, table, span, &mut sum)?,
                other => return other.map(|()| sum),
            }
            if span.is_empty() {
                return Ok(sum);
            }
        }
    }

    /// Reads on from the span's first row, which moves along; gives away half when somebody is idle.
    fn run(
        &self,
        connection: &Connection,
        table: &Table,
        span: &mut Span,
        sum: &mut Fingerprint,
    ) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(&table.sql())?;
        let mut rows = statement.query([span.first, span.last])?;
        let (mut canonical, mut progress) = (Vec::new(), Progress::default());
        while let Some(row) = rows.next()? {
            let number = row.get(0)?;
            if number > span.last {
                break;
            }
            add_row(row, 1, table, &mut canonical, sum)?;
            span.pass(number);
            if progress.is_due(canonical.len()) {
                self.report(&mut progress)?;
                self.board.share(span);
            }
        }
        span.finish();
        self.report(&mut progress)
    }

    /// Reads the span's next row, which holds a large value, alone.
    fn one_large(
        &self,
        connection: &Connection,
        table: &Table,
        span: &mut Span,
        sum: &mut Fingerprint,
    ) -> rusqlite::Result<()> {
        self.unlimited(connection, || {
            let mut statement = connection.prepare(&format!("{} LIMIT 1", table.sql()))?;
            let mut rows = statement.query([span.first, span.last])?;
            let Some(row) = rows.next()? else {
                span.finish();
                return Ok(());
            };
            sum.add_row(hash_of_large(row, 1, table)?);
            span.pass(row.get(0)?);
            self.board.share(span);
            self.report(&mut Progress { rows: 1, bytes: 0 })
        })
    }

    /// Adds up a table that can't be split.
    fn whole(&self, connection: &Connection, table: &Table) -> rusqlite::Result<Fingerprint> {
        match self.all_rows(connection, table, false) {
            Err(error) if is_too_big(&error) => self.unlimited(connection, || self.all_rows(connection, table, true)),
            other => other,
        }
    }

    fn all_rows(&self, connection: &Connection, table: &Table, large: bool) -> rusqlite::Result<Fingerprint> {
        let mut statement = connection.prepare(&table.sql())?;
        let mut rows = statement.query([])?;
        let mut sum = Fingerprint::default();
        let (mut canonical, mut progress) = (Vec::new(), Progress::default());
        while let Some(row) = rows.next()? {
            if large {
                sum.add_row(hash_of_large(row, 0, table)?);
            } else {
                add_row(row, 0, table, &mut canonical, &mut sum)?;
            }
            if progress.is_due(canonical.len()) {
                self.report(&mut progress)?;
            }
        }
        self.report(&mut progress)?;
        Ok(sum)
    }

    /// Runs `deed` without the bound on values, while no other worker does.
    fn unlimited<T>(&self, connection: &Connection, deed: impl FnOnce() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let _alone = self.large.lock().unwrap_or_else(PoisonError::into_inner);
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, i32::MAX)?;
        let result = deed();
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, LARGE_VALUE_BYTES)?;
        result
    }

    fn report(&self, progress: &mut Progress) -> rusqlite::Result<()> {
        let Progress { rows, bytes } = std::mem::take(progress);
        let heard = self.watch.advanced(self.phase, bytes as u64, rows);
        heard.map_err(|_| {
            rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_INTERRUPT), None)
        })
    }
}

/// Rows since the last report.
#[derive(Default)]
struct Progress {
    rows: u64,
    bytes: usize,
}

impl Progress {
    /// Counts a row, and tells whether it is time for a report.
    fn is_due(&mut self, bytes: usize) -> bool {
        self.rows += 1;
        self.bytes += bytes;
        self.rows >= REPORT_ROWS || self.bytes >= REPORT_BYTES
    }
}

fn is_too_big(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::TooBig)
}

fn add_row(
    row: &Row<'_>,
    skip: usize,
    table: &Table,
    canonical: &mut Vec<u8>,
    sum: &mut Fingerprint,
) -> rusqlite::Result<()> {
    canonical.clear();
    for index in skip..skip + table.columns.len() {
        write_value(row.get_ref(index)?, |bytes| canonical.extend_from_slice(bytes));
    }
    sum.add_row(row_hash(canonical));
    Ok(())
}

/// The same hash without a second copy of the row.
fn hash_of_large(row: &Row<'_>, skip: usize, table: &Table) -> rusqlite::Result<u128> {
    let mut hasher = XxHash3_128::new();
    for index in skip..skip + table.columns.len() {
        write_value(row.get_ref(index)?, |bytes| hasher.write(bytes));
    }
    Ok(hasher.finish_128())
}

/// A value's canonical bytes: a tag; numbers as eight bytes, texts (in UTF-8) and blobs after their length, all
/// little-endian.
fn write_value(value: ValueRef<'_>, mut write: impl FnMut(&[u8])) {
    match value {
        ValueRef::Null => write(&[0]),
        ValueRef::Integer(number) => {
            write(&[1]);
            write(&number.to_le_bytes());
        }
        ValueRef::Real(number) => {
            write(&[2]);
            write(&number.to_bits().to_le_bytes());
        }
        ValueRef::Text(text) => {
            write(&[3]);
            write(&(text.len() as u64).to_le_bytes());
            write(text);
        }
        ValueRef::Blob(blob) => {
            write(&[4]);
            write(&(blob.len() as u64).to_le_bytes());
            write(blob);
        }
    }
}
