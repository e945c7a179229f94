//! The command line: arguments in, streams and an exit code out.
//!
//! Absent: decisions about databases or snapshots; those are `ops`.

mod args;
mod commands;
mod confirm;
mod demo;
mod error;
mod exit;
mod man;
mod progress;
mod run;
mod signals;
mod ui;
mod wire;

pub use exit::Exit;
pub use run::main;
