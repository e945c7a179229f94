//! From arguments to an exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use super::args::{Cli, LogFormat};
use super::commands;
use super::error::CliError;
use super::exit::{self, Exit};
use super::ui::Ui;
use crate::engine::EngineError;
use crate::model::cancel::Cancel;
use crate::ops::OpsError;
use crate::report;

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    // Snapshots hold whole databases: nothing that dbops makes is readable by others.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match Cli::try_parse_from(&arguments) {
        Ok(cli) => run(cli).into(),
        Err(error) => not_parsed(&error, &arguments).into(),
    }
}

fn not_parsed(error: &clap::Error, arguments: &[OsString]) -> Exit {
    let ui = Ui::for_unparsed(arguments);
    if ui.logs_json() {
        log_json_lines();
    }
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            ui.text(&error.render().to_string()).map_or_else(|error| fail(ui, &error), |()| Exit::Done)
        }
        _ => fail(ui, &CliError::Arguments(error.render().to_string())),
    }
}

fn run(cli: Cli) -> Exit {
    let ui = Ui::new(&cli.global, cli.command.name());
    let strict = cli.global.strict;
    if cli.global.log_format == LogFormat::Json {
        log_json_lines();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(RUNTIME_THREADS).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(source) => {
            return fail(ui, &CliError::Local { deed: "start", path: "the asynchronous runtime".into(), source });
        }
    };
    let cancel = Cancel::default();
    let ended = match runtime.block_on(commands::run(cli, ui, cancel)) {
        Ok(None) => Exit::Done,
        Ok(Some(outcome)) => {
            let ends = exit::of_outcome(&outcome, strict);
            match ui.answer(&outcome) {
                // What was found weighs more than that it could not be written.
                Err(error) if ends == Exit::Done => fail(ui, &error),
                Ok(()) | Err(_) => ends,
            }
        }
        Err(error) => fail(ui, &error),
    };
    // Blocking work has ended with its command; a thread that still waits for the user's answer does not count.
    runtime.shutdown_background();
    ended
}

/// Threads that drive asynchronous work; blocking work has threads of its own.
const RUNTIME_THREADS: usize = 2;

fn fail(ui: Ui, error: &CliError) -> Exit {
    ui.error(error, &findings(error));
    exit::of_error(error)
}

/// What an error found, line by line.
fn findings(error: &CliError) -> Vec<String> {
    match error {
        CliError::Ops(OpsError::Engine(EngineError::Damaged { damage, .. })) => damage.clone(),
        CliError::Ops(OpsError::Engine(EngineError::Unequal { findings, .. }) | OpsError::ReadBack { findings }) => {
            report::findings(&findings.iter().collect::<Vec<_>>())
        }
        _ => Vec::new(),
    }
}

fn log_json_lines() {
    let lines = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false)
        .with_writer(std::io::stderr)
        // It would tell on stderr that stderr is full, and panic.
        .log_internal_errors(false)
        .with_max_level(tracing::Level::INFO);
    // Only a second subscriber in one process fails, and there is one call.
    drop(lines.try_init());
}
