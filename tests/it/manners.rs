//! Streams, exit codes, help: what scripts, cron and people rely on.

use std::fs;
use std::process::{Command, Stdio};

use crate::sandbox::{Ran, Sandbox};

fn with_snapshot() -> Sandbox {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 20);
    sandbox.back_up(["--db", "agents.db"]);
    sandbox
}

#[test]
fn every_answer_is_one_json_document_when_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.database("agents.db", 20);
    for (arguments, command) in [
        (&["init"][..], "init"),
        (&["backup", "--db", "agents.db"], "backup"),
        (&["list"], "list"),
        (&["show"], "show"),
        (&["verify"], "verify"),
        (&["restore", "latest", "--into", "copy.db"], "restore"),
        (&["forget", "--keep-last", "1"], "forget"),
    ] {
        let document = sandbox.json(arguments);
        assert_eq!(document["schema"], "dbops/1");
        assert_eq!(document["command"], command);
    }
}

#[test]
fn errors_are_json_too() {
    let sandbox = Sandbox::new();
    for (arguments, code) in [(&["--json", "list"][..], 10), (&["--json", "backup", "--nonsense"], 2)] {
        let ran = sandbox.dbops(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""));
        let document: serde_json::Value = serde_json::from_str(&ran.stderr).expect("one JSON document on stderr");
        assert_eq!(document["error"]["exit_code"], code);
        assert!(document["error"]["message"].as_str().unwrap().len() > 10);
    }
}

#[test]
fn cron_hears_nothing_but_failures() {
    let sandbox = with_snapshot();
    for arguments in [&["backup", "--db", "agents.db"][..], &["verify"], &["list"], &["forget", "--keep-last", "5"]] {
        let ran = Ran::of(sandbox.command(arguments).arg("--quiet").output().unwrap()).success();
        assert_eq!(format!("{}{}", ran.stdout, ran.stderr), "", "{arguments:?}");
    }
    let ran = sandbox.dbops(["--quiet", "backup", "--db", "missing.db"]).fails(30, "missing.db");
    assert!(ran.stderr.lines().count() <= 15, "{}", ran.stderr);
    let stored = crate::sandbox::files_below(&sandbox.path("backups"));
    let data = stored.iter().find(|path| path.to_str().unwrap().ends_with("agents.db.zst")).unwrap();
    let mut bytes = fs::read(data).unwrap();
    bytes[50] ^= 1;
    fs::write(data, bytes).unwrap();
    let ran = sandbox.dbops(["--quiet", "verify", "--all"]);
    assert_eq!(ran.code, 20);
    assert!(ran.stderr.contains("agents.db.zst") && ran.stderr.lines().count() <= 15, "{}", ran.stderr);
    let manifest = stored.iter().find(|path| path.ends_with("manifest.json")).unwrap();
    fs::write(manifest, "{").unwrap();
    let ran = sandbox.dbops(["--quiet", "list"]);
    assert!(ran.code == 20 && ran.stderr.contains("UNREADABLE"), "{}{}", ran.code, ran.stderr);
}

#[test]
fn names_of_others_cannot_command_the_terminal() {
    let sandbox = Sandbox::with_repository();
    let ran = sandbox.dbops(["backup", "--db", "evil\u{1b}[2J\nerror: fake.db"]).fails(30, "\\u{1b}[2J\\nerror");
    assert!(!ran.stderr.contains('\u{1b}'), "{:?}", ran.stderr);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let sandbox = with_snapshot();
    for command in ["man", "completions bash", "list", "--help"] {
        let program = env!("CARGO_BIN_EXE_dbops");
        let script = format!("{program} {command} | true; echo ${{PIPESTATUS[0]}}");
        let output = Command::new("bash").args(["-c", &script]).current_dir(sandbox.root()).output().unwrap();
        let ran = Ran::of(output);
        assert_eq!((ran.stdout.trim(), ran.stderr.as_str()), ("0", ""), "{command}");
    }
}

#[test]
fn news_is_a_line_a_phase_without_a_terminal() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 20);
    let ran = sandbox.dbops(["backup", "--db", "agents.db"]).success();
    for phase in ["copying", "storing", "fingerprinting", "checking the source", "verifying"] {
        assert!(ran.stderr.contains(&format!("{phase}: ")), "{phase}: {}", ran.stderr);
    }
    assert!(!ran.stderr.contains('\u{1b}'), "no escape sequences: {:?}", ran.stderr);
    assert!(ran.stderr.starts_with("backing up SQLite database"), "what is touched is named first: {}", ran.stderr);
}

