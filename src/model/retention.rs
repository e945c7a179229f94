//! Which snapshots retention keeps, decided apart from deleting any.
//!
//! Invariant: the newest verified snapshot, the newest drilled one and the newest of all are never forgotten,
//! and neither is anything while no rule is given or nothing good exists.

use std::collections::HashSet;
use std::fmt;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::evidence::Proof;
use super::names::SnapshotId;

/// How many snapshots to keep by each rule; 0 leaves a rule out. All zero keeps everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The newest snapshots, however close together.
    pub keep_last: u32,
    /// Hours that have a snapshot: the newest of each.
    pub keep_hourly: u32,
    /// Days that have a snapshot: the newest of each.
    pub keep_daily: u32,
    /// ISO weeks that have a snapshot: the newest of each.
    pub keep_weekly: u32,
    /// Months that have a snapshot: the newest of each.
    pub keep_monthly: u32,
    /// Years that have a snapshot: the newest of each.
    pub keep_yearly: u32,
    /// Whose calendar says where an hour, a day, a week, a month and a year begin.
    pub time_zone: Tz,
}

impl Policy {
    /// The policy without any rule: everything is kept.
    #[must_use]
    pub const fn keep_everything(time_zone: Tz) -> Self {
        let none = 0;
        Self {
            keep_last: none,
            keep_hourly: none,
            keep_daily: none,
            keep_weekly: none,
            keep_monthly: none,
            keep_yearly: none,
            time_zone,
        }
    }

    /// Whether no rule is given, so that nothing is ever forgotten.
    #[must_use]
    pub fn keeps_everything(&self) -> bool {
        *self == Self::keep_everything(self.time_zone)
    }

    const fn calendar(&self) -> [(Period, u32); 5] {
        [
            (Period::Hourly, self.keep_hourly),
            (Period::Daily, self.keep_daily),
            (Period::Weekly, self.keep_weekly),
            (Period::Monthly, self.keep_monthly),
            (Period::Yearly, self.keep_yearly),
        ]
    }
}

/// A snapshot as retention sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub id: SnapshotId,
    /// The instant of its view.
    pub taken_at: DateTime<Utc>,
    /// What the evidence says about it.
    pub proof: Proof,
    /// Whether its source was damaged when it was taken.
    pub source_damaged: bool,
    /// Why it must stay whatever the rules say: an open release, a rollback, a reader.
    pub pinned: Option<String>,
}

impl Candidate {
    const fn is_good(&self) -> bool {
        !self.source_damaged && self.proof.damaged_at.is_none()
    }

    /// Whether it is known to be good: verified, not found damaged since, of a source that was not.
    #[must_use]
    pub const fn is_verified(&self) -> bool {
        self.is_good() && self.proof.is_verified()
    }

    const fn is_drilled(&self) -> bool {
        self.is_good() && self.proof.drilled_at.is_some()
    }
}

/// What becomes of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The snapshot.
    pub id: SnapshotId,
    /// Whether it stays or goes, and why.
    pub fate: Fate,
}

/// Whether a snapshot stays or goes, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It stays, for every one of these reasons (at least one).
    Keep(Vec<Reason>),
    /// It goes.
    Forget(Why),
}

/// Why a snapshot stays; printed like `daily 2026-11-20`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// One of the newest, by `keep_last` (its value).
    Last(u32),
    /// The newest good one of a calendar period.
    Calendar(Period, String),
    /// The newest snapshot that is verified.
    NewestVerified,
    /// The newest snapshot that passed a drill.
    NewestDrilled,
    /// The newest snapshot, whatever its proof.
    Newest,
    /// Something needs it: the words of who does.
    Pinned(String),
    /// Its date lies ahead of the clock: one of the two was wrong.
    Future,
    /// No good snapshot exists, so that even a damaged one is the best there is.
    NothingBetter,
    /// The policy has no rule.
    NoRule,
}

/// Why a snapshot goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its last verification failed.
    Damaged,
    /// Its source was damaged when it was taken.
    SourceDamaged,
    /// No rule keeps it.
    NoRuleKeepsIt,
}

/// A span of the calendar that keeps its newest good snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// An hour on the wall clock; the repeated hour of an autumn night is two.
    Hourly,
    /// A local day.
    Daily,
    /// An ISO week, from Monday.
    Weekly,
    /// A month.
    Monthly,
    /// A year.
    Yearly,
}

impl Period {
    /// The name of the span that `instant` falls into; equal names are the same span.
    fn bucket(self, instant: DateTime<Utc>, time_zone: Tz) -> String {
        let format = match self {
            Self::Hourly => "%Y-%m-%d %H:00 %:z",
            Self::Daily => "%Y-%m-%d",
            Self::Weekly => "%G-W%V",
            Self::Monthly => "%Y-%m",
            Self::Yearly => "%Y",
        };
        instant.with_timezone(&time_zone).format(format).to_string()
    }
}

