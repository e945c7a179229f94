use std::fs;

use crate::sandbox::{Sandbox, names_in};

#[test]
fn replace_puts_the_old_state_back_and_keeps_the_present_one() {
    for journal in ["DELETE", "WAL", "TRUNCATE"] {
        let sandbox = Sandbox::with_repository();
        sandbox.database("agents.db", 100);
        sandbox.sqlite("agents.db", &format!("PRAGMA journal_mode = {journal}"));
        sandbox.back_up(["--db", "agents.db"]);
        sandbox.sqlite("agents.db", "DELETE FROM runs WHERE id > 10; CREATE TABLE later(x)");
        let damaged = sandbox.sqlite("agents.db", ".dump");
        let ran = sandbox.dbops(["restore", "latest", "--into", "agents.db", "--replace", "--yes"]).success();
        assert_eq!(sandbox.sqlite("agents.db", "SELECT count(*) FROM runs"), "100\n", "{journal}");
        assert_eq!(sandbox.sqlite("agents.db", "SELECT count(*) FROM sqlite_schema WHERE name = 'later'"), "0\n");
        let kept = names_in(sandbox.root()).into_iter().find(|name| name.starts_with("agents.db.before_")).unwrap();
        assert!(ran.stdout.contains(&kept), "{}", ran.stdout);
        assert_eq!(sandbox.sqlite(&kept, ".dump"), damaged, "{journal}");
        assert!(sandbox.left_in_tmp().is_empty());
    }
}

#[test]
fn what_is_there_is_not_overwritten() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 10);
    sandbox.back_up(["--db", "agents.db"]);
    let before = fs::read(sandbox.path("agents.db")).unwrap();
    sandbox.dbops(["restore", "latest", "--into", "agents.db"]).fails(24, "--replace");
    assert_eq!(fs::read(sandbox.path("agents.db")).unwrap(), before);
    fs::write(sandbox.path("new.db-wal"), "somebody else's").unwrap();
    sandbox.dbops(["restore", "latest", "--into", "new.db"]).fails(24, "new.db-wal");
    assert!(!sandbox.path("new.db").exists());
}

#[test]
fn replacing_needs_a_yes() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 10);
    sandbox.back_up(["--db", "agents.db"]);
    sandbox.sqlite("agents.db", "DELETE FROM runs");
    sandbox.dbops(["restore", "latest", "--into", "agents.db", "--replace"]).fails(24, "needs a yes");
    assert_eq!(sandbox.sqlite("agents.db", "SELECT count(*) FROM runs"), "0\n");
}

#[test]
fn a_replace_across_page_sizes() {
    let sandbox = Sandbox::with_repository();
    sandbox.sqlite("agents.db", "PRAGMA page_size = 8192; CREATE TABLE t(x); INSERT INTO t VALUES (1)");
    sandbox.back_up(["--db", "agents.db"]);
    for journal in ["DELETE", "WAL"] {
        let live = format!("live-{journal}.db");
        let script = format!("PRAGMA page_size = 1024; PRAGMA journal_mode = {journal}; CREATE TABLE other(y)");
        sandbox.sqlite(&live, &script);
        sandbox.dbops(["restore", "latest", "--into", &live, "--replace", "--yes"]).success();
        assert_eq!(sandbox.sqlite(&live, "SELECT x FROM t; PRAGMA integrity_check"), "1\nok\n", "{journal}");
    }
}

#[test]
fn all_that_a_restore_leaves_is_the_database() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 10);
    sandbox.back_up(["--db", "agents.db"]);
    fs::create_dir(sandbox.path("target")).unwrap();
    sandbox.dbops(["restore", "latest", "--into", "target/agents.db"]).success();
    assert_eq!(names_in(&sandbox.path("target")), ["agents.db"]);
}

#[test]
fn url_forms_of_sqlite_are_understood() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 10);
    let absolute = format!("sqlite:///{}", sandbox.path("agents.db").display());
    let file = format!("file:{}?mode=rw", sandbox.path("agents.db").display());
    for url in ["sqlite:///agents.db", "sqlite:agents.db", &absolute, &file, "./agents.db"] {
        sandbox.back_up(["--db", url]);
    }
    assert_eq!(sandbox.listed().len(), 5);
    sandbox.dbops(["restore", "latest", "--into", "sqlite:///copy.db"]).success();
    assert!(sandbox.path("copy.db").exists());
}

/// Runs a replace on a terminal on which `typed` is typed.
fn asked(sandbox: &Sandbox, typed: &str) -> i32 {
    let program = env!("CARGO_BIN_EXE_dbops");
    let restore = format!("{program} restore latest --into agents.db --replace");
    let mut terminal = std::process::Command::new("script");
    terminal.args(["-qec", &restore, "/dev/null"]).current_dir(sandbox.root()).env("TERM", "xterm");
    let mut terminal =
        terminal.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut shown = terminal.stdout.take().unwrap();
    let mut text = String::new();
    while !text.contains("[y/N]") {
        let mut next = [0; 200];
        let read = std::io::Read::read(&mut shown, &mut next).unwrap();
        assert!(read > 0, "it ended without asking: {text}");
        text.push_str(&String::from_utf8_lossy(&next[..read]));
    }
    assert!(text.contains("replacing SQLite database"), "what is lost is named: {text}");
    let mut keyboard = terminal.stdin.take().unwrap();
    std::io::Write::write_all(&mut keyboard, typed.as_bytes()).unwrap();
    let drained = std::thread::spawn(move || std::io::copy(&mut shown, &mut std::io::sink()));
    let code = terminal.wait().unwrap().code().unwrap();
    drained.join().unwrap().unwrap();
    code
}

#[test]
fn on_a_terminal_it_asks_and_only_yes_is_yes() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 10);
    sandbox.back_up(["--db", "agents.db"]);
    sandbox.sqlite("agents.db", "DELETE FROM runs");
    // No, anything else, nothing, and Ctrl-C.
    for (typed, code) in [("n\n", 24), ("maybe\n", 24), ("\n", 24), ("\u{3}", 130)] {
        assert_eq!(asked(&sandbox, typed), code, "{typed:?}");
        assert_eq!(sandbox.sqlite("agents.db", "SELECT count(*) FROM runs"), "0\n", "{typed:?}");
    }
    assert_eq!(asked(&sandbox, "y\n"), 0);
    assert_eq!(sandbox.sqlite("agents.db", "SELECT count(*) FROM runs"), "10\n");
}
