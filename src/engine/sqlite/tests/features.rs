//! Every feature of SQLite comes back as it was.

use super::stage::{Stage, sqlite3};
use crate::engine::sqlite::fingerprints;
use crate::model::manifest::State;

/// Makes a database by `sql`, dumps and restores it, and compares both from outside.
fn round_trip(sql: &str) -> State {
    let stage = Stage::new();
    stage.open().execute_batch(sql).unwrap();
    restored_alike(&stage)
}

fn restored_alike(stage: &Stage) -> State {
    let before = sqlite3(&stage.db(), ".dump");
    let state = stage.dump().unwrap();
    let to = stage.path("restored.db");
    let loaded = stage.load_fresh(&state, &to).unwrap();
    assert_eq!(loaded.tables_compared, state.tables.len() as u64);
    assert_eq!(fingerprints(&to, 2, &super::stage::watch()).unwrap(), state.tables);
    assert_eq!(sqlite3(&to, ".dump"), before);
    assert!(stage.names().iter().all(|name| !name.contains("dbops")), "{:?}", stage.names());
    state
}

fn rows(state: &State, table: &str) -> u64 {
    state.tables.iter().find(|t| t.table.name() == table).unwrap().fingerprint.rows
}

#[test]
fn plain_tables() {
    let state = round_trip(
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, x, y REAL); INSERT INTO t (x, y) VALUES
         (NULL, 1e400), ('', -0.0), (x'', 9e999 - 9e999), (x'00ff', 1.5), ('é''\"\n', 3);
         CREATE TABLE empty (a TEXT); PRAGMA user_version = 7; PRAGMA application_id = 42;",
    );
    assert_eq!((rows(&state, "t"), rows(&state, "empty"), rows(&state, "sqlite_sequence")), (5, 0, 1));
    assert_eq!(state.contract.details["user_version"], 7);
    assert_eq!(state.contract.details["application_id"], 42);
    assert_eq!(state.contract.minimum_version, "3");
}

#[test]
fn a_database_without_tables() {
    assert!(round_trip("CREATE TABLE t (a); DROP TABLE t").tables.is_empty());
}

#[test]
fn without_rowid_and_strict() {
    let state = round_trip(
        "CREATE TABLE w (a TEXT, b INT, PRIMARY KEY (b, a)) WITHOUT ROWID; INSERT INTO w VALUES ('x', 1), ('y', 1);
         CREATE TABLE s (a INTEGER, b ANY) STRICT; INSERT INTO s VALUES (1, x'01'), (2, 'two');",
    );
    assert_eq!(rows(&state, "w"), 2);
    assert_eq!(state.contract.minimum_version, "3.37.0");
}

#[test]
fn generated_columns_are_left_out_of_fingerprints() {
    let state = round_trip(
        "CREATE TABLE g (a, b AS (a * 2) VIRTUAL, c, d AS (a || c) STORED); INSERT INTO g VALUES (1, 'x'), (2, 'y');",
    );
    assert_eq!(state.tables[0].columns, ["a", "c"]);
    assert_eq!(state.contract.minimum_version, "3.31.0");
}

#[test]
fn tables_that_take_the_row_numbers_names() {
    let state = round_trip(
        "CREATE TABLE a (rowid TEXT); INSERT INTO a VALUES ('x'), ('y');
         CREATE TABLE b (ROWID TEXT, _rowid_ TEXT, oid TEXT); INSERT INTO b VALUES (1, 2, 3);",
    );
    assert_eq!((rows(&state, "a"), rows(&state, "b")), (2, 1));
}

#[test]
fn full_text_and_r_tree_shadow_tables() {
    let state = round_trip(
        "CREATE VIRTUAL TABLE f USING fts5(a, b); INSERT INTO f VALUES ('some words', 'more'), ('other', 'words');
         CREATE TABLE doc (id INTEGER PRIMARY KEY, body TEXT); INSERT INTO doc VALUES (1, 'hello world');
         CREATE VIRTUAL TABLE e USING fts5(body, content = 'doc', content_rowid = 'id');
         INSERT INTO e (e) VALUES ('rebuild');
         CREATE VIRTUAL TABLE r USING rtree(id, x0, x1); INSERT INTO r VALUES (1, 2, 3);",
    );
    assert_eq!(state.contract.extensions, ["fts5", "rtree"]);
    assert!(state.tables.iter().any(|t| t.table.name() == "f_content"));
    assert!(state.tables.iter().any(|t| t.table.name() == "r_node"));
}

#[test]
fn encodings() {
    for encoding in ["UTF-16le", "UTF-16be", "UTF-8"] {
        let state = round_trip(&format!(
            "PRAGMA encoding = '{encoding}'; CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('grüße 🙂'), ('');"
        ));
        assert_eq!(state.contract.encoding, encoding);
    }
}

