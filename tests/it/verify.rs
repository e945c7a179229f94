use std::fs;
use std::path::Path;

use crate::sandbox::{Sandbox, files_below};

/// A snapshot whose data file has several frames, with a side file.
fn with_snapshot() -> (Sandbox, std::path::PathBuf) {
    let sandbox = Sandbox::with_repository();
    sandbox.sqlite(
        "agents.db",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, x BLOB);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
         INSERT INTO t SELECT i, randomblob(4000) FROM n",
    );
    fs::write(sandbox.path("workflows.json"), r#"{"workflows": [1, 2, 3]}"#).unwrap();
    let snapshot = sandbox.back_up(["--db", "agents.db", "--files", "workflows.json", "--compress", "zstd:1"]);
    (sandbox, snapshot)
}

#[test]
fn a_good_snapshot_is_good_by_every_name() {
    let (sandbox, snapshot) = with_snapshot();
    let id = snapshot.file_name().unwrap().to_str().unwrap().to_owned();
    for asked in ["latest", "latest-verified", &id, &id[..14], snapshot.to_str().unwrap()] {
        let verified = sandbox.json(["verify", asked]);
        assert_eq!(verified["passed"], true, "{asked}: {verified}");
        assert!(verified["snapshots"][0]["frames"].as_u64().unwrap() >= 4, "{verified}");
    }
    sandbox.dbops(["verify", "--all"]).success();
    let quick = sandbox.dbops(["verify", "--quick"]).success();
    assert!(quick.stdout.contains("their content was not read"), "{}", quick.stdout);
}

/// Changes `file` by `damage`, expects verify to name it, and puts it back.
fn check_noticed(sandbox: &Sandbox, file: &Path, what: &str, damage: impl FnOnce(&mut Vec<u8>)) {
    let good = fs::read(file).unwrap();
    let mut bad = good.clone();
    damage(&mut bad);
    assert_ne!(bad, good, "{what}: nothing was damaged");
    fs::write(file, &bad).unwrap();
    let ran = sandbox.dbops(["verify", "--all"]);
    assert_eq!(ran.code, 20, "{what} of {}: the checker is broken: {}{}", file.display(), ran.stdout, ran.stderr);
    let name = file.file_name().unwrap().to_str().unwrap();
    let told = format!("{}{}", ran.stdout, ran.stderr);
    assert!(told.contains(name), "{what} of {name} is told without its name: {told}");
    fs::write(file, good).unwrap();
}

#[test]
fn damage_in_every_kind_of_file_is_noticed_and_named() {
    let (sandbox, snapshot) = with_snapshot();
    for file in files_below(&snapshot) {
        let length = fs::metadata(&file).unwrap().len() as usize;
        for at in [0, length / 3, length / 2, length - 1] {
            check_noticed(&sandbox, &file, "a flipped bit", |bytes| bytes[at] ^= 0x10);
        }
        check_noticed(&sandbox, &file, "a cut", |bytes| bytes.truncate(length / 2));
        check_noticed(&sandbox, &file, "an empty file", Vec::clear);
        check_noticed(&sandbox, &file, "an appended byte", |bytes| bytes.push(0));
    }
    sandbox.dbops(["verify", "--all"]).success();
}

#[test]
fn the_frame_is_named() {
    let (sandbox, snapshot) = with_snapshot();
    let file = snapshot.join("agents.db.zst");
    let mut bytes = fs::read(&file).unwrap();
    let last = bytes.len() - 10;
    bytes[last] ^= 1;
    fs::write(&file, bytes).unwrap();
    let verified = sandbox.dbops(["verify", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&verified.stdout).unwrap();
    assert_eq!(verified.code, 20);
    let subjects = document["snapshots"][0]["findings"].to_string();
    assert!(subjects.contains("agents.db.zst") && subjects.contains("frame 3"), "{subjects}");
    let list = sandbox.dbops(["list"]).success();
    assert!(list.stdout.contains("DAMAGED"), "{}", list.stdout);
    sandbox.dbops(["show", "latest-verified"]).fails(10, "no snapshot matches");
}

#[test]
fn missing_and_foreign_files_are_noticed() {
    let (sandbox, snapshot) = with_snapshot();
    fs::write(snapshot.join("stray.txt"), "not ours").unwrap();
    let ran = sandbox.dbops(["verify"]).success();
    assert!(ran.stdout.contains("stray.txt"), "{}", ran.stdout);
    fs::remove_file(snapshot.join("agents.db.zst")).unwrap();
    for depth in [&["verify"][..], &["verify", "--quick"]] {
        let ran = sandbox.dbops(depth);
        assert_eq!(ran.code, 20, "{}", ran.stdout);
        assert!(ran.stdout.contains("agents.db.zst"), "{}", ran.stdout);
    }
}

#[test]
fn damaged_evidence_costs_proofs_not_snapshots() {
    let (sandbox, _) = with_snapshot();
    let newest = sandbox.back_up(["--db", "agents.db"]);
    let newest = newest.file_name().unwrap().to_str().unwrap();
    fs::write(sandbox.path("backups/.dbops/evidence/agents/000001.json"), "{").unwrap();
    let list = sandbox.dbops(["list"]).success();
    assert!(list.stderr.contains("000001.json is lost"), "{}", list.stderr);
    assert_eq!(list.stdout.matches("verified").count(), 1, "what was proven there is not: {}", list.stdout);
    sandbox.dbops(["forget", "--keep-last", "1"]).success();
    assert_eq!(sandbox.listed().len(), 2, "nothing is decided on a proof that was lost");
    sandbox.dbops(["restore", "latest", "--into", "copy.db", "--no-files"]).success();
    assert_eq!(sandbox.json(["show", "latest-verified"])["snapshot"]["id"], newest);
    sandbox.dbops(["verify", "--all"]).success();
    sandbox.dbops(["forget", "--keep-last", "1"]).success();
    assert_eq!(sandbox.listed(), [newest]);
}

#[test]
fn a_restore_of_damaged_bytes_changes_nothing() {
    let (sandbox, snapshot) = with_snapshot();
    let file = snapshot.join("agents.db.zst");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let before = sandbox.sqlite("agents.db", ".sha3sum");
    sandbox.dbops(["restore", "latest", "--into", "copy.db", "--no-files"]).fails(20, "agents.db.zst");
    sandbox.dbops(["restore", "latest", "--into", "agents.db", "--replace", "--yes"]).fails(20, "agents.db.zst");
    assert!(!sandbox.path("copy.db").exists());
    assert_eq!(sandbox.sqlite("agents.db", ".sha3sum"), before);
    assert!(sandbox.left_in_tmp().is_empty());
}
