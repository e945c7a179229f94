use crate::sandbox::{Sandbox, names_in, run_in};

#[test]
fn the_demo_shows_what_it_says() {
    let sandbox = Sandbox::new();
    let ran = sandbox.dbops(["demo", "--into", "demo"]).success();
    for told in ["read back and verified", "is good", "is DAMAGED", "agents.db.zst, frame", "restored", "equal"] {
        assert!(ran.stdout.contains(told), "{told:?} is not in: {}", ran.stdout);
    }
    let folder = sandbox.path("demo");
    let expected = ["agents.db", "backups", "damaged-copy", "restored", "workflows.json"];
    assert_eq!(names_in(&folder), expected);
    assert_eq!(sandbox.sqlite("demo/agents.db", ".dump"), sandbox.sqlite("demo/restored/agents.db", ".dump"));
    assert_eq!(sandbox.sqlite("demo/restored/agents.db", "PRAGMA integrity_check"), "ok\n");
    let widest = ran.stdout.lines().filter(|line| !line.contains('/')).map(|line| line.chars().count()).max();
    assert!(widest <= Some(80), "fits a terminal of 80 columns");
}

#[test]
fn the_commands_that_it_prints_work_letter_by_letter() {
    let sandbox = Sandbox::new();
    let ran = sandbox.dbops(["demo", "--into", "demo"]).success();
    let commands = ran.stdout.split("with stock tools").nth(1).unwrap();
    let script: Vec<&str> = commands.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    assert_eq!(script.len(), 4, "{commands}");
    let script = script.join(" && ").replace("/tmp/agents.db", "\"$OUT\"");
    let out = sandbox.path("by-hand.db");
    let script = format!("OUT={}; {script}", out.display());
    let told = run_in(sandbox.root(), "sh", &["-ec", &script]);
    assert!(told.contains("manifest.json: OK") && told.trim_end().ends_with("ok"), "{told}");
}

#[test]
fn a_folder_that_exists_is_left_alone() {
    let sandbox = Sandbox::new();
    sandbox.dbops(["demo", "--into", "tmp"]).fails(24, "could not make tmp");
}
