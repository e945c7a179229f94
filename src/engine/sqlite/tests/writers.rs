//! Writers at full speed while a dump is taken: it holds one instant, and they are hardly held up.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::stage::{Stage, open, sqlite3};
use crate::engine::sqlite::connect::is_busy;

/// Threads that move amounts between two tables, one transaction after the other; `log` counts the transactions.
pub struct Writers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Duration>>,
    /// Commits that SQLite acknowledged.
    pub acknowledged: Arc<AtomicU64>,
}

/// Makes the two tables, with as much ballast that a copy takes its time.
pub fn make_bank(path: &Path, journal_mode: &str) {
    open(path)
        .execute_batch(&format!(
            "PRAGMA journal_mode = {journal_mode}; CREATE TABLE l (id INTEGER PRIMARY KEY, n INT);
             CREATE TABLE r (id INTEGER PRIMARY KEY, n INT); CREATE TABLE log (i INTEGER PRIMARY KEY, w INT);
             CREATE TABLE ballast (b);
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
             INSERT INTO l SELECT i, 100 FROM n; INSERT INTO r SELECT id, -n FROM l;
             INSERT INTO ballast SELECT randomblob(20000) FROM l;"
        ))
        .unwrap();
}

/// Zero at every instant.
pub const BALANCE: &str = "SELECT (SELECT sum(n) FROM l) + (SELECT sum(n) FROM r)";

impl Writers {
    /// Starts `count` of them and returns once each has committed.
    pub fn start(path: &Path, count: u64) -> Self {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (first, begun) = mpsc::channel();
        let threads = (0..count).map(|number| {
            let (stop, acknowledged, first) = (Arc::clone(&stop), Arc::clone(&acknowledged), first.clone());
            let path = path.to_owned();
            std::thread::spawn(move || write_on(&path, number, &stop, &acknowledged, &first))
        });
        let threads = threads.collect();
        for _ in 0..count {
            begun.recv_timeout(Duration::from_secs(60)).unwrap();
        }
        Self { stop, threads, acknowledged }
    }

    /// Stops them; gives the longest time that a transaction took.
    pub fn stop(self) -> Duration {
        self.stop.store(true, Ordering::SeqCst);
        self.threads.into_iter().map(|thread| thread.join().unwrap()).max().unwrap()
    }
}

fn write_on(
    path: &Path,
    number: u64,
    stop: &AtomicBool,
    acknowledged: &AtomicU64,
    first: &mpsc::Sender<()>,
) -> Duration {
    let connection = open(path);
    // SQLite's locks have no queue: the eager are served, the patient starve.
    connection.busy_timeout(Duration::from_millis(5)).unwrap();
    let insist = |sql| loop {
        match connection.execute_batch(sql) {
            Err(error) if is_busy(&error) => {}
            other => break other.unwrap(),
        }
    };
    // Reads the schema, so it can meet a lock too.
    insist("PRAGMA synchronous = OFF");
    let (mut longest, mut turn) = (Duration::ZERO, 0_i64);
    while !stop.load(Ordering::SeqCst) {
        turn += 1;
        let begun = Instant::now();
        insist("BEGIN IMMEDIATE");
        let id = turn * 7919 % 1000 + 1;
        connection.execute("UPDATE l SET n = n + ?1 WHERE id = ?2", [turn, id]).unwrap();
        connection.execute("UPDATE r SET n = n - ?1 WHERE id = ?2", [turn, 1001 - id]).unwrap();
        connection.execute("INSERT INTO log (w) VALUES (?1)", [number.cast_signed()]).unwrap();
        insist("COMMIT");
        longest = longest.max(begun.elapsed());
        acknowledged.fetch_add(1, Ordering::SeqCst);
        if turn == 1 {
            first.send(()).unwrap();
        }
    }
    longest
}

fn dump_under_writers(journal_mode: &str, writers: u64) {
    let stage = Stage::new();
    make_bank(&stage.db(), journal_mode);
    let writers = Writers::start(&stage.db(), writers);
    for round in 0..3 {
        let before = writers.acknowledged.load(Ordering::SeqCst);
        let state = stage.dump().unwrap();
        let after = writers.acknowledged.load(Ordering::SeqCst);
        let to = stage.path(&format!("restored{round}.db"));
        stage.load_fresh(&state, &to).unwrap();
        assert_eq!(sqlite3(&to, BALANCE), "0\n");
        let commits: u64 = sqlite3(&to, "SELECT count(*) FROM log").trim().parse().unwrap();
        // A commit may be in the file and not yet acknowledged: one a writer.
        assert!((before..=after + 4).contains(&commits), "{before} {commits} {after}");
    }
    let longest = writers.stop();
    // An alarm for a dump that holds them until it ends; what they really wait is measured by a benchmark.
    assert!(longest < Duration::from_secs(30), "{longest:?}");
}

#[test]
fn a_dump_in_wal_mode_is_one_instant() {
    dump_under_writers("WAL", 2);
}

#[test]
fn a_dump_in_rollback_mode_is_one_instant() {
    dump_under_writers("DELETE", 2);
}

#[test]
fn a_dump_in_truncate_mode_is_one_instant() {
    dump_under_writers("TRUNCATE", 1);
}
