//! dbops as its users see it: one binary, a module a verb.
//!
//! `tests/architecture.rs` fails when a file of this folder is not declared here.
