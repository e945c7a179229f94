//! kill -9 at random times, many times: nothing partial is ever listed, the next run succeeds and clears up.

use std::process::Stdio;
use std::time::Duration;

use crate::sandbox::Sandbox;

/// Different at each run of the tests; printed, so that a failure can be played again.
fn seed() -> u64 {
    let chosen = std::env::var("DBOPS_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = chosen.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_nanos() as u64 | 1
    });
    eprintln!("DBOPS_TEST_SEED={seed}");
    seed
}

/// xorshift64: enough to spread kills over a run.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Starts `arguments` and kills it somewhere within `within`; whether it was killed before its end.
fn killed(sandbox: &Sandbox, arguments: &[&str], within: Duration, state: &mut u64) -> bool {
    let mut child =
        sandbox.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("dbops starts");
    let wait = Duration::from_micros(next(state) % within.as_micros() as u64);
    std::thread::sleep(wait);
    let killed = child.try_wait().unwrap().is_none();
    drop(child.kill());
    child.wait().unwrap();
    killed
}

/// How long one whole run takes here: kills are spread over a little more than that.
fn length_of_a_run(sandbox: &Sandbox, arguments: &[&str]) -> Duration {
    let began = std::time::Instant::now();
    sandbox.dbops(arguments).success();
    began.elapsed().mul_f64(1.1)
}

const KILLS: usize = 40;

#[test]
fn backups() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 8_000);
    std::fs::write(sandbox.path("w.json"), "[1]").unwrap();
    let backup = ["backup", "--db", "agents.db", "--files", "w.json"];
    let within = length_of_a_run(&sandbox, &backup);
    let (mut state, mut kills) = (seed(), 0);
    for round in 0..KILLS {
        kills += usize::from(killed(&sandbox, &backup, within, &mut state));
        let listed = sandbox.listed().len();
        let verified = sandbox.json(["verify", "--all"]);
        assert_eq!(verified["passed"], true, "round {round}: {verified}");
        assert_eq!(verified["snapshots"].as_array().unwrap().len(), listed, "round {round}");
        if round % 8 == 7 {
            sandbox.dbops(backup).success();
            let list = sandbox.json(["list"]);
            assert_eq!(list["orphans"], serde_json::json!([]), "round {round}: the next run clears up");
            assert!(sandbox.left_in_tmp().is_empty(), "round {round}: {:?}", sandbox.left_in_tmp());
            assert_eq!(staging_files(&sandbox, "backups/agents"), Vec::<std::path::PathBuf>::new(), "round {round}");
        }
    }
    assert!(kills > KILLS / 3, "too few were killed in time to say anything: {kills}");
    // Beside evidence another run may be writing at this moment: there they go an hour later.
    for staged in staging_files(&sandbox, "backups/.dbops") {
        crate::sandbox::run_in(sandbox.root(), "touch", &["-d", "2 hours ago", staged.to_str().unwrap()]);
    }
    sandbox.dbops(backup).success();
    assert_eq!(staging_files(&sandbox, "backups"), Vec::<std::path::PathBuf>::new());
}

/// Files that an upload had begun carry a `#` in their names.
fn staging_files(sandbox: &Sandbox, below: &str) -> Vec<std::path::PathBuf> {
    let files = crate::sandbox::files_below(&sandbox.path(below));
    files.into_iter().filter(|path| path.to_str().unwrap().contains('#')).collect()
}

#[test]
fn restores() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 8_000);
    sandbox.back_up(["--db", "agents.db"]);
    std::fs::create_dir(sandbox.path("target")).unwrap();
    let restore = ["restore", "latest", "--into", "target/copy.db"];
    let within = length_of_a_run(&sandbox, &restore);
    let expected = sandbox.sqlite("agents.db", ".sha3sum");
    let mut state = seed();
    for _ in 0..KILLS {
        drop(std::fs::remove_file(sandbox.path("target/copy.db")));
        killed(&sandbox, &restore, within, &mut state);
        if sandbox.path("target/copy.db").exists() {
            assert_eq!(sandbox.sqlite("target/copy.db", ".sha3sum"), expected, "what is there is whole");
        }
    }
    drop(std::fs::remove_file(sandbox.path("target/copy.db")));
    sandbox.dbops(restore).success();
    assert_eq!(crate::sandbox::names_in(&sandbox.path("target")), ["copy.db"], "the next run clears up");
}

#[test]
fn replaces() {
    for journal in ["WAL", "DELETE"] {
        let sandbox = Sandbox::with_repository();
        sandbox.database("agents.db", 8_000);
        sandbox.sqlite("agents.db", &format!("PRAGMA journal_mode = {journal}"));
        sandbox.back_up(["--db", "agents.db"]);
        let old = sandbox.sqlite("agents.db", ".sha3sum");
        let restore = ["restore", "latest", "--into", "agents.db", "--replace", "--yes"];
        let within = length_of_a_run(&sandbox, &restore);
        sandbox.sqlite("agents.db", "UPDATE runs SET title = 'changed'");
        let new = sandbox.sqlite("agents.db", ".sha3sum");
        let mut state = seed();
        for _ in 0..KILLS / 2 {
            killed(&sandbox, &restore, within, &mut state);
            let found = sandbox.sqlite("agents.db", ".sha3sum");
            assert!(found == old || found == new, "{journal}: old or new, never a mix");
            assert_eq!(sandbox.sqlite("agents.db", "PRAGMA integrity_check"), "ok\n", "{journal}");
            if found == old {
                sandbox.sqlite("agents.db", "UPDATE runs SET title = 'changed'");
            }
        }
        sandbox.dbops(restore).success();
        assert_eq!(sandbox.sqlite("agents.db", ".sha3sum"), old);
        let hidden: Vec<String> =
            crate::sandbox::names_in(sandbox.root()).into_iter().filter(|name| name.starts_with('.')).collect();
        assert!(hidden.is_empty(), "{journal}: the next run clears up: {hidden:?}");
    }
}

#[test]
fn forgets() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 10);
    let mut state = seed();
    for round in 0..KILLS / 4 {
        for _ in 0..3 {
            sandbox.back_up(["--db", "agents.db"]);
        }
        killed(&sandbox, &["forget", "--keep-last", "1"], Duration::from_millis(60), &mut state);
        let verified = sandbox.json(["verify", "--all"]);
        assert_eq!(verified["passed"], true, "round {round}: {verified}");
        sandbox.dbops(["forget", "--keep-last", "1"]).success();
        sandbox.dbops(["forget", "--orphans"]).success();
        assert_eq!(sandbox.listed().len(), 1, "round {round}");
        assert_eq!(sandbox.json(["list"])["orphans"], serde_json::json!([]), "round {round}");
    }
}
