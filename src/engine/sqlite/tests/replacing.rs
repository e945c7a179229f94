//! The live database is replaced under those who have it open.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::stage::{Stage, open, sqlite3};
use super::writers::{BALANCE, Writers, make_bank};
use crate::engine::{EngineError, LoadPlan};

fn count(path: &std::path::Path) -> u64 {
    sqlite3(path, "SELECT count(*) FROM log").trim().parse().unwrap()
}

/// Whatever was acknowledged is in the kept copy, or came after the restored state.
fn no_commit_is_lost(journal_mode: &str, writers: u64) {
    let stage = Stage::new();
    make_bank(&stage.db(), journal_mode);
    // So that the restored state is told apart: its log begins far from zero.
    open(&stage.db()).execute_batch("INSERT INTO log VALUES (1000000, 99)").unwrap();
    let state = stage.dump().unwrap();
    open(&stage.db()).execute_batch("DELETE FROM log").unwrap();
    let writers = Writers::start(&stage.db(), writers);
    let loaded = stage.load_live(&state, &stage.load_plan()).unwrap();
    let seen = writers.acknowledged.load(Ordering::SeqCst);
    let total = std::sync::Arc::clone(&writers.acknowledged);
    writers.stop();
    let previous = PathBuf::from(loaded.previous.unwrap());
    let acknowledged = total.load(Ordering::SeqCst);
    // The restored row of the log is no commit of a writer.
    assert_eq!(count(&previous) + count(&stage.db()) - 1, acknowledged, "{seen} when the restore ended");
    for path in [&previous, &stage.db()] {
        assert_eq!(sqlite3(path, BALANCE), "0\n");
        assert_eq!(sqlite3(path, "PRAGMA integrity_check"), "ok\n");
    }
    let mode = if journal_mode == "WAL" { "wal\n" } else { "delete\n" };
    assert_eq!(sqlite3(&stage.db(), "PRAGMA journal_mode"), mode);
    let left: Vec<_> = stage.names().into_iter().filter(|name| name.contains("dbops") || name.contains("-j")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn no_commit_is_lost_in_wal_mode() {
    no_commit_is_lost("WAL", 2);
}

#[test]
fn no_commit_is_lost_in_rollback_mode() {
    no_commit_is_lost("DELETE", 2);
}

/// Readers that stay open see the old or the new state, by one and the same connection.
fn readers_see_old_or_new(journal_mode: &str) {
    let stage = Stage::new();
    make_bank(&stage.db(), journal_mode);
    let state = stage.dump().unwrap();
    open(&stage.db()).execute_batch("UPDATE l SET n = 5; UPDATE r SET n = -7").unwrap();
    let (stop, path) = (std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)), stage.db());
    let (first, begun) = std::sync::mpsc::channel();
    let reader = {
        let stop = std::sync::Arc::clone(&stop);
        std::thread::spawn(move || {
            let connection = open(&path);
            let mut seen = Vec::new();
            while !stop.load(Ordering::SeqCst) {
                let sum: i64 = connection.query_row(BALANCE, [], |row| row.get(0)).unwrap();
                if seen.last() != Some(&sum) {
                    seen.push(sum);
                }
                _ = first.send(());
            }
            let sum: i64 = connection.query_row(BALANCE, [], |row| row.get(0)).unwrap();
            (seen, sum)
        })
    };
    begun.recv_timeout(Duration::from_secs(60)).unwrap();
    let loaded = stage.load_live(&state, &stage.load_plan()).unwrap();
    stop.store(true, Ordering::SeqCst);
    let (seen, last) = reader.join().unwrap();
    assert!(seen == [-2000] || seen == [-2000, 0], "{seen:?}");
    assert_eq!(last, 0);
    assert_eq!(sqlite3(loaded.previous.unwrap().as_ref(), BALANCE), "-2000\n");
}

#[test]
fn readers_see_old_or_new_in_wal_mode() {
    readers_see_old_or_new("WAL");
}

#[test]
fn readers_see_old_or_new_in_rollback_mode() {
    readers_see_old_or_new("DELETE");
}

