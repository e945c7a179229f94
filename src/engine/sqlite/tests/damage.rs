//! Damage in the source, and in what was stored.

use std::fs;

use super::stage::{Stage, watch};
use crate::engine::{DumpPlan, EngineError, IfDamaged};

/// A database of some hundred pages.
fn filled() -> Stage {
    let stage = Stage::new();
    stage
        .open()
        .execute_batch(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); CREATE INDEX i ON t (a); CREATE TABLE other (x);
             INSERT INTO other VALUES (1);
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
             INSERT INTO t SELECT i, 'row ' || i FROM n",
        )
        .unwrap();
    stage
}

fn overwrite(stage: &Stage, at: usize, bytes: &[u8]) {
    let mut file = fs::read(stage.db()).unwrap();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    fs::write(stage.db(), file).unwrap();
}

#[test]
fn a_damaged_page_is_found_and_refused_or_recorded() {
    let stage = filled();
    // The header of a page within the table's tree.
    overwrite(&stage, 10 * 4096, &[0xee; 64]);
    let refused = stage.dump();
    assert!(matches!(&refused, Err(EngineError::Damaged { damage, .. }) if !damage.is_empty()), "{refused:?}");
    assert!(stage.memory.is_empty());
    assert_eq!(stage.names(), ["agents.db", "temp"]);
    let plan = DumpPlan { damaged: IfDamaged::Keep, ..stage.dump_plan() };
    let state = stage.dump_by(&plan, &watch()).unwrap();
    assert!(state.source_check.is_damaged() && state.source_check.damage.len() <= 100);
    assert!(state.tables.iter().any(|t| t.table.name() == "other"));
    let loaded = stage.load_fresh(&state, &stage.path("restored.db")).unwrap();
    assert_eq!(loaded.findings.len(), 1);
    // Alike but for the counters in the header.
    let [source, restored] = [stage.db(), stage.path("restored.db")].map(|path| fs::read(path).unwrap());
    assert!(source[100..] == restored[100..]);
}

#[test]
fn an_index_that_disagrees_with_its_table_is_damage() {
    let stage = filled();
    super::stage::sqlite3(
        &stage.db(),
        "PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t (a COLLATE nocase)' WHERE name = 'i';
         INSERT INTO t VALUES (90001, 'ROW 1');",
    );
    super::stage::sqlite3(&stage.db(), "INSERT INTO t VALUES (90002, 'ROW 17 b')");
    super::stage::sqlite3(
        &stage.db(),
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t (a DESC)' WHERE name = 'i'",
    );
    let refused = stage.dump();
    assert!(matches!(refused, Err(EngineError::Damaged { .. })), "{refused:?}");
}

#[test]
fn a_cut_database_is_found_and_can_be_kept() {
    let stage = filled();
    let file = fs::read(stage.db()).unwrap();
    fs::write(stage.db(), &file[..file.len() / 2]).unwrap();
    assert!(matches!(stage.dump(), Err(EngineError::Damaged { .. })));
    let plan = DumpPlan { damaged: IfDamaged::Keep, ..stage.dump_plan() };
    assert!(stage.dump_by(&plan, &watch()).unwrap().source_check.is_damaged());
}

#[test]
fn other_rows_than_were_dumped_are_not_restored() {
    let stage = filled();
    let state = stage.dump().unwrap();
    stage.open().execute_batch("UPDATE t SET a = 'changed' WHERE id = 77; DELETE FROM other").unwrap();
    stage.dump().unwrap();
    let to = stage.path("restored.db");
    let refused = stage.load_fresh(&state, &to);
    let Err(EngineError::Unequal { findings, .. }) = refused else { panic!("{refused:?}") };
    let told: Vec<_> = findings.iter().map(|f| format!("{} {}", f.subject, f.message)).collect();
    assert_eq!(told, ["main.other has 0 rows instead of 1", "main.t has other rows"]);
    assert_eq!(stage.names(), ["agents.db", "temp"]);
}