/// Decides about every candidate, newest first.
///
/// A damaged snapshot counts for no rule. A calendar period keeps its newest verified snapshot, or its newest
/// unverified one while none is verified; `keep_last` takes verified ones first. A rule counts periods that
/// have a good snapshot, not time that passed. Snapshots dated after `now` stay and count for no rule.
/// To plan again after the forgetting changes nothing.
#[must_use]
pub fn plan(candidates: &[Candidate], policy: &Policy, now: DateTime<Utc>) -> Vec<Decision> {
    let mut sorted: Vec<&Candidate> = candidates.iter().collect();
    sorted.sort_by(|a, b| (b.taken_at, &b.id).cmp(&(a.taken_at, &a.id)));
    let mut table = Table { reasons: vec![Vec::new(); sorted.len()], sorted, now };
    if policy.keeps_everything() {
        table.keep_where(|_| true, &Reason::NoRule);
    }
    table.keep_last(policy.keep_last);
    for (period, count) in policy.calendar() {
        table.keep_period(period, count, policy.time_zone);
    }
    table.keep_always();
    table.decisions()
}

/// The candidates, newest first, with what was said for each so far.
struct Table<'a> {
    sorted: Vec<&'a Candidate>,
    reasons: Vec<Vec<Reason>>,
    now: DateTime<Utc>,
}

impl Table<'_> {
    /// Places of the candidates that may count for a rule and are as wanted, newest first.
    fn places(&self, wanted: impl Fn(&Candidate) -> bool) -> Vec<usize> {
        let counts = |&i: &usize| self.sorted[i].taken_at <= self.now && wanted(self.sorted[i]);
        (0..self.sorted.len()).filter(counts).collect()
    }

    fn keep(&mut self, place: usize, reason: Reason) {
        self.reasons[place].push(reason);
    }

    fn keep_where(&mut self, wanted: impl Fn(&Candidate) -> bool, reason: &Reason) {
        for (candidate, reasons) in self.sorted.iter().zip(&mut self.reasons) {
            if wanted(candidate) {
                reasons.push(reason.clone());
            }
        }
    }

    fn keep_first(&mut self, wanted: impl Fn(&Candidate) -> bool, reason: Reason) {
        if let Some(&place) = self.places(wanted).first() {
            self.keep(place, reason);
        }
    }

    /// The newest verified ones; unverified ones only for places that those leave free.
    fn keep_last(&mut self, count: u32) {
        let mut places = self.places(Candidate::is_verified);
        places.extend(self.places(|c| c.is_good() && !c.is_verified()));
        for place in places.into_iter().take(count as usize) {
            self.keep(place, Reason::Last(count));
        }
    }

    fn keep_period(&mut self, period: Period, count: u32, time_zone: Tz) {
        let bucket = |candidate: &Candidate| period.bucket(candidate.taken_at, time_zone);
        let verified: HashSet<String> =
            self.places(Candidate::is_verified).into_iter().map(|place| bucket(self.sorted[place])).collect();
        let mut kept = HashSet::new();
        for place in self.places(Candidate::is_good) {
            let name = bucket(self.sorted[place]);
            let best = self.sorted[place].is_verified() || !verified.contains(&name);
            if best && kept.len() < count as usize && kept.insert(name.clone()) {
                self.keep(place, Reason::Calendar(period, name));
            }
        }
    }

    fn keep_always(&mut self) {
        self.keep_first(Candidate::is_verified, Reason::NewestVerified);
        self.keep_first(Candidate::is_drilled, Reason::NewestDrilled);
        self.keep_first(|_| true, Reason::Newest);
        if self.places(Candidate::is_good).is_empty() {
            self.keep_where(|_| true, &Reason::NothingBetter);
        }
        let now = self.now;
        self.keep_where(|candidate| candidate.taken_at > now, &Reason::Future);
        for (candidate, reasons) in self.sorted.iter().zip(&mut self.reasons) {
            reasons.extend(candidate.pinned.clone().map(Reason::Pinned));
        }
    }

    fn decisions(self) -> Vec<Decision> {
        let decide = |(candidate, reasons): (&Candidate, Vec<Reason>)| Decision {
            id: candidate.id.clone(),
            fate: if reasons.is_empty() { Fate::Forget(Why::of(candidate)) } else { Fate::Keep(reasons) },
        };
        self.sorted.into_iter().zip(self.reasons).map(decide).collect()
    }
}

impl Why {
    const fn of(candidate: &Candidate) -> Self {
        if candidate.proof.damaged_at.is_some() {
            Self::Damaged
        } else if candidate.source_damaged {
            Self::SourceDamaged
        } else {
            Self::NoRuleKeepsIt
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Last(count) => write!(f, "last {count}"),
            Self::Calendar(period, name) => write!(f, "{period} {name}"),
            Self::NewestVerified => f.write_str("newest verified"),
            Self::NewestDrilled => f.write_str("newest drilled"),
            Self::Newest => f.write_str("newest"),
            Self::Pinned(who) => write!(f, "pinned: {who}"),
            Self::Future => f.write_str("dated in the future"),
            Self::NothingBetter => f.write_str("no good snapshot exists"),
            Self::NoRule => f.write_str("no retention rule"),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Yearly => "yearly",
        })
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Damaged => "damaged",
            Self::SourceDamaged => "its source was damaged",
            Self::NoRuleKeepsIt => "no rule keeps it",
        })
    }
}

#[cfg(test)]
mod tests;
