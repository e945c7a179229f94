//! States that a live database can be in: rows only in the log, a hot journal, nothing at all.

use std::fs;

use super::stage::{Stage, sqlite3, watch, watch_with};
use crate::engine::EngineError;
use crate::model::event::{Event, Phase};

#[test]
fn rows_that_are_only_in_the_log_are_dumped() {
    let stage = Stage::new();
    let writer = stage.open();
    writer.execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (a, b);").unwrap();
    for i in 0..200 {
        writer.execute("INSERT INTO t VALUES (?1, zeroblob(5000))", [i]).unwrap();
    }
    let log = fs::metadata(stage.path("agents.db-wal")).unwrap().len();
    let state = stage.dump().unwrap();
    assert_eq!(state.rows(), 200);
    assert!(log > 1_000_000 && state.contract.plain_bytes > 1_000_000);
    assert_eq!(fs::metadata(stage.path("agents.db-wal")).unwrap().len(), log, "the source was written to");
    let to = stage.path("restored.db");
    stage.load_fresh(&state, &to).unwrap();
    assert_eq!(sqlite3(&to, "SELECT count(*) FROM t; PRAGMA journal_mode"), "200\nwal\n");
}

#[test]
fn a_dump_leaves_no_log_where_there_was_none() {
    let stage = Stage::new();
    stage.open().execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (a)").unwrap();
    assert_eq!(stage.names(), ["agents.db", "temp"]);
    stage.dump().unwrap();
    assert_eq!(stage.names(), ["agents.db", "temp"]);
}

#[test]
fn a_hot_journal_is_rolled_back() {
    let stage = Stage::new();
    let crashed = stage.path("crashing.db");
    let writer = super::stage::open(&crashed);
    writer
        .execute_batch(
            "PRAGMA cache_size = 2; CREATE TABLE t (a); INSERT INTO t VALUES (1), (2);
             BEGIN; UPDATE t SET a = 9; CREATE TABLE u (b);
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
             INSERT INTO t SELECT zeroblob(3000) FROM n;",
        )
        .unwrap();
    // What a crash in mid-transaction leaves: pages that were spilled, and the journal that undoes them. The copy
    // is made by another process: in this one it would drop the writer's locks.
    for (from, to) in [("crashing.db", "agents.db"), ("crashing.db-journal", "agents.db-journal")] {
        assert!(std::process::Command::new("cp").arg(stage.path(from)).arg(stage.path(to)).status().unwrap().success());
    }
    assert!(fs::metadata(stage.db()).unwrap().len() > 100_000, "nothing was spilled");
    let state = stage.dump().unwrap();
    assert_eq!((state.tables.len(), state.rows()), (1, 2));
    assert_eq!(sqlite3(&stage.db(), "SELECT group_concat(a) FROM t"), "1,2\n");
}

#[test]
fn a_frozen_database_is_dumped_and_comes_back_unfrozen() {
    let stage = Stage::new();
    stage.open().execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1)").unwrap();
    let mut bytes = fs::read(stage.db()).unwrap();
    bytes[18] = 3;
    fs::write(stage.db(), &bytes).unwrap();
    let state = stage.dump().unwrap();
    let to = stage.path("restored.db");
    stage.load_fresh(&state, &to).unwrap();
    assert_eq!(sqlite3(&to, "INSERT INTO t VALUES (2); SELECT count(*) FROM t"), "2\n");
    let refused = stage.load_live(&state, &stage.load_plan()).unwrap_err();
    assert!(matches!(refused, EngineError::TargetRefused { .. }), "{refused:?}");
}

#[test]
fn what_is_no_database_is_refused_with_a_hint() {
    let refused = |bytes: &[u8], expected: &str| {
        let stage = Stage::new();
        fs::write(stage.db(), bytes).unwrap();
        let Err(EngineError::Refused { why, hint: Some(hint), .. }) = stage.dump() else { panic!("{expected}") };
        assert!(hint.contains(expected), "{why}: {hint}");
        assert_eq!(fs::read(stage.db()).unwrap(), bytes);
        assert_eq!(stage.names(), ["agents.db", "temp"]);
    };
    refused(b"", "--absent-ok");
    refused(&[0x9c; 8192], "encrypted");
    refused("only text\n".repeat(500).as_bytes(), "another kind of file");
    let stage = Stage::new();
    fs::create_dir(stage.db()).unwrap();
    assert!(matches!(stage.dump(), Err(EngineError::Refused { .. })));
}

#[test]
fn a_writer_that_never_ends_is_named() {
    let stage = Stage::new();
    let writer = stage.open();
    writer.execute_batch("CREATE TABLE t (a); BEGIN EXCLUSIVE").unwrap();
    let connection = super::super::connect::live(&stage.db()).unwrap();
    let patience = std::time::Duration::from_millis(50);
    let cancel = crate::model::cancel::Cancel::default();
    let busy =
        super::super::connect::patiently(&stage.db(), patience, &cancel, || super::super::copy::pin(&connection));
    assert!(matches!(busy, Err(EngineError::Busy { .. })), "{busy:?}");
    let openers = super::super::who::openers(&stage.db());
    assert_eq!((openers.len(), openers[0].pid), (1, std::process::id()));
}

#[test]
fn what_a_killed_run_put_aside_is_removed() {
    let stage = Stage::new();
    stage.open().execute_batch("CREATE TABLE t (a)").unwrap();
    let (dead, alien) = (stage.path("temp/dbops-0123456789abcdef"), stage.path("temp/dbops-of-mine"));
    for folder in [&dead, &alien] {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join(".dbops-temp-lock"), "").unwrap();
        fs::write(folder.join("copy.db"), "half").unwrap();
    }
    let living = super::super::temp::Workspace::new(&stage.path("temp"), &watch()).unwrap();
    assert!(!dead.exists());
    stage.dump().unwrap();
    assert!(alien.exists() && living.folder().exists());
    let folder = living.folder().to_owned();
    drop(living);
    assert!(!folder.exists());
}

#[test]
fn a_cancelled_dump_leaves_nothing() {
    for at in [Phase::Copy, Phase::Store, Phase::Fingerprint, Phase::CheckSource] {
        let stage = Stage::new();
        stage
            .open()
            .execute_batch(
                "CREATE TABLE t (a); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
                 INSERT INTO t SELECT randomblob(500) FROM n",
            )
            .unwrap();
        let cancel = crate::model::cancel::Cancel::default();
        let heard = cancel.clone();
        let mut watch = watch_with(move |event| {
            if matches!(event, Event::Began { phase, .. } if *phase == at) {
                heard.cancel();
            }
        });
        watch.cancel = cancel;
        let result = stage.dump_by(&stage.dump_plan(), &watch);
        assert!(matches!(result, Err(EngineError::Interrupted(_))), "{at:?}: {result:?}");
        assert!(stage.memory.is_empty());
        assert_eq!(stage.names(), ["agents.db", "temp"]);
    }
}

#[test]
fn a_full_folder_for_copies_is_said_before_anything_is_copied() {
    let stage = Stage::new();
    let refused = super::super::temp::require_room(&stage.path("temp"), u64::MAX);
    assert!(matches!(refused, Err(EngineError::NoRoom { .. })));
}
