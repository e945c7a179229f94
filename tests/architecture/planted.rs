//! The rules are seen to fail, each on sources planted for it.

use crate::{findings, rules};

fn found(planted: &[(&str, &str)]) -> Vec<String> {
    findings(&planted.iter().map(|&(path, text)| (path.to_owned(), text.to_owned())).collect::<Vec<_>>())
}

fn check(path: &str, text: &str, expected: &str) {
    assert_eq!(found(&[(path, text)]), [expected], "{text}");
}

fn check_fine(path: &str, text: &str) {
    assert_eq!(found(&[(path, text)]), Vec::<String>::new(), "{text}");
}

#[test]
fn upward() {
    let text = "use crate::ops::backup;";
    check("src/engine/a.rs", text, "src/engine/a.rs:1: engine imports upward: crate::ops::backup");
    check("src/engine/mod.rs", text, "src/engine/mod.rs:1: engine imports upward: crate::ops::backup");
    check("src/model/a.rs", "use crate::codec;", "src/model/a.rs:1: model imports upward: crate::codec");
    check("src/cli/a.rs", "use crate::main::x;", "src/cli/a.rs:1: cli imports upward: crate::main::x");
    check_fine("src/ops/a.rs", "use crate::{engine::Engine, repo::{self, Writer}, model};");
    check_fine("src/main.rs", "use dbops::cli;");
}

#[test]
fn sideways() {
    check(
        "src/report/a.rs",
        "use crate::codec::Frame;",
        "src/report/a.rs:1: report imports sideways: crate::codec::Frame",
    );
    check(
        "src/repo/a.rs",
        "use crate::engine::Outlet;",
        "src/repo/a.rs:1: repo imports a stranger: crate::engine::Outlet",
    );
    check("src/engine/a.rs", "use crate::repo::A;", "src/engine/a.rs:1: engine imports upward: crate::repo::A");
}

#[test]
fn every_way_to_write_a_path() {
    let upward = |line: usize, path: &str| format!("src/engine/a/b.rs:{line}: engine imports upward: {path}");
    let at = |text: &str, line, path: &str| check("src/engine/a/b.rs", text, &upward(line, path));
    at("use crate::{\n    model::{a, b},\n    ops::{c as d},\n};", 3, "crate::ops::c");
    at("use crate::ops::*;", 1, "crate::ops::*");
    at("pub use crate::ops as o;", 1, "crate::ops");
    at("pub(crate) use crate::ops::x;", 1, "crate::ops::x");
    at("fn f() -> crate::ops::X { x }", 1, "crate::ops::X");
    at("fn f() { crate::ops::run::<u8>(1); }", 1, "crate::ops::run");
    at("use super::super::super::ops::x;", 1, "super::super::super::ops::x");
    at("mod inner { use super::super::super::super::ops::x; }", 1, "super::super::super::super::ops::x");
    at("mod inner { fn f() {} }\nuse super::super::super::ops::x;", 2, "super::super::super::ops::x");
    at("use dbops::ops::x;", 1, "dbops::ops::x");
    at("macro_rules! m { () => { $crate::ops::x() } }", 1, "crate::ops::x");
    at("#[cfg(test)]\nmod tests {\n    use crate::ops::x;\n}", 3, "crate::ops::x");
    at("type A = &'static crate::ops::X;", 1, "crate::ops::X");
    at("const C: char = '\"'; use crate::ops::x; const D: char = '\"';", 1, "crate::ops::x");
    check_fine("src/engine/a/b.rs", "mod inner { use super::super::ops::x; }");
    check_fine("src/engine/a/b.rs", "use super::super::ops::x;");
}

#[test]
fn comments_and_texts_are_skipped() {
    for text in [
        "// use crate::ops::x;",
        "/* /* use crate::ops::x; */ println!() */",
        "/// `crate::ops::x`\nfn f() {}",
        "const A: &str = \"crate::ops::x \\\" crate::ops::y\";",
        "const A: &str = r#\"println!(\" crate::ops::x\"#;",
        "const A: &[u8] = br\"crate::ops::x\";",
        "const A: char = '\\''; // println!()",
    ] {
        check_fine("src/engine/a.rs", text);
    }
}

#[test]
fn a_name_passed_on_is_followed() {
    let passed = [
        ("src/lib.rs", "pub mod ops; pub use ops::Backup;"),
        ("src/ops/mod.rs", "mod backup; pub use backup::Backup;"),
        ("src/ops/backup.rs", "pub struct Backup;"),
        ("src/engine/mod.rs", "use crate::Backup;"),
    ];
    assert_eq!(found(&passed), ["src/engine/mod.rs:1: engine imports upward: crate::Backup"]);
}

#[test]
fn rooms_have_a_floor() {
    assert_eq!(found(&[("src/attic/a.rs", "")]), ["src/attic/a.rs: the room attic has no floor"]);
    let unknown = "src/ops/a.rs:1: ops names what is in no room: crate::attic::x";
    check("src/ops/a.rs", "use crate::attic::x;", unknown);
}

