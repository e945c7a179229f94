//! The rules of the house.

use crate::graph::Modules;
use crate::scan::{File, Kind, Mention};

/// Rooms and their floors; a room imports only from lower ones.
const FLOORS: &[(&str, u8)] = &[
    ("model", 0),
    ("config", 1),
    ("sql", 1),
    ("codec", 1),
    ("report", 1),
    ("blocking", 1),
    ("engine", 2),
    ("repo", 3),
    ("ops", 4),
    ("cli", 5),
    ("main", 6),
];

/// Rooms that don't know each other although their floors differ: `ops` ties them together.
const STRANGERS: &[(&str, &str)] = &[("repo", "engine")];

/// What may be named only in some files: the path (or the crate, or the macro), and where those files' paths begin.
const FENCES: &[(&str, &[&str])] = &[
    ("tokio_postgres", &["src/engine/"]),
    ("deadpool_postgres", &["src/engine/"]),
    ("rusqlite", &["src/engine/"]),
    ("refinery_core", &["src/engine/"]),
    ("libpgdump", &["src/engine/"]),
    ("object_store", &["src/repo/", "src/cli/wire"]),
    ("clap", &["src/cli/"]),
    ("clap_complete", &["src/cli/"]),
    ("clap_mangen", &["src/cli/"]),
    ("indicatif", &["src/cli/"]),
    ("std::env", &["src/cli/", "src/main.rs"]),
    ("Utc::now", &["src/cli/", "src/main.rs"]),
    ("Local::now", &["src/cli/", "src/main.rs"]),
    ("SystemTime::now", &["src/cli/", "src/main.rs"]),
    ("process::exit", &["src/cli/", "src/main.rs"]),
    ("spawn_blocking", &["src/blocking.rs"]),
];

/// Macros that no file may use: what dbops says goes through `cli`'s streams.
const MACROS: &[&str] = &["println", "eprintln", "print", "eprint", "dbg"];

fn floor(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|&(_, floor)| floor)
}

/// Imports that go upward or sideways, tests included; and rooms that have no floor.
pub fn floors(files: &[File], modules: &Modules) -> Vec<String> {
    let of = |file: &File| -> Vec<String> {
        let Some(room) = file.module.first() else { return vec![] };
        match floor(room) {
            None => vec![format!("{}: the room {room} has no floor", file.path)],
            Some(own) => {
                file.mentions.iter().filter_map(|mention| misstep(file, room, own, mention, modules)).collect()
            }
        }
    };
    files.iter().flat_map(of).collect()
}

fn misstep(file: &File, room: &str, own: u8, mention: &Mention, modules: &Modules) -> Option<String> {
    let (_, path) = modules.meant(mention)?;
    let other = path.first()?.as_str();
    if other == room {
        return None;
    }
    let strangers = STRANGERS.contains(&(room, other)) || STRANGERS.contains(&(other, room));
    let how = match floor(other) {
        None => "names what is in no room",
        Some(floor) if floor > own => "imports upward",
        Some(floor) if floor == own => "imports sideways",
        Some(_) if strangers => "imports a stranger",
        Some(_) => return None,
    };
    Some(format!("{}:{}: {room} {how}: {}", file.path, mention.line, mention.segments.join("::")))
}

/// What is named outside its fence; tests are free.
pub fn fences(files: &[File]) -> Vec<String> {
    let of = |file: &File| -> Vec<String> {
        let mentions = file.mentions.iter().filter(|mention| !mention.is_test);
        mentions.filter_map(|mention| broken_fence(&file.path, mention)).collect()
    };
    files.iter().flat_map(of).collect()
}

fn broken_fence(path: &str, mention: &Mention) -> Option<String> {
    let place = format!("{path}:{}", mention.line);
    let name = mention.segments.last().map(String::as_str).unwrap_or_default();
    if mention.kind == Kind::Macro && MACROS.contains(&name) {
        return Some(format!("{place}: {name}! draws where it should report"));
    }
    let broken = |&&(fenced, inside): &&(&str, &[&str])| {
        is_named(fenced, mention) && !inside.iter().any(|start| path.starts_with(start))
    };
    FENCES.iter().find(broken).map(|(fenced, inside)| format!("{place}: {fenced} only in {}", inside.join(", ")))
}

/// A crate is named at the start of a path or a `use`, `a::b` and a function's name anywhere in one.
fn is_named(fenced: &str, mention: &Mention) -> bool {
    let segments: Vec<&str> = mention.segments.iter().map(String::as_str).collect();
    let wanted: Vec<&str> = fenced.split("::").collect();
    let is_crate = wanted.len() == 1 && fenced != "spawn_blocking";
    let is_variable = segments.len() == 1 && mention.kind == Kind::Path;
    if is_crate {
        return segments.first() == Some(&fenced) && !is_variable;
    }
    segments.windows(wanted.len()).any(|window| window == wanted)
}

/// Modules in a folder of tests that its `main.rs` does not declare.
pub fn forgotten(main: &str, names: &[String]) -> Vec<String> {
    let declared: Vec<&str> =
        main.lines().filter_map(|line| line.trim().strip_prefix("mod ")?.strip_suffix(';')).collect();
    let modules = names.iter().map(|name| name.trim_end_matches(".rs")).filter(|name| *name != "main");
    modules.filter(|name| !declared.contains(name)).map(str::to_owned).collect()
}
