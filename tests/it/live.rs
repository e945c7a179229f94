//! Others read and write while dbops works.

use std::process::{Child, Command, Stdio};

use crate::sandbox::Sandbox;

/// A process that moves amounts between two tables at full speed, until it is stopped; their sum never changes.
struct Writer(Child);

impl Writer {
    fn start(sandbox: &Sandbox, database: &str) -> Self {
        let script = "PRAGMA busy_timeout = 20000;\n".to_owned()
            + &"BEGIN IMMEDIATE; UPDATE a SET v = v - 1; UPDATE b SET v = v + 1; COMMIT;\n".repeat(200_000);
        let path = sandbox.path("writer.sql");
        std::fs::write(&path, script).unwrap();
        let child = Command::new("sqlite3")
            .arg(sandbox.path(database))
            .stdin(std::fs::File::open(path).unwrap())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn is_writing(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

const SUM: &str = "SELECT (SELECT sum(v) FROM a) + (SELECT sum(v) FROM b)";

fn busy_database(sandbox: &Sandbox, journal: &str) {
    let script = format!(
        "PRAGMA journal_mode = {journal}; CREATE TABLE a(v); CREATE TABLE b(v); CREATE TABLE ballast(x);
         INSERT INTO a SELECT 1000 FROM generate_series(1, 10); INSERT INTO b SELECT 1000 FROM generate_series(1, 10);
         INSERT INTO ballast SELECT randomblob(1000) FROM generate_series(1, 5000)"
    );
    sandbox.sqlite("agents.db", &script);
}

#[test]
fn a_snapshot_among_writers_is_one_instant() {
    for journal in ["WAL", "DELETE", "TRUNCATE", "PERSIST"] {
        let sandbox = Sandbox::with_repository();
        busy_database(&sandbox, journal);
        let mut writer = Writer::start(&sandbox, "agents.db");
        for _ in 0..3 {
            let snapshot = sandbox.back_up(["--db", "agents.db"]);
            let copy = sandbox.restore_by_hand(&snapshot, "agents.db");
            assert_eq!(sandbox.sqlite(copy, SUM), "20000\n", "{journal}");
        }
        assert!(writer.is_writing(), "{journal}: the writer must have written all the time");
    }
}

#[test]
fn a_replace_among_writers_is_all_or_nothing() {
    for journal in ["WAL", "DELETE"] {
        let sandbox = Sandbox::with_repository();
        busy_database(&sandbox, journal);
        sandbox.back_up(["--db", "agents.db"]);
        let mut writer = Writer::start(&sandbox, "agents.db");
        for _ in 0..3 {
            sandbox.dbops(["restore", "latest", "--into", "agents.db", "--replace", "--yes"]).success();
            let script = format!(".timeout 20000\n{SUM}; PRAGMA integrity_check;");
            let mut reader = Command::new("sqlite3");
            reader.arg(sandbox.path("agents.db")).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut reader = reader.spawn().unwrap();
            std::io::Write::write_all(&mut reader.stdin.take().unwrap(), script.as_bytes()).unwrap();
            let output = reader.wait_with_output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), "20000\nok\n", "{journal}");
        }
        assert!(writer.is_writing(), "{journal}: the writer must have gone on");
    }
}

#[test]
fn a_database_that_is_held_is_waited_for_and_then_named() {
    for journal in ["WAL", "DELETE"] {
        let sandbox = Sandbox::with_repository();
        busy_database(&sandbox, journal);
        sandbox.back_up(["--db", "agents.db"]);
        let mut holder = Command::new("sqlite3");
        holder.arg(sandbox.path("agents.db")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = holder.spawn().unwrap();
        let script = b"BEGIN IMMEDIATE; SELECT 1;\n";
        std::io::Write::write_all(holder.stdin.as_mut().unwrap(), script).unwrap();
        let mut answer = [0; 2];
        std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut answer).unwrap();
        let restore = ["restore", "latest", "--into", "agents.db", "--replace", "--yes", "--wait", "1"];
        let ran = sandbox.dbops(restore).fails(11, "agents.db is busy");
        let pid = holder.id().to_string();
        assert!(ran.stderr.contains(&pid) && ran.stderr.contains("sqlite3"), "who: {}", ran.stderr);
        drop(holder.stdin.take());
        holder.wait().unwrap();
        sandbox.dbops(restore).success();
    }
}
