//! Two processes at once: one stopped in the midst of its work, the other told so, or let in once it is dead.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::sandbox::{Sandbox, files_below};

/// A process stopped by a signal; killed when dropped.
struct Stopped(Child);

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success(), "kill {name}");
}

impl Stopped {
    /// Starts a run and stops it as soon as `reached` holds.
    fn when(sandbox: &Sandbox, arguments: &[&str], reached: impl Fn() -> bool) -> Self {
        let mut command = sandbox.command(arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("dbops starts");
        let began = Instant::now();
        while !reached() {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it could be stopped");
            assert!(began.elapsed() < Duration::from_secs(30), "it never came so far");
            std::thread::sleep(Duration::from_micros(200));
        }
        signal(&child, "-STOP");
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be stopped");
        Self(child)
    }

    fn id(&self) -> String {
        self.0.id().to_string()
    }

    /// Lets it go on; its exit code.
    fn resume(mut self) -> Option<i32> {
        signal(&self.0, "-CONT");
        self.0.wait().unwrap().code()
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Large enough that a run over it can be stopped in time.
fn large_database(sandbox: &Sandbox) {
    sandbox.database("agents.db", 100_000);
}

fn some_file(folder: &Path) -> bool {
    folder.exists() && !files_below(folder).is_empty()
}

/// A folder of a snapshot that is not there yet, with something in it.
fn writes_beside(database: PathBuf, known: Vec<PathBuf>) -> impl Fn() -> bool {
    move || {
        let Ok(entries) = std::fs::read_dir(&database) else { return false };
        entries.flatten().map(|entry| entry.path()).any(|path| !known.contains(&path) && some_file(&path))
    }
}

#[test]
fn the_second_is_told_who_is_at_it_and_let_in_once_that_one_is_dead() {
    let sandbox = Sandbox::with_repository();
    large_database(&sandbox);
    let first = sandbox.back_up(["--db", "agents.db"]);
    let known = vec![first.clone()];
    let reached = writes_beside(sandbox.path("backups/agents"), known);
    let stopped = Stopped::when(&sandbox, &["backup", "--db", "agents.db"], reached);
    let refused = sandbox.dbops(["backup", "--db", "agents.db"]).fails(11, "agents is locked");
    assert!(refused.stderr.contains(&stopped.id()), "{}", refused.stderr);
    sandbox.dbops(["forget", "--keep-last", "1"]).fails(11, "agents is locked");
    assert_eq!(sandbox.listed().len(), 1, "nothing partial is listed");
    sandbox.dbops(["verify", "--all"]).success();
    drop(stopped);
    sandbox.back_up(["--db", "agents.db"]);
    assert_eq!(sandbox.listed().len(), 2);
    assert_eq!(sandbox.json(["list"])["orphans"], serde_json::json!([]));
}

#[test]
fn one_that_was_only_asleep_ends_well() {
    let sandbox = Sandbox::with_repository();
    large_database(&sandbox);
    let reached = writes_beside(sandbox.path("backups/agents"), Vec::new());
    let stopped = Stopped::when(&sandbox, &["backup", "--db", "agents.db"], reached);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(stopped.resume(), Some(0));
    assert_eq!(sandbox.json(["verify", "--all"])["passed"], true);
}

#[test]
fn other_databases_are_not_held_up() {
    let sandbox = Sandbox::with_repository();
    large_database(&sandbox);
    sandbox.database("other.db", 5);
    let reached = writes_beside(sandbox.path("backups/agents"), Vec::new());
    let stopped = Stopped::when(&sandbox, &["backup", "--db", "agents.db"], reached);
    sandbox.back_up(["--db", "other.db"]);
    drop(stopped);
}

#[test]
fn what_a_restore_reads_is_not_forgotten_under_it() {
    let sandbox = Sandbox::with_repository();
    large_database(&sandbox);
    let read = sandbox.back_up(["--db", "agents.db"]);
    sandbox.back_up(["--db", "agents.db"]);
    let id = read.file_name().unwrap().to_str().unwrap().to_owned();
    let pins = sandbox.path("backups/.dbops/pins/agents").join(&id);
    std::fs::create_dir(sandbox.path("target")).unwrap();
    let target = sandbox.path("target");
    let reached = move || some_file(&pins) && some_file(&target);
    let restore = ["restore", &id, "--into", "target/copy.db"];
    let stopped = Stopped::when(&sandbox, &restore, reached);
    sandbox.dbops(["forget", "--yes", &id]).fails(11, &format!("process {}", stopped.id()));
    let plan = sandbox.json(["forget", "--keep-last", "1"]);
    assert!(plan.to_string().contains("pinned"), "{plan}");
    assert_eq!(stopped.resume(), Some(0), "the restore ends well");
    assert_eq!(sandbox.sqlite("target/copy.db", "PRAGMA integrity_check"), "ok\n");
    sandbox.dbops(["forget", "--keep-last", "1"]).success();
    assert!(!read.exists());
}

#[test]
fn files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 5);
    std::fs::write(sandbox.path("w.json"), "[1]").unwrap();
    sandbox.back_up(["--db", "agents.db", "--files", "w.json"]);
    sandbox.dbops(["verify"]).success();
    for file in files_below(&sandbox.path("backups")) {
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file), 0o600, "{}", file.display());
        assert_eq!(mode(file.parent().unwrap()), 0o700, "{}", file.display());
    }
}
