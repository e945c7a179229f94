//! The command line, tried as its users do; outcomes are checked from outside with stock tools.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]

mod sandbox;

mod backup;
mod config;
mod crash;
mod demo;
mod disk_full;
mod forget;
mod golden;
mod live;
mod manners;
mod refusals;
mod restore;
mod side_files;
mod two_runs;
mod verify;
