//! Snapshots of every format version stay readable for ever.

use std::fs;
use std::path::Path;

use crate::sandbox::{Sandbox, files_below, run_in};

/// A copy of the golden repository of a format version, as `scripts/golden` made it.
fn golden(version: u32) -> Sandbox {
    let sandbox = Sandbox::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/golden/v{version}"));
    for file in files_below(&source) {
        let target = sandbox.path("backups").join(file.strip_prefix(&source).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, target).unwrap();
    }
    sandbox
}

#[test]
fn version_1() {
    let sandbox = golden(1);
    assert_eq!(sandbox.listed().len(), 2, "one of a database, one of side files alone");
    let verified = sandbox.json(["verify", "--all"]);
    assert_eq!(verified["passed"], true, "{verified}");
    sandbox.dbops(["restore", "latest", "--name", "zoo", "--into", "zoo.db"]).success();
    sandbox.sqlite("fresh.db", include_str!("../../fixtures/zoo.sql"));
    assert_eq!(sandbox.sqlite("zoo.db", ".dump"), sandbox.sqlite("fresh.db", ".dump"));
    assert!(sandbox.path("workflows.json").exists());
    // And the next run writes into it.
    fs::rename(sandbox.path("zoo.db"), sandbox.path("other.db")).unwrap();
    sandbox.back_up(["--db", "other.db", "--name", "zoo"]);
    assert_eq!(sandbox.json(["verify", "--all"])["passed"], true);
}

#[test]
fn version_1_without_dbops() {
    let sandbox = golden(1);
    let folder = fs::read_dir(sandbox.path("backups/zoo")).unwrap().next().unwrap().unwrap().path();
    let by_hand = sandbox.restore_by_hand(&folder, "zoo.db");
    assert_eq!(sandbox.sqlite(by_hand, "PRAGMA user_version"), "42\n");
    run_in(&folder, "jq", &["-e", ".format == 1", "manifest.json"]);
}
