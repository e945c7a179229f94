//! Outcomes for people and for programs.
//!
//! Absent: computing anything, colours, the terminal.

mod human;
mod json;
mod units;

pub use human::{findings, outcome};
pub use json::{SCHEMA, document, error_document};
pub use units::{bytes, duration, rate};
