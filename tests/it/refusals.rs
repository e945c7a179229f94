//! Bad input gets a clear error, its exit code, and changes nothing.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};

use crate::sandbox::{Ran, Sandbox, names_in};

/// The backup of this fails so, stores nothing and leaves nothing.
fn check_refused(sandbox: &Sandbox, database: &str, code: i32, text: &str) {
    sandbox.dbops(["backup", "--db", database]).fails(code, text);
    assert!(sandbox.listed().is_empty());
    assert!(sandbox.left_in_tmp().is_empty());
    let orphans = sandbox.json(["list"])["orphans"].clone();
    assert_eq!(orphans, serde_json::json!([]), "nothing partial is left");
}

#[test]
fn what_is_no_database() {
    let sandbox = Sandbox::with_repository();
    fs::write(sandbox.path("text.db"), "hello, I am not a database, although my name says so".repeat(30)).unwrap();
    check_refused(&sandbox, "text.db", 31, "file is not a database");
    fs::write(sandbox.path("empty.db"), "").unwrap();
    check_refused(&sandbox, "empty.db", 31, "empty");
    fs::create_dir(sandbox.path("folder.db")).unwrap();
    check_refused(&sandbox, "folder.db", 31, "folder");
    let noise: Vec<u8> = (0..8192u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fs::write(sandbox.path("encrypted.db"), noise).unwrap();
    check_refused(&sandbox, "encrypted.db", 31, "encrypted");
    check_refused(&sandbox, "missing.db", 30, "--absent-ok");
    check_refused(&sandbox, ":memory:", 9, "memory");
}

#[test]
fn a_damaged_database() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 500);
    let good = sandbox.back_up(["--db", "agents.db"]);
    let mut bytes = fs::read(sandbox.path("agents.db")).unwrap();
    let page = 4096 * 5;
    bytes[page..page + 400].fill(0xee);
    fs::write(sandbox.path("agents.db"), bytes).unwrap();
    let ran = sandbox.dbops(["backup", "--db", "agents.db"]).fails(22, "is damaged");
    assert!(ran.stderr.contains("earlier snapshots stand"), "{}", ran.stderr);
    assert_eq!(sandbox.listed().len(), 1);
    let ran = sandbox.dbops(["backup", "--db", "agents.db", "--keep-damaged"]);
    assert_eq!(ran.code, 22, "{}", ran.stderr);
    assert_eq!(sandbox.listed().len(), 2);
    let verified = sandbox.json(["show", "latest-verified"]);
    assert_eq!(verified["snapshot"]["id"], good.file_name().unwrap().to_str().unwrap());
    sandbox.dbops(["forget", "--keep-last", "1"]).success();
    assert!(good.join("SHA256SUMS").exists(), "a damaged one never replaces a good one");
}

/// Without rights, which root always has: as another user in a user namespace of its own.
fn as_nobody(sandbox: &Sandbox, arguments: &[&str]) -> Ran {
    let command = sandbox.command(["placeholder"]);
    let mut wrapped = Command::new("setpriv");
    if rustix::process::geteuid().is_root() {
        wrapped.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
    } else {
        wrapped.arg("--");
    }
    wrapped.arg(command.get_program()).args(arguments).current_dir(sandbox.root());
    wrapped.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    wrapped.stdin(Stdio::null());
    Ran::of(wrapped.output().expect("setpriv is installed"))
}

