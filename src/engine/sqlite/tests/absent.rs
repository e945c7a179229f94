//! A database that does not exist yet, and targets that do.

use std::fs;

use super::stage::{Stage, engine, sqlite3, wait};
use crate::engine::{Engine as _, EngineError, IfAbsent};
use crate::model::identity::Identity;
use crate::model::manifest::Content;

#[test]
fn no_database_is_a_state_when_asked_for() {
    let stage = Stage::new();
    let refused = stage.dump();
    assert!(matches!(&refused, Err(EngineError::Unreachable { hint: Some(hint), .. }) if hint.contains("--absent-ok")));
    let plan = crate::engine::DumpPlan { absent: IfAbsent::Record, ..stage.dump_plan() };
    let state = stage.dump_by(&plan, &super::stage::watch()).unwrap();
    assert_eq!((state.content, stage.memory.is_empty()), (Content::AbsentDatabase, true));
    let loaded = stage.load_fresh(&state, &stage.path("restored.db")).unwrap();
    assert_eq!(loaded.findings.len(), 1);
    assert!(!stage.path("restored.db").exists());
}

#[test]
fn going_back_to_no_database_moves_it_aside_when_nobody_uses_it() {
    let stage = Stage::new();
    let plan = crate::engine::DumpPlan { absent: IfAbsent::Record, ..stage.dump_plan() };
    let state = stage.dump_by(&plan, &super::stage::watch()).unwrap();
    let user = stage.open();
    user.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1)").unwrap();
    let quick = crate::engine::LoadPlan { busy_timeout: std::time::Duration::from_millis(50), ..stage.load_plan() };
    assert!(matches!(stage.load_live(&state, &quick), Err(EngineError::Busy { .. })));
    user.execute_batch("INSERT INTO t VALUES (2)").unwrap();
    drop(user);
    let loaded = stage.load_live(&state, &quick).unwrap();
    assert!(!stage.db().exists());
    assert_eq!(sqlite3(loaded.previous.unwrap().as_ref(), "SELECT count(*) FROM t"), "2\n");
    assert_eq!(stage.names(), ["agents.db.before_20261120_030000", "temp"]);
}

#[test]
fn only_empty_places_are_fresh() {
    let stage = Stage::new();
    stage.open().execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1)").unwrap();
    let state = stage.dump().unwrap();
    for ending in ["", "-wal", "-shm", "-journal"] {
        let taken = stage.path(&format!("taken.db{ending}"));
        fs::write(&taken, "something").unwrap();
        let refused = wait(engine(&stage.path("taken.db")).fresh());
        assert!(matches!(refused, Err(EngineError::TargetRefused { .. })), "{ending}");
        fs::remove_file(&taken).unwrap();
    }
    assert!(matches!(wait(engine(&stage.path("no/such/folder.db")).fresh()), Err(EngineError::TargetRefused { .. })));
    fs::write(stage.path("empty.db"), "").unwrap();
    stage.load_fresh(&state, &stage.path("empty.db")).unwrap();
    assert_eq!(sqlite3(&stage.path("empty.db"), "SELECT count(*) FROM t"), "1\n");
}

#[test]
fn restored_files_are_private_and_a_dead_predecessors_draft_is_removed() {
    use std::os::unix::fs::PermissionsExt as _;
    let stage = Stage::new();
    stage.open().execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1)").unwrap();
    let state = stage.dump().unwrap();
    fs::write(stage.path(".restored.db.dbops-restore"), "half").unwrap();
    let to = stage.path("restored.db");
    stage.load_fresh(&state, &to).unwrap();
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!stage.path(".restored.db.dbops-restore").exists());
}

#[test]
fn identities_follow_links_and_tell_files_apart() {
    let stage = Stage::new();
    let missing = wait(engine(&stage.db()).identify()).unwrap();
    stage.open().execute_batch("CREATE TABLE t (a)").unwrap();
    std::os::unix::fs::symlink(stage.db(), stage.path("link.db")).unwrap();
    let there = wait(engine(&stage.db()).identify()).unwrap();
    assert_eq!(wait(engine(&stage.path("link.db")).identify()).unwrap(), there);
    assert!(missing.is_same_source(&there));
    let Identity::Sqlite(file) = there else { panic!("not a file") };
    assert!(file.file_id.is_some() && file.host == "testhost");
}
