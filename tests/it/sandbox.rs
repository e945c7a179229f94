//! A folder of its own for each test, the program under test, and the stock tools that check it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A test's folder; `dbops` runs in it.
pub struct Sandbox {
    folder: TempDir,
}

/// How a run of the program ended.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Sandbox {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("dbops-test-").tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("tmp")).unwrap();
        Self { folder }
    }

    /// A sandbox with a repository in `backups`.
    pub fn with_repository() -> Self {
        let sandbox = Self::new();
        sandbox.dbops(["init"]).success();
        sandbox
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// The program with the sandbox as its whole world: nothing of the caller's environment reaches it.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dbops"));
        command.args(arguments).current_dir(self.root()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("TMPDIR", self.path("tmp"));
        command.stdin(Stdio::null());
        command
    }

    pub fn dbops<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        Ran::of(self.command(arguments).output().expect("dbops starts"))
    }

    /// The one JSON document that a successful run prints.
    pub fn json<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Value {
        let ran = Ran::of(self.command(arguments).arg("--json").output().expect("dbops starts")).success();
        assert_eq!(ran.stderr, "", "with --json, stderr is empty on success");
        serde_json::from_str(&ran.stdout).expect("one JSON document")
    }

    /// Runs SQL with the stock command line; its output.
    pub fn sqlite(&self, database: impl AsRef<Path>, sql: &str) -> String {
        let mut command = Command::new("sqlite3");
        command.arg("-bail").arg(self.root().join(database)).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().expect("sqlite3 is installed");
        let mut input = child.stdin.take().unwrap();
        let script = format!("{sql}\n;");
        let writer = std::thread::spawn(move || std::io::Write::write_all(&mut input, script.as_bytes()));
        let ran = Ran::of(child.wait_with_output().unwrap());
        writer.join().unwrap().unwrap();
        assert_eq!(ran.stderr, "", "sqlite3 {sql}");
        ran.success().stdout
    }

    /// A database with a table of `rows` rows.
    pub fn database(&self, name: &str, rows: u32) {
        self.sqlite(
            name,
            &format!(
                "CREATE TABLE runs(id INTEGER PRIMARY KEY, title TEXT, payload BLOB);
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
                 INSERT INTO runs SELECT i, 'run ' || i, randomblob(200) FROM n;
                 CREATE TABLE marks(run REFERENCES runs(id), mark REAL);
                 INSERT INTO marks SELECT id, id * 0.5 FROM runs WHERE id % 3 = 0;"
            ),
        );
    }

    /// Takes a snapshot; the path of its folder.
    pub fn back_up<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> PathBuf {
        let ran = Ran::of(self.command(["backup"]).args(arguments).output().expect("dbops starts")).success();
        self.root().join(ran.last_line())
    }

    /// Ids of all listed snapshots; fails when one can't be read.
    pub fn listed(&self) -> Vec<String> {
        let list = self.json(["list"]);
        assert_eq!(list["unreadable"], serde_json::json!([]), "{list}");
        let snapshots = list["snapshots"].as_array().unwrap();
        snapshots.iter().map(|snapshot| snapshot["id"].as_str().unwrap().to_owned()).collect()
    }

    /// What is left in the folder for temporary copies.
    pub fn left_in_tmp(&self) -> Vec<String> {
        names_in(&self.path("tmp"))
    }

    /// Stock tools alone: digests, decompression, SQLite; gives the database file.
    pub fn restore_by_hand(&self, snapshot: &Path, file: &str) -> PathBuf {
        run_in(snapshot, "sha256sum", &["--check", "--strict", "--quiet", "SHA256SUMS"]);
        let out = self.path("by-hand.db");
        drop(fs::remove_file(&out));
        let stored = snapshot.join(format!("{file}.zst"));
        run_in(self.root(), "zstd", &["-q", "-d", stored.to_str().unwrap(), "-o", out.to_str().unwrap()]);
        assert_eq!(self.sqlite(&out, "PRAGMA integrity_check"), "ok\n");
        out
    }
}

impl Ran {
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    pub fn success(self) -> Self {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Fails with this exit code and with this text on stderr.
    pub fn fails(self, code: i32, text: &str) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        assert!(self.stderr.contains(text), "{text:?} is not in: {}", self.stderr);
        self
    }

    pub fn last_line(&self) -> &str {
        self.stdout.lines().last().unwrap_or_default()
    }
}

pub fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub fn run_in(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let ran = Ran::of(output.unwrap_or_else(|error| panic!("{program} is needed for this test: {error}")));
    assert_eq!(ran.code, 0, "{program} {arguments:?}: {}{}", ran.stdout, ran.stderr);
    ran.stdout
}

/// Every file below a folder, relative, sorted.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}