#[test]
fn no_right_to_read() {
    let sandbox = Sandbox::new();
    sandbox.database("agents.db", 5);
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(sandbox.root(), open.clone()).unwrap();
    fs::set_permissions(sandbox.path("tmp"), open).unwrap();
    fs::set_permissions(sandbox.path("agents.db"), fs::Permissions::from_mode(0o000)).unwrap();
    as_nobody(&sandbox, &["init"]).success();
    as_nobody(&sandbox, &["backup", "--db", "agents.db"]).fails(31, "agents.db");
    fs::set_permissions(sandbox.path("agents.db"), fs::Permissions::from_mode(0o444)).unwrap();
    as_nobody(&sandbox, &["backup", "--db", "agents.db"]).success();
    fs::create_dir(sandbox.path("closed")).unwrap();
    fs::set_permissions(sandbox.path("closed"), fs::Permissions::from_mode(0o555)).unwrap();
    as_nobody(&sandbox, &["restore", "latest", "--into", "closed/copy.db"]).fails(24, "can't be written");
    as_nobody(&sandbox, &["--repository", "closed/backups", "init"]).fails(40, "closed");
}

#[test]
fn a_hot_journal_that_cannot_be_rolled_back() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 200);
    let script = "PRAGMA cache_size = 5; PRAGMA cache_spill = 1; BEGIN; UPDATE runs SET payload = zeroblob(250);
                  SELECT 1;\n";
    let mut writer = Command::new("sqlite3");
    writer.arg(sandbox.path("agents.db")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut writer = writer.spawn().unwrap();
    std::io::Write::write_all(writer.stdin.as_mut().unwrap(), script.as_bytes()).unwrap();
    let mut answer = [0; 2];
    std::io::Read::read_exact(writer.stdout.as_mut().unwrap(), &mut answer).unwrap();
    let closed = sandbox.path("closed");
    fs::create_dir(&closed).unwrap();
    for name in ["agents.db", "agents.db-journal"] {
        fs::copy(sandbox.path(name), closed.join(name)).unwrap();
        fs::set_permissions(closed.join(name), fs::Permissions::from_mode(0o444)).unwrap();
    }
    writer.kill().unwrap();
    writer.wait().unwrap();
    let open = sandbox.path("open");
    fs::create_dir(&open).unwrap();
    for name in ["agents.db", "agents.db-journal"] {
        fs::copy(closed.join(name), open.join(name)).unwrap();
        fs::set_permissions(open.join(name), fs::Permissions::from_mode(0o666)).unwrap();
    }
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(sandbox.root(), fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(sandbox.path("tmp"), fs::Permissions::from_mode(0o777)).unwrap();
    as_nobody(&sandbox, &["--repository", "r", "init"]).success();
    let refused = as_nobody(&sandbox, &["--repository", "r", "backup", "--db", "closed/agents.db"]);
    refused.fails(31, "journal");
    as_nobody(&sandbox, &["--repository", "r", "backup", "--db", "open/agents.db"]).success();
    as_nobody(&sandbox, &["--repository", "r", "restore", "latest", "--into", "copy.db"]).success();
    assert_eq!(sandbox.sqlite("copy.db", "SELECT count(*) FROM runs WHERE payload = zeroblob(250)"), "0\n");
}

#[test]
fn the_folder_of_another_database() {
    let sandbox = Sandbox::with_repository();
    for folder in ["one", "two"] {
        fs::create_dir(sandbox.path(folder)).unwrap();
        sandbox.database(&format!("{folder}/agents.db"), 5);
    }
    sandbox.back_up(["--db", "one/agents.db"]);
    let ran = sandbox.dbops(["backup", "--db", "two/agents.db"]).fails(24, "--name");
    assert!(ran.stderr.contains("one/agents.db") && ran.stderr.contains("two/agents.db"), "{}", ran.stderr);
    sandbox.back_up(["--db", "two/agents.db", "--name", "agents-two"]);
    sandbox.dbops(["verify", "latest"]).fails(2, "of which database?");
    sandbox.dbops(["verify", "latest", "--db", "one/agents.db"]).success();
    sandbox.dbops(["verify", "latest", "--name", "agents-two"]).success();
}

#[test]
fn the_latest_of_another_source() {
    let sandbox = Sandbox::with_repository();
    for folder in ["one", "two"] {
        fs::create_dir(sandbox.path(folder)).unwrap();
        sandbox.database(&format!("{folder}/agents.db"), 5);
    }
    let first = sandbox.back_up(["--db", "one/agents.db", "--name", "shared"]);
    sandbox.back_up(["--db", "two/agents.db", "--name", "shared"]);
    let restore = ["restore", "latest", "--db", "one/agents.db", "--name", "shared", "--into", "copy.db"];
    let ran = sandbox.dbops(restore).fails(24, "was taken from another source");
    assert!(ran.stderr.contains("--any-source"), "{}", ran.stderr);
    assert!(!sandbox.path("copy.db").exists());
    sandbox.dbops(restore.iter().chain(&["--any-source"])).success();
    let id = first.file_name().unwrap().to_str().unwrap();
    sandbox.dbops(["restore", id, "--into", "first.db"]).success();
}

#[test]
fn ids_that_name_none_or_two() {
    let sandbox = Sandbox::with_repository();
    sandbox.dbops(["verify", "latest"]).fails(10, "no snapshot matches");
    sandbox.database("agents.db", 5);
    sandbox.back_up(["--db", "agents.db"]);
    sandbox.back_up(["--db", "agents.db"]);
    sandbox.dbops(["restore", "agents_2", "--into", "copy.db"]).fails(2, "matches 2 snapshots");
    sandbox.dbops(["show", "nobody"]).fails(10, "no snapshot matches \"nobody\"");
    assert!(!sandbox.path("copy.db").exists());
}

#[test]
fn repositories_that_are_none_or_too_new() {
    let sandbox = Sandbox::new();
    sandbox.database("agents.db", 5);
    sandbox.dbops(["list"]).fails(10, "there is no repository at");
    sandbox.dbops(["--repository", "nowhere", "backup", "--db", "agents.db"]).fails(10, "dbops init");
    assert!(!sandbox.path("nowhere").exists(), "a chosen place is more often a disk that is not mounted");
    sandbox.dbops(["init"]).success();
    sandbox.dbops(["init"]).fails(24, "already");
    let file = sandbox.path("backups/.dbops/repository.json");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("\"format\": 1", "\"format\": 2").replace("\"format\":1", "\"format\":2")).unwrap();
    sandbox.dbops(["backup", "--db", "agents.db"]).fails(10, "newer");
    fs::write(&file, &text[..text.len() / 2]).unwrap();
    sandbox.dbops(["list"]).fails(20, "repository.json");
}

