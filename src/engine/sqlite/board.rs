//! The spans that workers have still to read, and what they added up so far.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::halt::Halt;
use crate::engine::EngineError;
use crate::model::fingerprint::Fingerprint;

/// How long an idle worker sleeps before it looks again whether to stop.
const NAP: Duration = Duration::from_millis(50);

/// Row numbers of a table that one worker reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Index of the table.
    pub table: usize,
    /// First row number that is still to be read.
    pub first: i64,
    /// Last row number to be read.
    pub last: i64,
    /// Whether it is the whole table, whose bounds nobody looked up yet.
    pub is_whole: bool,
}

impl Span {
    const fn whole(table: usize) -> Self {
        Self { table, first: i64::MIN, last: i64::MAX, is_whole: true }
    }

    /// Row `number` was read.
    pub(super) const fn pass(&mut self, number: i64) {
        match number.checked_add(1) {
            Some(next) => self.first = next,
            None => self.finish(),
        }
    }

    /// All rows were read.
    pub(super) const fn finish(&mut self) {
        (self.first, self.last) = (i64::MAX, i64::MIN);
    }

    /// Whether nothing is left to be read.
    pub(super) const fn is_empty(&self) -> bool {
        self.first > self.last
    }

    /// Cuts off and gives the upper half of what is left.
    fn split(&mut self) -> Option<Self> {
        if self.first >= self.last {
            return None;
        }
        let middle = self.first.midpoint(self.last).clamp(self.first, self.last - 1);
        let upper = Self { first: middle + 1, ..*self };
        self.last = middle;
        Some(upper)
    }
}

/// What all workers share.
#[derive(Debug)]
pub(super) struct Board {
    state: Mutex<State>,
    changed: Condvar,
    idle: AtomicUsize,
}

#[derive(Debug)]
struct State {
    waiting: Vec<Span>,
    working: usize,
    failure: Option<EngineError>,
    outcome: Outcome,
}

/// What the workers found.
#[derive(Debug)]
pub(super) struct Outcome {
    /// A fingerprint a table.
    pub sums: Vec<Fingerprint>,
    /// Tables that can't be read, and why.
    pub broken: BTreeMap<usize, String>,
}

impl Board {
    /// All of `tables` tables are to be read.
    pub(super) fn new(tables: usize) -> Self {
        let outcome = Outcome { sums: vec![Fingerprint::default(); tables], broken: BTreeMap::new() };
        let waiting = (0..tables).map(Span::whole).collect();
        let state = State { waiting, working: 0, failure: None, outcome };
        Self { state: Mutex::new(state), changed: Condvar::new(), idle: AtomicUsize::new(0) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next span; waits while others may still give some away. `None` when all is read, or it is time to stop.
    pub(super) fn take(&self, halt: &Halt) -> Option<Span> {
        let mut state = self.state();
        loop {
            if state.failure.is_some() || halt.is_set() {
                return None;
            }
            if let Some(span) = state.waiting.pop() {
                state.working += 1;
                return Some(span);
            }
            if state.working == 0 {
                return None;
            }
            self.idle.fetch_add(1, Ordering::Relaxed);
            state = self.changed.wait_timeout(state, NAP).unwrap_or_else(PoisonError::into_inner).0;
            self.idle.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Gives away half of `span` when another worker has nothing to do.
    pub(super) fn share(&self, span: &mut Span) {
        if self.idle.load(Ordering::Relaxed) > 0
            && let Some(half) = span.split()
        {
            self.state().waiting.push(half);
            self.changed.notify_one();
        }
    }

    /// A span is read.
    pub(super) fn add(&self, table: usize, sum: Fingerprint) {
        self.end(|state| state.outcome.sums[table] += sum);
    }

    /// A table can't be read.
    pub(super) fn broken(&self, table: usize, why: String) {
        self.end(|state| _ = state.outcome.broken.entry(table).or_insert(why));
    }

    /// A worker failed: all stop.
    pub(super) fn fail(&self, error: EngineError) {
        self.end(|state| _ = state.failure.get_or_insert(error));
    }

    fn end(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        state.working = state.working.saturating_sub(1);
        drop(state);
        self.changed.notify_all();
    }

    /// What all workers found, once they ended.
    pub(super) fn outcome(self) -> Result<Outcome, EngineError> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        match state.failure {
            Some(error) => Err(error),
            None => Ok(state.outcome),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_make_the_whole() {
        for (first, last) in [(i64::MIN, i64::MAX), (0, 1), (-1, 0), (i64::MAX - 1, i64::MAX), (i64::MIN, i64::MIN + 1)]
        {
            let mut lower = Span { table: 0, first, last, is_whole: false };
            let upper = lower.split().unwrap();
            assert_eq!((lower.first, upper.last, lower.last + 1), (first, last, upper.first));
            assert!(!lower.is_empty() && !upper.is_empty());
        }
        assert_eq!(Span { table: 0, first: 5, last: 5, is_whole: false }.split(), None);
    }

    #[test]
    fn the_last_row_number_ends_a_span() {
        let mut span = Span { table: 0, first: 1, last: i64::MAX, is_whole: false };
        span.pass(i64::MAX);
        assert!(span.is_empty());
    }
}