#[test]
fn on_a_terminal_of_80_columns_nothing_wraps() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 20_000);
    let program = env!("CARGO_BIN_EXE_dbops");
    let backup = format!("stty cols 80; {program} backup --db agents.db");
    let mut command = Command::new("script");
    command.args(["-qec", &backup, "/dev/null"]).current_dir(sandbox.root()).stdin(Stdio::null());
    let ran = Ran::of(command.env("TERM", "xterm").output().expect("script is installed")).success();
    assert!(ran.stdout.contains("storing"), "{}", ran.stdout);
    // Bars below one another come as one run, each filled up with blanks to the terminal's width: a line that is
    // too wide shows by a row that begins in its middle.
    let begins = |row: &str| {
        let words = ["copying", "storing", "fingerprinting", "checking the s", "verifying", "backing up", "error"];
        row.trim_end().is_empty() || words.iter().any(|word| row.starts_with(word)) || row.starts_with(char::is_numeric)
    };
    for drawn in ran.stdout.split(['\r', '\n']).filter(|drawn| !drawn.contains(sandbox.root().to_str().unwrap())) {
        let plain: Vec<char> = strip_escapes(drawn).chars().collect();
        for row in plain.chunks(80) {
            let row: String = row.iter().collect();
            assert!(begins(&row), "{row:?} in {drawn:?}");
        }
    }
}

fn strip_escapes(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        if next == '\u{1b}' {
            rest.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(next);
        }
    }
    plain
}

#[test]
fn log_lines_are_json_with_operation_and_run() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 20);
    let ran = sandbox.dbops(["--log-format", "json", "--json", "backup", "--db", "agents.db"]).success();
    assert!(ran.stderr.lines().count() >= 5);
    for line in ran.stderr.lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(object["operation"], "backup", "{line}");
        assert!(
            object["timestamp"].is_string() && object["level"].is_string() && object["run_id"].is_string(),
            "{line}"
        );
        assert_eq!(object["database"], "agents", "{line}");
    }
    let failed = sandbox.dbops(["--log-format", "json", "backup", "--db", "missing.db"]);
    assert!(failed.stderr.contains("\"error_code\":30"), "{}", failed.stderr);
}

#[test]
fn help_and_version_are_for_stdout() {
    let sandbox = Sandbox::new();
    for (arguments, text) in [
        (&["--version"][..], "dbops 0."),
        (&["--help"], "Exit codes"),
        (&["-h"], "Exit codes"),
        (&["man"], "DATABASE_URL"),
        (&["backup", "--help"], "Examples"),
        (&["restore", "--help"], "Examples"),
        (&["man"], ".TH dbops"),
        (&["completions", "zsh"], "#compdef dbops"),
    ] {
        let ran = sandbox.dbops(arguments).success();
        assert!(ran.stdout.contains(text) && ran.stderr.is_empty(), "{arguments:?}: {}", ran.stdout);
    }
}

#[test]
fn ctrl_c_stops_cleanly() {
    let sandbox = Sandbox::with_repository();
    sandbox.database("agents.db", 60_000);
    for signal in ["INT", "TERM"] {
        let child = sandbox
            .command(["--log-format", "json", "backup", "--db", "agents.db", "--compress", "zstd:19"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.unwrap();
        // The first news is that a phase began: the work is under way.
        let mut news = std::io::BufReader::new(child.stderr.take().unwrap());
        let mut first = String::new();
        std::io::BufRead::read_line(&mut news, &mut first).unwrap();
        crate::sandbox::run_in(sandbox.root(), "kill", &[&format!("-{signal}"), &child.id().to_string()]);
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut news, &mut rest).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(130), "{first}{rest}");
        assert!(sandbox.left_in_tmp().is_empty());
        let list = sandbox.json(["list"]);
        assert_eq!((list["snapshots"].to_string(), list["orphans"].to_string()), ("[]".into(), "[]".into()));
    }
    sandbox.back_up(["--db", "agents.db"]);
}
