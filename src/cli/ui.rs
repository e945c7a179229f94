//! The two streams: stdout is the answer, stderr is news and errors.
//!
//! A reader that went away (`| head`) ends the writing, never the work.

use std::io::{self, Write};

use serde_json::Value;

use super::args::{Global, LogFormat};
use super::error::CliError;
use super::exit;
use crate::model::outcome::Outcome;
use crate::report;

/// How to speak.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ui {
    operation: &'static str,
    json: bool,
    quiet: bool,
    log: LogFormat,
}

impl Ui {
    pub(super) const fn new(global: &Global, operation: &'static str) -> Self {
        Self { operation, json: global.json, quiet: global.quiet, log: global.log_format }
    }

    /// For errors in the arguments themselves, before they could be parsed.
    pub(super) fn for_unparsed(arguments: &[std::ffi::OsString]) -> Self {
        let json = arguments.iter().any(|argument| argument == "--json");
        Self { operation: "none", json, quiet: false, log: LogFormat::Auto }
    }

    /// The answer of a command: text or one JSON document on stdout, findings on stderr.
    pub(super) fn answer(self, outcome: &Outcome) {
        if self.json {
            json_line(&mut io::stdout().lock(), &report::document(outcome));
        } else if !self.quiet {
            lines(&mut io::stdout().lock(), &report::outcome(outcome));
        }
        if self.log == LogFormat::Json {
            return self.log_findings(outcome);
        }
        // A verification's findings stand in its answer already.
        if self.json {
            return;
        }
        if self.quiet && failed(outcome) {
            lines(&mut io::stderr().lock(), &at_most(LINES_SHOWN, report::failure(outcome)));
        } else if !self.quiet && !matches!(outcome, Outcome::Verify(_)) {
            lines(&mut io::stderr().lock(), &report::findings(&outcome.findings()));
        }
    }

    fn log_findings(self, outcome: &Outcome) {
        let operation = self.operation;
        for finding in outcome.findings() {
            let (severity, subject) = (format!("{:?}", finding.severity).to_lowercase(), &finding.subject);
            tracing::warn!(operation, severity, subject, "{}", finding.message);
        }
    }

    /// Plain text on stdout, for answers that are texts themselves.
    pub(super) fn text(self, text: &[u8]) {
        ignore_closed(io::stdout().lock().write_all(text));
    }

    /// One line on stdout.
    pub(super) fn line(self, line: &str) {
        if !self.quiet {
            lines(&mut io::stdout().lock(), &[line.to_owned()]);
        }
    }

    /// What is about to be changed, on stderr, before it is.
    pub(super) fn subject(self, line: &str) {
        if !self.quiet && !self.json && self.log == LogFormat::Auto {
            lines(&mut io::stderr().lock(), &[line.to_owned()]);
        }
    }

    /// Why a command failed, on stderr: at most fifteen lines.
    pub(super) fn error(self, error: &CliError, findings: &[String]) {
        let exit_code = exit::of_error(error) as u8;
        let hint = error.hint();
        let mut causes = error.causes();
        causes.extend_from_slice(findings);
        if self.log == LogFormat::Json {
            let (operation, causes) = (self.operation, causes.join("; "));
            tracing::error!(operation, error_code = exit_code, causes, hint, "{error}");
            return;
        }
        let mut stderr = io::stderr().lock();
        if self.json {
            return json_line(
                &mut stderr,
                &report::error_document(exit_code, &error.to_string(), &causes, hint.as_deref()),
            );
        }
        let mut text = match error {
            CliError::Arguments(whole) => whole.trim_end().lines().map(str::to_owned).collect(),
            other => vec![format!("error: {other}")],
        };
        let more = causes.len().saturating_sub(CAUSES_SHOWN);
        text.extend(causes.into_iter().take(CAUSES_SHOWN).map(|cause| format!("  {cause}")));
        text.extend((more > 0).then(|| format!("  … and {more} more")));
        text.extend(hint.map(|hint| format!("hint: {hint}")));
        lines(&mut stderr, &text);
    }
}

/// Causes and findings that an error shows: with message and hint under fifteen lines, as cron mails want it.
const CAUSES_SHOWN: usize = 11;

/// Lines of a failure under `--quiet`: what cron mails and somebody reads at night.
const LINES_SHOWN: usize = 15;

fn at_most(limit: usize, mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(limit - 1);
    if lines.len() > limit {
        lines.truncate(limit - 1);
        lines.push(format!("… and {more} more lines"));
    }
    lines
}

fn failed(outcome: &Outcome) -> bool {
    exit::of_outcome(outcome, false) != exit::Exit::Done
}

fn lines(stream: &mut impl Write, lines: &[String]) {
    for line in lines {
        if writeln!(stream, "{}", report::one_line(line)).is_err() {
            return;
        }
    }
    ignore_closed(stream.flush());
}

fn json_line(stream: &mut impl Write, document: &Value) {
    ignore_closed(writeln!(stream, "{document}").and_then(|()| stream.flush()));
}

/// Nobody is there to be told that nobody is there.
fn ignore_closed(result: io::Result<()>) {
    drop(result);
}