#[test]
fn every_pair_of_page_sizes_and_modes() {
    for (old, new) in [(4096, 4096), (4096, 512), (512, 4096), (65536, 1024), (1024, 65536)] {
        for (old_mode, new_mode) in [("WAL", "WAL"), ("WAL", "DELETE"), ("DELETE", "WAL"), ("DELETE", "DELETE")] {
            let stage = Stage::new();
            let make = |page_bytes: u32, mode: &str, rows: u32| {
                format!(
                    "PRAGMA page_size = {page_bytes}; PRAGMA journal_mode = {mode}; CREATE TABLE t (a, b);
                     WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
                     INSERT INTO t SELECT i, randomblob(i) FROM n;"
                )
            };
            stage.open().execute_batch(&make(new, new_mode, 300)).unwrap();
            let wanted = sqlite3(&stage.db(), ".dump");
            let state = stage.dump().unwrap();
            fs::remove_file(stage.db()).unwrap();
            stage.open().execute_batch(&make(old, old_mode, 700)).unwrap();
            let kept = sqlite3(&stage.db(), ".dump");
            let loaded = stage.load_live(&state, &stage.load_plan()).unwrap();
            let case = format!("{old} {old_mode} from {new} {new_mode}");
            assert!(sqlite3(&stage.db(), ".dump") == wanted, "{case}");
            assert!(sqlite3(loaded.previous.unwrap().as_ref(), ".dump") == kept, "{case}");
            assert_eq!(sqlite3(&stage.db(), "PRAGMA integrity_check"), "ok\n", "{case}");
            assert_eq!(sqlite3(&stage.db(), "PRAGMA journal_mode").trim(), old_mode.to_lowercase(), "{case}");
            assert_eq!(stage.names(), ["agents.db", "agents.db.before_20261120_030000", "temp"], "{case}");
        }
    }
}

#[test]
fn a_transaction_that_never_ends_makes_it_busy_and_changes_nothing() {
    for mode in ["WAL", "DELETE"] {
        let stage = Stage::new();
        make_bank(&stage.db(), mode);
        let state = stage.dump().unwrap();
        let user = stage.open();
        user.execute_batch("INSERT INTO log (w) VALUES (5); BEGIN IMMEDIATE; INSERT INTO log (w) VALUES (6)").unwrap();
        let plan = LoadPlan { busy_timeout: Duration::from_millis(100), ..stage.load_plan() };
        let refused = stage.load_live(&state, &plan);
        assert!(matches!(refused, Err(EngineError::Busy { .. })), "{refused:?}");
        user.execute_batch("COMMIT").unwrap();
        drop(user);
        assert_eq!(count(&stage.db()), 2);
        assert_eq!(stage.names(), ["agents.db", "temp"]);
    }
}

#[test]
fn a_page_size_that_a_wal_database_cannot_take_needs_the_others_gone() {
    let stage = Stage::new();
    stage.open().execute_batch("PRAGMA page_size = 512; CREATE TABLE t (a)").unwrap();
    let state = stage.dump().unwrap();
    fs::remove_file(stage.db()).unwrap();
    make_bank(&stage.db(), "WAL");
    let user = stage.open();
    user.execute_batch("INSERT INTO log (w) VALUES (5)").unwrap();
    let plan = LoadPlan { busy_timeout: Duration::from_millis(100), ..stage.load_plan() };
    assert!(matches!(stage.load_live(&state, &plan), Err(EngineError::Busy { .. })));
    drop(user);
    stage.load_live(&state, &plan).unwrap();
    assert_eq!(sqlite3(&stage.db(), "SELECT count(*) FROM t; PRAGMA journal_mode"), "0\nwal\n");
}

#[test]
fn a_damaged_live_database_can_be_replaced() {
    for cut in [false, true] {
        let stage = Stage::new();
        make_bank(&stage.db(), "DELETE");
        let wanted = sqlite3(&stage.db(), ".dump");
        let state = stage.dump().unwrap();
        let mut file = fs::read(stage.db()).unwrap();
        if cut {
            file.truncate(file.len() / 2);
        } else {
            file[4096 * 20..4096 * 40].fill(0xee);
        }
        fs::write(stage.db(), &file).unwrap();
        stage.load_live(&state, &stage.load_plan()).unwrap();
        assert!(sqlite3(&stage.db(), ".dump") == wanted);
    }
}

#[test]
fn two_replacements_in_a_second_keep_both_previous_states() {
    let stage = Stage::new();
    make_bank(&stage.db(), "WAL");
    let state = stage.dump().unwrap();
    let [first, second] = [(), ()].map(|()| stage.load_live(&state, &stage.load_plan()).unwrap().previous.unwrap());
    assert_eq!(second, format!("{first}_2"));
}

#[test]
fn what_is_no_database_is_not_replaced() {
    let stage = Stage::new();
    make_bank(&stage.db(), "WAL");
    let state = stage.dump().unwrap();
    fs::write(stage.db(), vec![7; 9000]).unwrap();
    assert!(matches!(stage.load_live(&state, &stage.load_plan()), Err(EngineError::TargetRefused { .. })));
    fs::remove_file(stage.db()).unwrap();
    assert!(matches!(stage.load_live(&state, &stage.load_plan()), Err(EngineError::TargetRefused { .. })));
}
