use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::sandbox::{Sandbox, names_in};

#[test]
fn side_files_come_back_with_the_database() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 5);
    fs::create_dir(sandbox.path("data")).unwrap();
    fs::write(sandbox.path("data/workflows.json"), r#"{"drafts": []}"#).unwrap();
    fs::write(sandbox.path("notes.bin"), vec![7; 9_000_000]).unwrap();
    fs::set_permissions(sandbox.path("notes.bin"), fs::Permissions::from_mode(0o640)).unwrap();
    let snapshot = sandbox.back_up(["--db", "agents.db", "--files", "data/workflows.json", "notes.bin"]);
    assert!(snapshot.join("files/data/workflows.json.zst").exists());
    fs::create_dir(sandbox.path("target")).unwrap();
    sandbox.dbops(["restore", "latest", "--into", "target/agents.db"]).success();
    let restored = fs::read_to_string(sandbox.path("target/data/workflows.json")).unwrap();
    assert_eq!(restored, r#"{"drafts": []}"#);
    assert_eq!(fs::read(sandbox.path("target/notes.bin")).unwrap(), vec![7; 9_000_000]);
    let mode = fs::metadata(sandbox.path("target/notes.bin")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    let shown = sandbox.json(["show"]);
    let side = &shown["side_files"][0];
    assert!(side["gap_ms"].is_i64() && side["taken_at"].is_string(), "each has its instant and the gap: {side}");
}

#[test]
fn present_side_files_are_not_overwritten_and_replaced_ones_kept() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 5);
    fs::write(sandbox.path("w.json"), "1").unwrap();
    sandbox.back_up(["--db", "agents.db", "--files", "w.json"]);
    fs::write(sandbox.path("w.json"), "2").unwrap();
    sandbox.dbops(["restore", "latest", "--into", "copy.db"]).fails(24, "w.json");
    assert!(!sandbox.path("copy.db").exists(), "database and side files come together or not at all");
    sandbox.dbops(["restore", "latest", "--into", "copy.db", "--no-files"]).success();
    sandbox.dbops(["restore", "latest", "--into", "agents.db", "--replace", "--yes"]).success();
    assert_eq!(fs::read_to_string(sandbox.path("w.json")).unwrap(), "1");
    let kept = names_in(sandbox.root()).into_iter().find(|name| name.starts_with("w.json.before_")).unwrap();
    assert_eq!(fs::read_to_string(sandbox.path(&kept)).unwrap(), "2");
}

#[test]
fn a_json_store_alone_is_a_state() {
    let sandbox = Sandbox::with_repository();
    fs::write(sandbox.path("vault.json"), r#"{"a": 1}"#).unwrap();
    let snapshot = sandbox.back_up(["--files", "vault.json"]);
    assert!(snapshot.starts_with(sandbox.path("backups/vault")), "{}", snapshot.display());
    sandbox.dbops(["verify"]).success();
    fs::create_dir(sandbox.path("out")).unwrap();
    sandbox.dbops(["restore", "latest", "--files-into", "out"]).success();
    assert_eq!(fs::read_to_string(sandbox.path("out/vault.json")).unwrap(), r#"{"a": 1}"#);
}

#[test]
fn cut_json_is_an_error_that_names_the_place() {
    let sandbox = Sandbox::with_repository();
    fs::write(sandbox.path("vault.json"), "{\n  \"a\": [1, 2").unwrap();
    sandbox.dbops(["backup", "--files", "vault.json"]).fails(22, "line 2");
    assert!(sandbox.listed().is_empty());
}

#[test]
fn two_of_one_name_are_refused() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 5);
    for folder in ["/elsewhere", "/other"] {
        let folder = sandbox.path(&folder[1..]);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("w.json"), "1").unwrap();
    }
    fs::create_dir(sandbox.path("data")).unwrap();
    fs::rename(sandbox.path("agents.db"), sandbox.path("data/agents.db")).unwrap();
    let backup = ["backup", "--db", "data/agents.db", "--files", "elsewhere/w.json", "other/w.json"];
    sandbox.dbops(backup).fails(2, "both be restored as w.json");
}

#[test]
fn the_database_is_no_side_file_of_its_own() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 5);
    fs::hard_link(sandbox.path("agents.db"), sandbox.path("same.db")).unwrap();
    for file in ["agents.db", "./agents.db", "agents.db-wal", "same.db"] {
        let ran = sandbox.dbops(["backup", "--db", "agents.db", "--files", file]);
        ran.fails(2, "belongs to the database itself");
    }
    assert!(sandbox.listed().is_empty());
}

#[test]
fn one_that_does_not_exist_yet_is_recorded_as_absent() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 5);
    let ran = sandbox.dbops(["backup", "--db", "agents.db", "--files", "w.json"]).success();
    assert!(ran.stderr.contains("recorded as absent"), "{}", ran.stderr);
    fs::write(sandbox.path("w.json"), "2").unwrap();
    sandbox.dbops(["restore", "latest", "--into", "agents.db", "--replace", "--yes"]).success();
    assert!(!sandbox.path("w.json").exists(), "it did not exist in that state");
    assert!(names_in(sandbox.root()).iter().any(|name| name.starts_with("w.json.before_")));
}

#[test]
fn one_that_never_holds_still_is_an_error() {
    let sandbox = Sandbox::with_repository();
    fs::write(sandbox.path("log.bin"), vec![0; 4_000_000]).unwrap();
    let script = "import sys\nf = open(sys.argv[1], 'r+b', buffering=0)\nprint('on', flush=True)\n\
                  i = 0\nwhile True:\n    f.seek(i % 4000000); f.write(b'x'); i += 4093\n";
    let mut writer = std::process::Command::new("python3");
    writer.args(["-c", script]).arg(sandbox.path("log.bin")).stdout(std::process::Stdio::piped());
    let mut writer = writer.spawn().expect("python3 is installed");
    let mut on = [0; 3];
    std::io::Read::read_exact(writer.stdout.as_mut().unwrap(), &mut on).unwrap();
    let ran = sandbox.dbops(["backup", "--files", "log.bin"]);
    writer.kill().unwrap();
    writer.wait().unwrap();
    ran.fails(22, "changed while it was read");
    assert!(sandbox.listed().is_empty());
    assert!(sandbox.left_in_tmp().is_empty());
}
