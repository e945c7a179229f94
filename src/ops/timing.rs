//! How long phases take, learnt by listening to them.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};

use crate::model::clock::Clock;
use crate::model::event::{Event, Observer, Phase};
use crate::model::outcome::PhaseTook;
use crate::model::watch::Watch;

/// Listens, passes on what it hears, and remembers when phases began and ended.
pub(super) struct Timing {
    inner: Arc<dyn Observer>,
    clock: Arc<dyn Clock>,
    phases: Mutex<Vec<Span>>,
}

struct Span {
    phase: Phase,
    began: DateTime<Utc>,
    ended: Option<DateTime<Utc>>,
}

impl Timing {
    /// A watch like `watch` whose phases are timed.
    pub(super) fn listen(watch: &Watch) -> (Arc<Self>, Watch) {
        let timing = Arc::new(Self {
            inner: Arc::clone(&watch.observer),
            clock: Arc::clone(&watch.clock),
            phases: Mutex::default(),
        });
        let watch = Watch { observer: timing.clone(), ..watch.clone() };
        (timing, watch)
    }

    /// The phases that ended, in the order of their begin.
    pub(super) fn phases(&self) -> Vec<PhaseTook> {
        let phases = self.phases.lock().unwrap_or_else(PoisonError::into_inner);
        let took = |span: &Span| {
            span.ended.map(|ended| PhaseTook {
                phase: span.phase.label().to_owned(),
                took_ms: millis_between(span.began, ended),
            })
        };
        phases.iter().filter_map(took).collect()
    }
}

impl Observer for Timing {
    fn notice(&self, event: &Event) {
        let mut phases = self.phases.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Began { phase, .. } => phases.push(Span { phase: *phase, began: self.clock.now(), ended: None }),
            Event::Ended { phase } => {
                let open = phases.iter_mut().rev().find(|span| span.phase == *phase && span.ended.is_none());
                open.into_iter().for_each(|span| span.ended = Some(self.clock.now()));
            }
            Event::Advanced { .. } | Event::Note { .. } | Event::Warning { .. } => {}
        }
        drop(phases);
        self.inner.notice(event);
    }
}

/// Milliseconds from `begin` to `end`; 0 where a clock went back.
pub(super) fn millis_between(begin: DateTime<Utc>, end: DateTime<Utc>) -> u64 {
    u64::try_from((end - begin).num_milliseconds()).unwrap_or(0)
}
