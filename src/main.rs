//! The command line of dbops; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    dbops::cli::main()
}