#[test]
fn paths_that_lead_out_of_the_snapshot() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 5);
    let snapshot = sandbox.back_up(["--db", "agents.db"]);
    let manifest = snapshot.join("manifest.json");
    let good = fs::read_to_string(&manifest).unwrap();
    let sums = fs::read_to_string(snapshot.join("SHA256SUMS")).unwrap();
    for name in ["../../../etc/passwd", "/etc/passwd", "a/../../b"] {
        let bad = good.replace("agents.db.zst", name);
        fs::write(&manifest, &bad).unwrap();
        // The digest is made right, as whoever wants to be let in would.
        let digest = crate::sandbox::run_in(&snapshot, "sha256sum", &["manifest.json"]);
        let lines: Vec<String> = sums
            .lines()
            .map(|line| if line.ends_with("manifest.json") { digest.trim().to_owned() } else { line.to_owned() })
            .collect();
        fs::write(snapshot.join("SHA256SUMS"), lines.join("\n") + "\n").unwrap();
        sandbox.dbops(["restore", "latest", "--into", "copy.db"]).fails(20, "manifest");
        assert_eq!(sandbox.dbops(["verify"]).code, 20, "{name}");
    }
    fs::write(&manifest, good).unwrap();
    fs::write(snapshot.join("SHA256SUMS"), sums).unwrap();
    let stored = snapshot.join("agents.db.zst");
    fs::rename(&stored, sandbox.path("elsewhere.zst")).unwrap();
    symlink(sandbox.path("elsewhere.zst"), &stored).unwrap();
    sandbox.dbops(["restore", "latest", "--into", "copy.db"]).fails(24, "agents.db.zst");
    assert!(!sandbox.path("copy.db").exists());
}