#[test]
fn one_text_in_every_encoding_has_one_fingerprint() {
    let sum = |encoding| {
        let sql = format!("PRAGMA encoding = '{encoding}'; CREATE TABLE t (a); INSERT INTO t VALUES ('grüße 🙂')");
        round_trip(&sql).tables[0].fingerprint
    };
    assert_eq!(sum("UTF-8"), sum("UTF-16le"));
    assert_eq!(sum("UTF-8"), sum("UTF-16be"));
}

#[test]
fn page_sizes_and_vacuum_modes() {
    for page_bytes in [512, 1024, 4096, 65536] {
        for vacuum in ["FULL", "INCREMENTAL", "NONE"] {
            let state = round_trip(&format!(
                "PRAGMA page_size = {page_bytes}; PRAGMA auto_vacuum = {vacuum}; CREATE TABLE t (a, b);
                 WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
                 INSERT INTO t SELECT i, randomblob(i * 3) FROM n; DELETE FROM t WHERE a % 3 = 0;"
            ));
            assert_eq!(state.contract.details["page_size"], page_bytes);
        }
    }
}

#[test]
fn awkward_names() {
    let state = round_trip(
        "CREATE TABLE \"a \"\"quote\"\"\" (\"col\"\"umn\" TEXT, \"new\nline\" INT, \"select\" INT);
         INSERT INTO \"a \"\"quote\"\"\" VALUES ('x', 1, 2);
         CREATE TABLE \"new\nline\" (a); INSERT INTO \"new\nline\" VALUES (1); CREATE TABLE 'täble' (\"ü\");",
    );
    assert_eq!(state.tables.len(), 3);
    assert!(state.tables.iter().any(|t| t.columns == ["col\"umn", "new\nline", "select"]));
}

#[test]
fn broken_foreign_keys_are_counted_and_come_back() {
    let state = round_trip(
        "PRAGMA foreign_keys = OFF; CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p (id));
         INSERT INTO c VALUES (1), (2), (NULL);",
    );
    assert_eq!(state.source_check.foreign_key_violations, 2);
    assert!(!state.source_check.is_damaged());
}

#[test]
fn the_ledger_is_recorded() {
    let state = round_trip(
        "CREATE TABLE schema_migrations (version TEXT, applied_at TEXT);
         INSERT INTO schema_migrations VALUES ('2', '2026-01-02'), ('10', '2026-01-03');",
    );
    let expected = serde_json::json!({ "table": "schema_migrations", "rows": 2, "head": "10" });
    assert_eq!(state.ledger, Some(expected));
}

#[test]
fn many_rows_are_shared_among_workers_and_added_up_once() {
    let stage = Stage::new();
    stage
        .open()
        .execute_batch(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b BLOB);
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
             INSERT INTO t SELECT i, 'row ' || i, randomblob(20) FROM n;
             INSERT INTO t VALUES (-9223372036854775808, 'first', NULL), (9223372036854775807, 'last', NULL);",
        )
        .unwrap();
    let state = restored_alike(&stage);
    assert_eq!(rows(&state, "t"), 60_002);
    let one = fingerprints(&stage.db(), 1, &super::stage::watch()).unwrap();
    assert_eq!(one, state.tables);
}

#[test]
fn large_rows_are_read_one_at_a_time() {
    let state = round_trip(
        "CREATE TABLE t (a); INSERT INTO t VALUES (1), (zeroblob(9000000)), (2), (randomblob(8000000)), ('x');
         CREATE TABLE w (a PRIMARY KEY, b) WITHOUT ROWID; INSERT INTO w VALUES (1, zeroblob(9000000)), (2, 3);",
    );
    assert_eq!((rows(&state, "t"), rows(&state, "w")), (5, 2));
}

#[test]
fn what_only_the_application_knows_is_not_in_the_way() {
    let stage = Stage::new();
    let connection = stage.open();
    connection.execute_batch("CREATE TABLE t (a TEXT, b TEXT); INSERT INTO t VALUES ('b', 'x'), ('a', 'y');").unwrap();
    drop(connection);
    sqlite3(
        &stage.db(),
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE t (a TEXT COLLATE german, b TEXT)';
         INSERT INTO sqlite_schema VALUES ('table', 'v', 'v', 0, 'CREATE VIRTUAL TABLE v USING vec0(x)');",
    );
    let state = stage.dump().unwrap();
    assert_eq!(rows(&state, "t"), 2);
    assert_eq!(state.contract.extensions, ["vec0"]);
    stage.load_fresh(&state, &stage.path("restored.db")).unwrap();
}
