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