#[test]
fn fences() {
    let outside = |text: &str, fenced: &str, inside: &str| {
        check("src/ops/a.rs", text, &format!("src/ops/a.rs:1: {fenced} only in {inside}"));
    };
    for fenced in ["tokio_postgres", "deadpool_postgres", "rusqlite", "refinery_core", "libpgdump"] {
        outside(&format!("use {fenced}::A;"), fenced, "src/engine/");
    }
    outside("fn f(a: &object_store::path::Path) {}", "object_store", "src/repo/, src/cli/wire");
    for fenced in ["clap", "clap_complete", "clap_mangen", "indicatif"] {
        outside(&format!("use {fenced}::A;"), fenced, "src/cli/");
    }
    outside("#[derive(clap::Parser)] struct A;", "clap", "src/cli/");
    outside("use std::{io, env};", "std::env", "src/cli/, src/main.rs");
    outside("fn f() { std::env::var(\"A\"); }", "std::env", "src/cli/, src/main.rs");
    outside("fn f() { chrono::Utc::now(); }", "Utc::now", "src/cli/, src/main.rs");
    outside("fn f() { Local::now(); }", "Local::now", "src/cli/, src/main.rs");
    outside("fn f() { SystemTime::now(); }", "SystemTime::now", "src/cli/, src/main.rs");
    outside("fn f() { std::process::exit(1); }", "process::exit", "src/cli/, src/main.rs");
    outside("fn f() { tokio::task::spawn_blocking(g); }", "spawn_blocking", "src/blocking.rs");
    outside("fn f() { handle.spawn_blocking(g); }", "spawn_blocking", "src/blocking.rs");
}

#[test]
fn inside_its_fence_a_name_is_free() {
    check_fine("src/engine/sqlite/connect.rs", "use rusqlite::Connection;");
    check_fine("src/repo/layout.rs", "use object_store::ObjectStore;");
    check_fine("src/cli/wire.rs", "use object_store::local::LocalFileSystem; use std::env; fn f() { Utc::now() }");
    check_fine("src/cli/wire/store.rs", "use object_store::local::LocalFileSystem;");
    check_fine("src/blocking.rs", "fn f() { spawn_blocking(g); }");
    check_fine(
        "src/ops/a.rs",
        "const V: &str = env!(\"CARGO_PKG_VERSION\"); fn f() { self.clap(); std::process::id(); }",
    );
    check("src/cli/ui.rs", "use object_store::A;", "src/cli/ui.rs:1: object_store only in src/repo/, src/cli/wire");
}

#[test]
fn macros_that_draw() {
    for name in ["println", "eprintln", "print", "eprint", "dbg"] {
        let expected = format!("src/cli/ui.rs:2: {name}! draws where it should report");
        check("src/cli/ui.rs", &format!("fn f() {{\n    {name}!(\"a\");\n}}"), &expected);
        check("src/cli/ui.rs", &format!("fn f() {{\n    std::{name}!(\"a\");\n}}"), &expected);
    }
    check_fine("src/cli/ui.rs", "fn f() { if print != 1 { writeln!(out, \"a\") } }");
}

#[test]
fn tests_are_free_of_fences() {
    check_fine("src/ops/a.rs", "#[cfg(test)]\nmod tests { use rusqlite::A; fn f() { println!() } }");
    check_fine("src/ops/a.rs", "#[cfg(all(test, unix))]\nmod tests { use rusqlite::A; }");
    check_fine("src/ops/a.rs", "#[cfg(test)]\nuse rusqlite::A;");
    check_fine("src/ops/a/tests.rs", "use rusqlite::A;");
    check_fine("src/ops/tests/a.rs", "use rusqlite::A;");
    let after = "src/ops/a.rs:2: rusqlite only in src/engine/";
    check("src/ops/a.rs", "#[cfg(test)] mod tests { use rusqlite::A; }\nuse rusqlite::B;", after);
    check("src/ops/a.rs", "#[cfg(test)] mod tests;\nuse rusqlite::B;", after);
    check("src/ops/a.rs", "#[cfg(not(test))]\nuse rusqlite::B;", after);
    check("src/ops/a.rs", "#[cfg_attr(test, derive(A))]\nstruct S(rusqlite::B);", after);
}

#[test]
fn circles() {
    let two = [("src/repo/a.rs", "use super::b::B;"), ("src/repo/b.rs", "fn f() { crate::repo::a::f() }")];
    assert_eq!(found(&two), ["modules import in a circle: repo::a → repo::b → repo::a"]);
    let three = [
        ("src/repo/a.rs", "use super::b::B;"),
        ("src/repo/b/inner.rs", "use crate::repo::c::C;"),
        ("src/repo/c.rs", "use super::A;"),
        ("src/repo/mod.rs", "mod a; pub use a::A;"),
    ];
    assert_eq!(found(&three), ["modules import in a circle: repo::a → repo::b → repo::c → repo::a"]);
}

#[test]
fn no_circles() {
    let family = [
        ("src/repo/mod.rs", "mod a; pub use a::A; pub struct E;"),
        ("src/repo/a.rs", "use super::E; use super::b::B;"),
        ("src/repo/b.rs", "use crate::repo::E;\n#[cfg(test)] mod tests { use super::super::a::A; }"),
    ];
    assert_eq!(found(&family), Vec::<String>::new());
}

#[test]
fn a_forgotten_module_is_found() {
    let names = ["main.rs", "backup.rs", "verify.rs", "support"].map(str::to_owned);
    assert_eq!(rules::forgotten("mod backup;\n// mod verify;\nmod support;\n", &names), ["verify"]);
}
