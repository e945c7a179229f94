use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::sandbox::{Sandbox, files_below};

/// One of everything that SQLite has and a naive copy could lose.
const ZOO: &str = include_str!("../../fixtures/zoo.sql");

#[test]
fn everything_sqlite_has_comes_back() {
    let sandbox = Sandbox::with_repository();
    for (name, pragmas) in [
        ("plain", ""),
        ("small-pages", "PRAGMA page_size = 512;"),
        ("large-pages", "PRAGMA page_size = 65536;"),
        ("utf16le", "PRAGMA encoding = 'UTF-16le';"),
        ("utf16be", "PRAGMA encoding = 'UTF-16be'; PRAGMA auto_vacuum = FULL;"),
        ("wal", "PRAGMA journal_mode = WAL;"),
    ] {
        let file = format!("{name}.db");
        sandbox.sqlite(&file, &format!("{pragmas}{ZOO}"));
        let snapshot = sandbox.back_up(["--db", &file]);
        let into = format!("restored-{name}.db");
        sandbox.dbops(["restore", snapshot.to_str().unwrap(), "--into", &into]).success();
        let source = sandbox.sqlite(&file, ".dump");
        assert!(source.contains("CREATE VIRTUAL TABLE"), "{name}: the dump is whole");
        assert_eq!(sandbox.sqlite(&into, ".dump"), source, "{name}");
        let by_hand = sandbox.restore_by_hand(&snapshot, &file);
        assert_eq!(sandbox.sqlite(by_hand, ".dump"), source, "{name}");
    }
}

#[test]
fn the_answer_is_the_path_and_all_files_are_private() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 50);
    let snapshot = sandbox.back_up(["--db", "agents.db"]);
    assert!(snapshot.join("SHA256SUMS").is_file());
    for file in files_below(&sandbox.path("backups")) {
        let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.display());
        let folder = file.parent().unwrap();
        assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700, "{}", folder.display());
    }
    assert!(sandbox.left_in_tmp().is_empty());
}

#[test]
fn without_any_set_up_a_repository_is_made_in_backups() {
    let sandbox = Sandbox::new();
    sandbox.database("agents.db", 5);
    let ran = sandbox.dbops(["backup", "--db", "agents.db"]).success();
    assert!(ran.stderr.contains("made a repository in"), "{}", ran.stderr);
    assert!(ran.last_line().contains("backups/agents/agents_2"), "{}", ran.stdout);
}

#[test]
fn committed_rows_that_are_only_in_the_log_are_there() {
    let sandbox = Sandbox::with_repository();
    sandbox.sqlite("agents.db", "PRAGMA journal_mode = WAL; CREATE TABLE t(x)");
    // A reader keeps the log from being moved into the database when the writer closes.
    let mut reader = std::process::Command::new("sqlite3");
    reader.arg(sandbox.path("agents.db")).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut reader = reader.spawn().unwrap();
    std::io::Write::write_all(reader.stdin.as_mut().unwrap(), b"BEGIN; SELECT count(*) FROM t;\n").unwrap();
    let mut answer = [0; 2];
    std::io::Read::read_exact(reader.stdout.as_mut().unwrap(), &mut answer).unwrap();
    sandbox.sqlite("agents.db", "INSERT INTO t SELECT value FROM generate_series(1, 200)");
    assert!(fs::metadata(sandbox.path("agents.db-wal")).unwrap().len() > 0);
    let snapshot = sandbox.back_up(["--db", "agents.db"]);
    drop(reader.stdin.take());
    reader.wait().unwrap();
    let by_hand = sandbox.restore_by_hand(&snapshot, "agents.db");
    assert_eq!(sandbox.sqlite(by_hand, "SELECT count(*) FROM t"), "200\n");
}

#[test]
fn two_in_one_second_get_two_names() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 5);
    for _ in 0..4 {
        sandbox.back_up(["--db", "agents.db"]);
    }
    let listed = sandbox.listed();
    assert_eq!(listed.len(), 4);
    assert!(listed.is_sorted());
}

