//! Progress on stderr: bars on a terminal, a line a phase elsewhere, JSON lines for collectors.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use super::args::{Global, LogFormat};
use crate::model::event::{Event, Observer, Phase};
use crate::report::{bytes, duration, one_line, rate};

/// The listener that these options ask for.
pub(super) fn observer(global: &Global, about: About) -> Arc<dyn Observer> {
    match (global.log_format, global.quiet || global.json) {
        (LogFormat::Json, _) => Arc::new(JsonLines { about, tallies: Tallies::default() }),
        (LogFormat::Auto, true) => Arc::new(Silent),
        (LogFormat::Auto, false) if can_draw() => Arc::new(Bars::default()),
        (LogFormat::Auto, false) => Arc::new(Lines::default()),
    }
}

/// Whether stderr is a terminal that moves its cursor; on others indicatif would draw nothing at all.
fn can_draw() -> bool {
    let capable = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
    capable && io::stderr().is_terminal()
}

/// Says nothing.
struct Silent;

impl Observer for Silent {
    fn notice(&self, _: &Event) {}
}

/// What a phase has gone through so far.
struct Tally {
    began: Instant,
    plain_bytes: u64,
    rows: u64,
}

/// The phases that are open.
#[derive(Default)]
struct Tallies(Mutex<HashMap<Phase, Tally>>);

impl Tallies {
    fn lock(&self) -> MutexGuard<'_, HashMap<Phase, Tally>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn began(&self, phase: Phase) {
        self.lock().insert(phase, Tally { began: Instant::now(), plain_bytes: 0, rows: 0 });
    }

    /// Rows so far.
    fn advanced(&self, phase: Phase, plain_bytes: u64, rows: u64) -> u64 {
        let mut tallies = self.lock();
        let Some(tally) = tallies.get_mut(&phase) else { return 0 };
        tally.plain_bytes += plain_bytes;
        tally.rows += rows;
        tally.rows
    }

    fn ended(&self, phase: Phase) -> Option<Tally> {
        self.lock().remove(&phase)
    }
}

impl Tally {
    fn took_ms(&self) -> u64 {
        millis(self.began.elapsed())
    }
}

/// One line when a phase ended.
#[derive(Default)]
struct Lines(Tallies);

impl Observer for Lines {
    fn notice(&self, event: &Event) {
        let line = match event {
            Event::Began { phase, .. } => {
                self.0.began(*phase);
                None
            }
            Event::Advanced { phase, plain_bytes, rows } => {
                self.0.advanced(*phase, *plain_bytes, *rows);
                None
            }
            Event::Ended { phase } => self.0.ended(*phase).map(|tally| phase_line(*phase, &tally)),
            Event::Note { message } => Some(message.clone()),
            Event::Warning { message } => Some(format!("warning: {message}")),
        };
        line.into_iter().for_each(|line| stderr_line(&line));
    }
}

fn phase_line(phase: Phase, tally: &Tally) -> String {
    let took = duration(tally.took_ms());
    let amount = match (tally.plain_bytes, tally.rows) {
        (0, 0) => String::new(),
        (0, rows) => format!("{rows} rows in "),
        (plain, _) => format!("{} in ", bytes(plain)),
    };
    let rate = rate(tally.plain_bytes, tally.took_ms());
    let rate = if rate.is_empty() || tally.plain_bytes == 0 { String::new() } else { format!(", {rate}") };
    format!("{}: {amount}{took}{rate}", phase.label())
}

fn stderr_line(line: &str) {
    // A closed stderr stops the telling, never the work.
    drop(writeln!(io::stderr().lock(), "{}", one_line(line)));
}

/// A bar a phase, below one another while phases overlap.
#[derive(Default)]
struct Bars {
    all: MultiProgress,
    open: Mutex<HashMap<Phase, ProgressBar>>,
    tallies: Tallies,
}

impl Bars {
    fn open(&self) -> MutexGuard<'_, HashMap<Phase, ProgressBar>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn print(&self, line: &str) {
        drop(self.all.println(one_line(line)));
    }
}

