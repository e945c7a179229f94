use std::fs;

use crate::sandbox::Sandbox;

#[test]
fn the_plan_is_told_before_it_is_done() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 5);
    for _ in 0..4 {
        sandbox.back_up(["--db", "agents.db"]);
    }
    let plan = sandbox.json(["forget", "--keep-last", "2", "--dry-run"]);
    let decisions = plan["decisions"].as_array().unwrap();
    let kept: Vec<bool> = decisions.iter().map(|decision| decision["kept"].as_bool().unwrap()).collect();
    assert_eq!(kept, [true, true, false, false]);
    assert!(decisions.iter().all(|decision| !decision["reasons"].as_array().unwrap().is_empty()));
    assert_eq!(sandbox.listed().len(), 4);
    sandbox.dbops(["forget", "--keep-last", "2"]).success();
    assert_eq!(sandbox.listed().len(), 2);
    sandbox.dbops(["verify", "--all"]).success();
}

#[test]
fn without_rules_nothing_goes() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 5);
    sandbox.back_up(["--db", "agents.db"]);
    sandbox.dbops(["forget"]).fails(2, "no retention for agents");
    sandbox.dbops(["forget", "--keep-last", "0"]).fails(2, "every rule is 0");
    assert_eq!(sandbox.listed().len(), 1);
}

#[test]
fn damaged_snapshots_never_displace_a_good_one() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 5);
    let good = sandbox.back_up(["--db", "agents.db"]);
    for _ in 0..2 {
        let bad = sandbox.back_up(["--db", "agents.db"]).join("agents.db.zst");
        let mut bytes = fs::read(&bad).unwrap();
        bytes[100] ^= 1;
        fs::write(&bad, bytes).unwrap();
    }
    assert_eq!(sandbox.dbops(["verify", "--all"]).code, 20);
    sandbox.dbops(["forget", "--keep-last", "1"]).success();
    let good = good.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(sandbox.listed().contains(&good), "the last good snapshot stays");
}

#[test]
fn by_name_all_but_the_newest_verified() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 5);
    sandbox.back_up(["--db", "agents.db"]);
    sandbox.back_up(["--db", "agents.db"]);
    let listed = sandbox.listed();
    sandbox.dbops(["forget", &listed[0]]).fails(24, "needs a yes");
    sandbox.dbops(["forget", "--yes", &listed[0]]).success();
    sandbox.dbops(["forget", "--yes", &listed[1]]).fails(24, "it is the newest verified snapshot");
    assert_eq!(sandbox.listed(), listed[1..]);
}

#[test]
fn orphans_are_listed_and_removed() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 5);
    let snapshot = sandbox.back_up(["--db", "agents.db"]);
    let orphan = snapshot.with_file_name("agents_20200101_000000");
    fs::create_dir(&orphan).unwrap();
    fs::write(orphan.join("agents.db.zst"), "half").unwrap();
    assert_eq!(sandbox.listed().len(), 1);
    let list = sandbox.dbops(["list"]).success();
    assert!(list.stdout.contains("dbops forget --orphans"), "{}", list.stdout);
    let would = sandbox.dbops(["forget", "--orphans", "--dry-run"]).success();
    assert!(would.stdout.contains("agents_20200101_000000") && orphan.exists(), "{}", would.stdout);
    sandbox.dbops(["forget", "--orphans"]).success();
    assert!(!orphan.join("agents.db.zst").exists());
    assert_eq!(sandbox.listed().len(), 1);
}

#[test]
fn rules_of_the_configuration_hold_in_their_time_zone() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 5);
    let configuration = "repository = \"backups\"\ntime_zone = \"Europe/Berlin\"\n\
        [database.agents]\nurl = \"agents.db\"\n[database.agents.retention]\nkeep_last = 1\nkeep_daily = 3\n";
    fs::write(sandbox.path("dbops.toml"), configuration).unwrap();
    sandbox.back_up::<&str>([]);
    sandbox.back_up::<&str>([]);
    let plan = sandbox.json(["forget", "--dry-run"]);
    assert!(plan["decisions"][0]["reasons"].to_string().contains("daily"), "{plan}");
    sandbox.dbops(["forget", "--keep-daily", "1", "--time-zone", "Mars/Olympus"]).fails(2, "is no time zone");
}