#[test]
fn a_release_and_a_note_are_kept_and_found() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 5);
    let tagged = sandbox.back_up(["--db", "agents.db", "--tag", "v0.2.0", "--note", "before the release"]);
    sandbox.back_up(["--db", "agents.db"]);
    let shown = sandbox.json(["show", "before:v0.2.0"]);
    assert_eq!(shown["snapshot"]["id"], tagged.file_name().unwrap().to_str().unwrap());
    assert_eq!(shown["snapshot"]["note"], "before the release");
    sandbox.dbops(["show", "tag:v0.2.0"]).fails(2, "before:v0.2.0 is the state before that release");
}

#[test]
fn gzip_serves_who_has_no_zstd() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 500);
    let snapshot = sandbox.back_up(["--db", "agents.db", "--compress", "gzip:6"]);
    let stored = snapshot.join("agents.db.gz");
    let command = format!("gzip -dc {} > by-hand.db", stored.display());
    crate::sandbox::run_in(sandbox.root(), "sh", &["-c", &command]);
    assert_eq!(sandbox.sqlite("by-hand.db", ".dump"), sandbox.sqlite("agents.db", ".dump"));
    sandbox.dbops(["verify"]).success();
}

#[test]
fn foreign_key_violations_are_a_warning_and_come_back_as_they_were() {
    let sandbox = Sandbox::with_repository();
    sandbox.sqlite(
        "agents.db",
        "CREATE TABLE a(id INTEGER PRIMARY KEY); CREATE TABLE b(a REFERENCES a(id)); INSERT INTO b VALUES (7), (8);",
    );
    let ran = sandbox.dbops(["backup", "--db", "agents.db"]).success();
    assert!(ran.stderr.contains("2 rows break a foreign key"), "{}", ran.stderr);
    sandbox.dbops(["restore", "latest", "--into", "copy.db"]).success();
    sandbox.dbops(["--strict", "backup", "--db", "agents.db"]).fails(3, "2 rows break a foreign key");
}

#[test]
fn a_database_that_does_not_exist_yet_is_a_state_when_asked_for() {
    let sandbox = Sandbox::with_repository();
    sandbox.dbops(["backup", "--db", "agents.db"]).fails(30, "--absent-ok");
    let snapshot = sandbox.back_up(["--db", "agents.db", "--absent-ok"]);
    sandbox.database("agents.db", 5);
    let ran = sandbox.dbops(["restore", snapshot.to_str().unwrap(), "--into", "agents.db", "--replace", "--yes"]);
    let ran = ran.success();
    assert!(!sandbox.path("agents.db").exists(), "going back to that state means that there is none");
    assert!(ran.stdout.contains("agents.db.before_"), "{}", ran.stdout);
}

#[test]
fn a_small_file_with_a_log_a_thousand_times_its_size() {
    let sandbox = Sandbox::with_repository();
    sandbox.sqlite("agents.db", "PRAGMA journal_mode = WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, x)");
    let script = ".dbconfig no_ckpt_on_close on
         PRAGMA wal_autocheckpoint = 0;
         INSERT INTO t SELECT value, randomblob(1000) FROM generate_series(1, 60000);
         UPDATE t SET x = randomblob(1000);
         DELETE FROM t WHERE id > 100";
    sandbox.sqlite("agents.db", script);
    let size = |name: &str| fs::metadata(sandbox.path(name)).unwrap().len();
    assert!(size("agents.db") < 20_000 && size("agents.db-wal") > 120_000_000, "the state is in the log alone");
    let snapshot = sandbox.back_up(["--db", "agents.db"]);
    assert!(size("agents.db-wal") > 120_000_000, "the source is left as it was");
    let by_hand = sandbox.restore_by_hand(&snapshot, "agents.db");
    assert_eq!(sandbox.sqlite(by_hand, "SELECT count(*) FROM t"), "100\n");
}