impl Observer for Bars {
    fn notice(&self, event: &Event) {
        match event {
            Event::Began { phase, total_bytes } => {
                self.tallies.began(*phase);
                let bar = self.all.add(bar(*phase, *total_bytes));
                self.open().insert(*phase, bar);
            }
            Event::Advanced { phase, plain_bytes, rows } => {
                let rows = self.tallies.advanced(*phase, *plain_bytes, *rows);
                if let Some(bar) = self.open().get(phase) {
                    bar.inc(*plain_bytes);
                    if rows > 0 {
                        bar.set_message(format!("{rows} rows"));
                    }
                }
            }
            Event::Ended { phase } => {
                self.open().remove(phase).iter().for_each(ProgressBar::finish_and_clear);
                if let Some(tally) = self.tallies.ended(*phase) {
                    self.print(&phase_line(*phase, &tally));
                }
            }
            Event::Note { message } => self.print(message),
            Event::Warning { message } => self.print(&format!("warning: {message}")),
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.open().values().for_each(ProgressBar::finish_and_clear);
    }
}

/// Milliseconds between two redraws of a phase whose size is not known.
const TICK_MS: u64 = 120;

/// Fits in 80 columns; on narrower terminals the end is cut off, so that what matters most comes first.
fn bar(phase: Phase, total_bytes: Option<u64>) -> ProgressBar {
    let (bar, template) = match total_bytes {
        Some(total) => (ProgressBar::new(total), "{prefix:19} {amount:>16} {rate:>9} {left:>16} {msg} {bar:10}"),
        None => (ProgressBar::new_spinner(), "{prefix:19} {amount:>16} {rate:>9} {spinner} {spent} {msg}"),
    };
    // The template is fixed above; were it wrong, indicatif's own would do.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(
        style
            .progress_chars("=> ")
            .with_key("amount", amount)
            .with_key("rate", rate_so_far)
            .with_key("left", left)
            .with_key("spent", spent),
    );
    bar.set_prefix(phase.label());
    bar.enable_steady_tick(Duration::from_millis(TICK_MS));
    bar
}

/// In the units of the lines that follow when a phase ended.
fn amount(state: &ProgressState, to: &mut dyn fmt::Write) {
    let text = match state.len() {
        Some(total) => format!("{}/{}", bytes(state.pos().min(total)), bytes(total)),
        None if state.pos() == 0 => String::new(),
        None => bytes(state.pos()),
    };
    to.write_str(&text).unwrap_or_default();
}

fn rate_so_far(state: &ProgressState, to: &mut dyn fmt::Write) {
    if state.pos() > 0 {
        to.write_str(&rate(state.pos(), millis(state.elapsed()))).unwrap_or_default();
    }
}

fn left(state: &ProgressState, to: &mut dyn fmt::Write) {
    let seconds = state.eta().as_secs();
    if state.pos() > 0 && seconds > 0 {
        write!(to, "{} left", whole_seconds(seconds)).unwrap_or_default();
    }
}

fn spent(state: &ProgressState, to: &mut dyn fmt::Write) {
    to.write_str(&whole_seconds(state.elapsed().as_secs())).unwrap_or_default();
}

fn whole_seconds(seconds: u64) -> String {
    if seconds < 60 { format!("{seconds} s") } else { duration(seconds.saturating_mul(1000)) }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// One JSON object a line, through `tracing`.
struct JsonLines {
    about: About,
    tallies: Tallies,
}

/// What every line of the log names.
#[derive(Debug)]
pub(super) struct About {
    pub operation: &'static str,
    pub run_id: String,
    /// The database's folder; empty where the operation is about no single one.
    pub database: String,
}

impl Observer for JsonLines {
    fn notice(&self, event: &Event) {
        let About { operation, run_id, database } = &self.about;
        match event {
            Event::Began { phase, total_bytes } => {
                self.tallies.began(*phase);
                tracing::info!(operation, run_id, database, phase = phase.label(), total_bytes, "began");
            }
            Event::Advanced { phase, plain_bytes, rows } => {
                self.tallies.advanced(*phase, *plain_bytes, *rows);
            }
            Event::Ended { phase } => {
                if let Some(tally) = self.tallies.ended(*phase) {
                    let (took_ms, plain_bytes, rows) = (tally.took_ms(), tally.plain_bytes, tally.rows);
                    tracing::info!(
                        operation,
                        run_id,
                        database,
                        phase = phase.label(),
                        took_ms,
                        plain_bytes,
                        rows,
                        "ended"
                    );
                }
            }
            Event::Note { message } => tracing::info!(operation, run_id, database, "{message}"),
            Event::Warning { message } => tracing::warn!(operation, run_id, database, "{message}"),
        }
    }
}
