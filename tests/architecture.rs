//! Holds the floors, the fences and the absence of circles between modules, by reading `src/` as text.
//!
//! Known blind spots: `pub use x::*`, a fenced type under another name (`use std::time::SystemTime as T`),
//! and code that macros make.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that can't read the sources must fail")]

#[path = "architecture/graph.rs"]
mod graph;
#[path = "architecture/planted.rs"]
mod planted;
#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/scan.rs"]
mod scan;

use std::fs;
use std::path::{Path, PathBuf};

/// A file of the source: its path from the root of the crate, and its text.
type Source = (String, String);

/// Everything that is wrong with the sources, one sentence each.
fn findings(sources: &[Source]) -> Vec<String> {
    let files: Vec<scan::File> = sources.iter().map(|(path, text)| scan::File::read(path, text)).collect();
    let modules = graph::Modules::of(&files);
    let mut found = rules::floors(&files, &modules);
    found.extend(rules::fences(&files));
    found.extend(modules.circles(&files));
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| is_rust(path))
        .collect()
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "rs")
}

fn sources() -> Vec<Source> {
    let relative = |path: &Path| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    rust_files(&root().join("src")).iter().map(|path| (relative(path), fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn the_house_stands() {
    let sources = sources();
    assert!(sources.len() > 10, "src/ was not found");
    let found = findings(&sources);
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn no_module_of_the_tests_is_forgotten() {
    let folder = root().join("tests/it");
    let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let main = fs::read_to_string(folder.join("main.rs")).unwrap();
    assert_eq!(rules::forgotten(&main, &names.collect::<Vec<_>>()), Vec::<String>::new());
}
