//! A disk that is full, at every stage: a small file system of its own in a mount namespace of its own.

use std::process::{Command, Stdio};

use crate::sandbox::{Ran, Sandbox};

/// Runs dbops with `folder` on a file system of `kilobytes`, and then the shell line `after`, which sees it too.
fn on_small_disk(sandbox: &Sandbox, folder: &str, kilobytes: u32, dbops: &str, after: &str) -> Ran {
    let program = env!("CARGO_BIN_EXE_dbops");
    let size = format!("{kilobytes}k");
    let script = format!(
        "mkdir -p {folder}; mkdir saved; cp -a {folder}/. saved/ && mount -t tmpfs -o size={size},mode=700 none {folder} \
         && cp -a saved/. {folder}/ && rm -r saved || exit 99\n{program} {dbops}; code=$?\n{after}\nexit $code"
    );
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--mount", "sh", "-c", &script]).current_dir(sandbox.root()).stdin(Stdio::null());
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("TMPDIR", sandbox.path("tmp"));
    let ran = Ran::of(command.output().expect("unshare is installed"));
    assert_ne!(ran.code, 99, "no small disk could be made: {}", ran.stderr);
    ran
}

/// Some 1.2 MB that don't compress.
fn database(sandbox: &Sandbox) {
    sandbox.database("agents.db", 5_000);
}

#[test]
fn of_the_repository() {
    let after = format!("echo LIST; {0} list; echo VERIFY; {0} verify --all; true", env!("CARGO_BIN_EXE_dbops"));
    let mut succeeded = 0;
    for kilobytes in (100..3000).step_by(150) {
        let sandbox = Sandbox::with_repository();
        database(&sandbox);
        let ran = on_small_disk(&sandbox, "backups", kilobytes, "backup --db agents.db", &after);
        let listed = ran.stdout.split("LIST").nth(1).unwrap().split("VERIFY").next().unwrap();
        if ran.code == 0 {
            succeeded += 1;
            assert!(listed.contains("verified"), "{kilobytes} kB: {listed}");
        } else {
            assert_eq!(ran.code, 40, "{kilobytes} kB: {}{}", ran.stdout, ran.stderr);
            assert!(listed.contains("no snapshots"), "{kilobytes} kB: nothing partial is listed: {listed}");
            assert!(!listed.contains("unfinished"), "{kilobytes} kB: it clears what it left: {listed}");
        }
        assert!(sandbox.left_in_tmp().is_empty(), "{kilobytes} kB");
    }
    assert!((1..19).contains(&succeeded), "both must have been seen: {succeeded}");
}

#[test]
fn of_the_temporary_folder() {
    let sandbox = Sandbox::with_repository();
    database(&sandbox);
    let ran = on_small_disk(&sandbox, "small", 500, "backup --db agents.db --temp-dir small", "ls -A small >&2");
    ran.fails(40, "not enough room");
    assert!(sandbox.listed().is_empty());
}

#[test]
fn of_the_target() {
    let sandbox = Sandbox::with_repository();
    database(&sandbox);
    sandbox.back_up(["--db", "agents.db"]);
    let ran = on_small_disk(&sandbox, "small", 500, "restore latest --into small/copy.db", "ls -A small");
    let ran = ran.fails(40, "not enough room");
    assert_eq!(ran.stdout.trim(), "", "nothing is left at the target");
}

#[test]
fn of_the_live_database() {
    let sandbox = Sandbox::with_repository();
    database(&sandbox);
    sandbox.back_up(["--db", "agents.db"]);
    std::fs::create_dir(sandbox.path("live")).unwrap();
    std::fs::rename(sandbox.path("agents.db"), sandbox.path("live/agents.db")).unwrap();
    let after = "sqlite3 live/agents.db 'SELECT count(*) FROM runs; PRAGMA integrity_check'; ls -A live";
    let restore = "restore latest --into live/agents.db --replace --yes";
    let mut refused = 0;
    for kilobytes in [1_700, 2_000, 2_500, 3_500, 5_000, 8_000] {
        let ran = on_small_disk(&sandbox, "live", kilobytes, restore, after);
        assert!(ran.stdout.contains("5000\nok\n"), "{kilobytes} kB: {}{}", ran.stdout, ran.stderr);
        if ran.code != 0 {
            refused += 1;
            assert_eq!(ran.code, 40, "{kilobytes} kB: {}", ran.stderr);
            let left = ran.stdout.lines().last().unwrap();
            assert_eq!(left, "agents.db", "{kilobytes} kB: {}", ran.stdout);
        }
    }
    assert!((1..6).contains(&refused), "both must have been seen: {refused}");
}
