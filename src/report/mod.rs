//! Outcomes for people and for programs.
//!
//! Absent: computing anything, colours, the terminal.

mod human;
mod json;
mod line;
mod units;

pub use human::{failure, findings, outcome};
pub use json::{ErrorBody, ErrorDocument, Other, SCHEMA, document, error_document, other_document};
pub use line::one_line;
pub use units::{bytes, duration, rate};
