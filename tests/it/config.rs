use std::fs;

use crate::sandbox::Sandbox;

fn configured(text: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("dbops.toml"), text).unwrap();
    sandbox
}

#[test]
fn a_configured_database_needs_no_argument() {
    let sandbox =
        configured("repository = \"store\"\n[database.exam]\nurl = \"data/app.db\"\nfiles = [\"data/w.json\"]\n");
    fs::create_dir(sandbox.path("data")).unwrap();
    sandbox.database("data/app.db", 5);
    fs::write(sandbox.path("data/w.json"), "{}").unwrap();
    sandbox.dbops(["backup"]).fails(10, "dbops init");
    sandbox.dbops(["init"]).success();
    let snapshot = sandbox.back_up::<&str>([]);
    assert!(snapshot.starts_with(sandbox.path("store/exam")), "{}", snapshot.display());
    assert!(snapshot.join("files/w.json.zst").exists());
    sandbox.dbops(["verify"]).success();
}

#[test]
fn mistakes_are_told_with_what_was_meant() {
    for (text, code, told) in [
        ("repositry = \"x\"\n", 9, "repository"),
        ("[database.exam]\nurl = \"a.db\"\nfile = [\"x\"]\n", 9, "files"),
        ("[database.exam]\nurl = \"${EXAM_URL}\"\n", 9, "EXAM_URL"),
        ("[database.exam\n", 9, "dbops.toml"),
        ("[database.exam]\nurl = 7\n", 9, "url"),
        ("[database.exam]\nurl = \"a.db\"\nmigrations = \"m\"\n", 9, "migrations"),
        ("time_zone = \"Mars/Olympus\"\n", 9, "no such time zone"),
    ] {
        let sandbox = configured(text);
        let ran = sandbox.dbops(["list"]).fails(code, told);
        assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
    }
    Sandbox::new().dbops(["--config", "nowhere.toml", "list"]).fails(9, "nowhere.toml");
}

#[test]
fn variables_come_from_the_environment_or_a_file() {
    let sandbox = configured("[database.exam]\nurl = \"${EXAM_URL}\"\n");
    sandbox.database("app.db", 5);
    sandbox.dbops(["--repository", "r", "init"]).fails(9, "EXAM_URL");
    fs::write(sandbox.path(".env"), "export EXAM_URL='sqlite:app.db' # the application's\n").unwrap();
    sandbox.dbops(["--env-file", ".env", "--repository", "r", "init"]).success();
    sandbox.dbops(["--env-file", ".env", "--repository", "r", "backup"]).success();
}

#[test]
fn database_url_serves_where_nothing_is_configured() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("app.db", 5);
    let output = sandbox.command(["backup"]).env("DATABASE_URL", "sqlite:///app.db").output().unwrap();
    let ran = crate::sandbox::Ran::of(output).success();
    assert!(ran.last_line().contains("/app/app_2"), "{}", ran.stdout);
}

#[test]
fn a_protected_database_is_not_replaced() {
    let sandbox = configured("[database.exam]\nurl = \"app.db\"\nprotected = true\n");
    sandbox.database("app.db", 5);
    sandbox.dbops(["init"]).success();
    sandbox.back_up::<&str>([]);
    for into in ["app.db", "exam", "./app.db", "sqlite:app.db"] {
        let restore = ["restore", "latest", "--into", into, "--replace", "--yes"];
        sandbox.dbops(restore).fails(24, "exam is protected");
    }
}

#[test]
fn several_configured_and_none_named_is_a_question() {
    let sandbox = configured("[database.one]\nurl = \"1.db\"\n[database.two]\nurl = \"2.db\"\n");
    sandbox.dbops(["init"]).success();
    sandbox.dbops(["backup"]).fails(2, "one, two");
    sandbox.database("2.db", 5);
    sandbox.dbops(["backup", "--db", "two"]).success();
}
