//! The command line of dbops.
fn main() {}