#[test]
fn a_manifest_too_large_to_be_one() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 5);
    let snapshot = sandbox.back_up(["--db", "agents.db"]);
    let manifest = fs::OpenOptions::new().write(true).open(snapshot.join("manifest.json")).unwrap();
    manifest.set_len(1 << 30).unwrap();
    sandbox.dbops(["restore", "latest", "--into", "copy.db"]).fails(20, "manifest.json");
    assert_eq!(sandbox.dbops(["verify"]).code, 20);
    let list = sandbox.dbops(["list"]);
    assert_eq!(list.code, 20);
    assert!(list.stdout.contains("UNREADABLE"), "{}", list.stdout);
}

#[test]
fn a_full_temporary_folder_is_seen_before_the_work() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 5);
    let ran = sandbox.dbops(["backup", "--db", "agents.db", "--temp-dir", "nowhere"]);
    ran.fails(40, "nowhere");
    assert!(sandbox.listed().is_empty());
}

#[test]
fn a_second_run_says_who_holds_the_first() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 5);
    let fifo = sandbox.path("side.json");
    sandbox.back_up(["--db", "agents.db"]);
    drop(fifo);
    // A lease as a live run elsewhere would hold it.
    let locks = sandbox.path("backups/.dbops/locks/agents");
    let newest = names_in(&locks).pop().unwrap();
    let mut lease: serde_json::Value = serde_json::from_slice(&fs::read(locks.join(&newest)).unwrap()).unwrap();
    let number: u64 = newest.parse().unwrap();
    lease["generation"] = (number + 1).into();
    lease["released"] = false.into();
    lease["operation"] = "backup".into();
    lease["holder"]["host"] = "another-host".into();
    lease["holder"]["pid"] = 4242.into();
    lease["expires_at"] = "2999-01-01T00:00:00Z".into();
    fs::write(locks.join(format!("{:06}", number + 1)), lease.to_string()).unwrap();
    let ran = sandbox.dbops(["backup", "--db", "agents.db"]).fails(11, "is locked");
    assert!(ran.stderr.contains("another-host") && ran.stderr.contains("4242"), "{}", ran.stderr);
    sandbox.dbops(["forget", "--keep-last", "1"]).fails(11, "is locked");
    sandbox.dbops(["verify"]).success();
}

#[test]
fn command_lines_that_make_no_sense() {
    let sandbox = Sandbox::with_repository();
    sandbox.dbops(["backup", "--dbb", "x"]).fails(2, "--dbb");
    sandbox.dbops(["backup"]).fails(2, "no database");
    sandbox.dbops(["frobnicate"]).fails(2, "frobnicate");
    sandbox.dbops(["backup", "--db", "a.db", "--compress", "lz4"]).fails(2, "unknown compression");
    sandbox.dbops(["backup", "--db", "a.db", "--jobs", "0"]).fails(2, "--jobs");
    sandbox.dbops(["forget", "--orphans", "--keep-last", "1"]).fails(2, "--orphans");
    sandbox.database("agents.db", 5);
    sandbox.back_up(["--db", "agents.db"]);
    sandbox.dbops(["restore", "latest"]).fails(2, "--into");
    sandbox.dbops(["backup", "--db", "postgres://app:hush@db/exam"]).fails(9, "PostgreSQL");
}

#[test]
fn a_password_never_shows() {
    let sandbox = Sandbox::with_repository();
    for url in ["postgres://app:hush@db/exam", "postgresql+psycopg://app:hush@db:5432/exam?sslpassword=hush"] {
        let ran = sandbox.dbops(["backup", "--db", url]);
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("hush"), "{}", ran.stderr);
    }
}
