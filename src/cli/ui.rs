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
        let has = |option: &str| arguments.iter().any(|argument| argument == option);
        let log_json = has("--log-format=json") || (has("--log-format") && has("json"));
        let log = if log_json { LogFormat::Json } else { LogFormat::Auto };
        Self { operation: "none", json: has("--json"), quiet: false, log }
    }

    /// Whether stderr holds a log for collectors.
    pub(super) fn logs_json(self) -> bool {
        self.log == LogFormat::Json
    }

    /// The answer of a command: text or one JSON document on stdout, findings on stderr.
    pub(super) fn answer(self, outcome: &Outcome) -> Result<(), CliError> {
        let written = if self.json {
            json_line(&mut io::stdout().lock(), &report::document(outcome))
        } else if self.quiet {
            Ok(())
        } else {
            lines(&mut io::stdout().lock(), &report::outcome(outcome))
        };
        if self.log == LogFormat::Json {
            self.log_findings(outcome);
        } else if self.quiet && !self.json {
            self.failure(outcome);
        } else if !self.json && !matches!(outcome, Outcome::Verify(_)) {
            // A verification's findings stand in its answer already.
            told(lines(&mut io::stderr().lock(), &report::findings(&outcome.findings())));
        }
        unless_gone(written)
    }

    /// What cron mails: what failed, and the next command; nothing when all is well.
    fn failure(self, outcome: &Outcome) {
        let exit = exit::of_outcome(outcome, false);
        if exit == exit::Exit::Done {
            return;
        }
        let mut text = vec![format!("error: {} ended with exit code {}", self.operation, exit as u8)];
        text.extend(shortened(report::failure(outcome)));
        text.push("hint: `dbops list` shows which snapshots are proven good".to_owned());
        told(lines(&mut io::stderr().lock(), &text));
    }

    /// The answer of a command that is no operation: its lines were told already, or it is a text itself.
    pub(super) fn other(self, other: &report::Other) -> Result<(), CliError> {
        if self.json {
            return unless_gone(json_line(&mut io::stdout().lock(), &report::other_document(other)));
        }
        match other {
            report::Other::Demo { .. } => Ok(()),
            report::Other::Completions { text } | report::Other::Man { text } => self.text(text),
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
    pub(super) fn text(self, text: &str) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        unless_gone(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
    }

    /// A line of a story on stdout, while it happens; an empty one sets apart.
    pub(super) fn line(self, line: &str) {
        if !self.quiet && !self.json {
            told(lines(&mut io::stdout().lock(), &[line.to_owned()]));
        }
    }

    /// What is about to be changed, on stderr, before it is.
    pub(super) fn subject(self, line: &str) {
        if !self.quiet && !self.json && self.log == LogFormat::Auto {
            told(lines(&mut io::stderr().lock(), &[line.to_owned()]));
        }
    }

    /// Why a command failed, on stderr: at most fifteen lines.
    pub(super) fn error(self, error: &CliError, findings: &[String]) {
        let exit_code = exit::of_error(error) as u8;
        let (message, mut causes, hint) = match error {
            CliError::Arguments(whole) => parts(whole),
            other => (other.to_string(), other.causes(), other.hint()),
        };
        causes.extend_from_slice(findings);
        if self.log == LogFormat::Json {
            let (operation, causes) = (self.operation, causes.join("; "));
            tracing::error!(operation, error_code = exit_code, causes, hint, "{message}");
            return;
        }
        let mut stderr = io::stderr().lock();
        if self.json {
            let body = report::ErrorBody { exit_code, message, causes, hint };
            let document = report::error_document(&report::ErrorDocument { error: body });
            return told(json_line(&mut stderr, &document));
        }
        if let CliError::Arguments(whole) = error {
            let whole: Vec<String> = whole.trim_end().lines().map(str::to_owned).collect();
            return told(lines(&mut stderr, &whole));
        }
        let mut text = vec![format!("error: {message}")];
        text.extend(shortened(causes.into_iter().map(|cause| format!("  {cause}")).collect()));
        text.extend(hint.map(|hint| format!("hint: {hint}")));
        told(lines(&mut stderr, &text));
    }
}

/// What clap says, in the parts of an error: its first line, its tips, and where to look.
fn parts(whole: &str) -> (String, Vec<String>, Option<String>) {
    let mut rest = whole.lines().map(str::trim).filter(|line| !line.is_empty());
    let message = rest.next().unwrap_or_default();
    let (last, causes): (Vec<&str>, Vec<&str>) = rest.partition(|line| line.starts_with("For more information"));
    let hint = last.first().map(|_| "`dbops help COMMAND` shows what there is".to_owned());
    let message = message.strip_prefix("error: ").unwrap_or(message).to_owned();
    (message, causes.into_iter().map(str::to_owned).collect(), hint)
}

/// As many of `all` as a mail should hold, and how many more there are.
fn shortened(mut all: Vec<String>) -> Vec<String> {
    let more = all.len().saturating_sub(CAUSES_SHOWN);
    all.truncate(CAUSES_SHOWN);
    all.extend((more > 0).then(|| format!("  … and {more} more")));
    all
}

/// Causes and findings that an error shows: with message and hint under fifteen lines, as cron mails want it.
const CAUSES_SHOWN: usize = 11;

fn lines(stream: &mut impl Write, lines: &[String]) -> io::Result<()> {
    for line in lines {
        writeln!(stream, "{}", report::one_line(line))?;
    }
    stream.flush()
}

fn json_line(stream: &mut impl Write, document: &Value) -> io::Result<()> {
    writeln!(stream, "{document}")?;
    stream.flush()
}

/// News that can't be told stops the telling, never the work.
fn told(result: io::Result<()>) {
    drop(result);
}

/// A reader that went away had what it wanted; any other reason means that the answer is lost, and scripts must know.
fn unless_gone(written: io::Result<()>) -> Result<(), CliError> {
    match written {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => Err(CliError::Answer { source }),
        Ok(()) | Err(_) => Ok(()),
    }
}
