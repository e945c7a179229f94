//! Who holds a lease or a pin, told so that another process can see whether it still lives.

use std::fmt;
use std::hash::{BuildHasher, Hasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::codec::digest;

/// A process of dbops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The host's name.
    pub host: String,
    /// The host's boot, where the system tells it (Linux).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// The namespace in which `pid` counts, where the system tells it (Linux).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid_namespace: Option<String>,
    /// The process.
    pub pid: u32,
    /// When it started, in clock ticks after the boot, where the system tells it (Linux).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_ticks: Option<u64>,
    /// Random; no two runs share it.
    pub run: String,
    /// When the run began.
    pub began_at: DateTime<Utc>,
}

impl Holder {
    /// This process, in a run that begins now.
    #[must_use]
    pub fn this_process(now: DateTime<Utc>) -> Self {
        let pid = std::process::id();
        Self {
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            boot_id: boot_id(),
            pid_namespace: pid_namespace(),
            pid,
            started_ticks: started_ticks(pid),
            run: random_id(now),
            began_at: now,
        }
    }

    /// Whether this process can see that the holder does not live any more: same boot, same namespace, and no
    /// process of that number and start. What can't be seen is taken for alive.
    pub(super) fn is_provably_dead(&self) -> bool {
        let here = rustix::system::uname();
        let same_host = here.nodename().to_string_lossy() == self.host.as_str();
        let same_boot = self.boot_id.is_some() && self.boot_id == boot_id();
        let same_namespace = self.pid_namespace.is_some() && self.pid_namespace == pid_namespace();
        same_host && same_boot && same_namespace && self.started_ticks.is_some() && self.is_gone()
    }

    fn is_gone(&self) -> bool {
        match std::fs::read_to_string(format!("/proc/{}/stat", self.pid)) {
            Ok(stat) => start_of(&stat).is_some_and(|ticks| Some(ticks) != self.started_ticks),
            // Also how another user's process looks under hidepid (proc(5)): a signal finds it all the same.
            Err(error) => error.kind() == std::io::ErrorKind::NotFound && self.is_unknown_to_signals(),
        }
    }

    /// Signal 0 tells whether the process exists, allowed or not (kill(2)).
    fn is_unknown_to_signals(&self) -> bool {
        let pid = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw);
        pid.is_none_or(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on {}", self.pid, self.host)
    }
}

fn boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

fn pid_namespace() -> Option<String> {
    let link = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(link.to_string_lossy().into_owned())
}

fn started_ticks(pid: u32) -> Option<u64> {
    start_of(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Field 22 of `/proc/<pid>/stat` (proc_pid_stat(5)). The second field, the command, may hold blanks and
/// parentheses; the last `)` ends it.
fn start_of(stat: &str) -> Option<u64> {
    let (_, after_command) = stat.rsplit_once(')')?;
    after_command.split_whitespace().nth(22 - 3)?.parse().ok()
}

/// 32 hexadecimal digits that nobody else has: std's per-process random keys, the clock, the process, a count.
pub(super) fn random_id(now: DateTime<Utc>) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut seed = Vec::with_capacity(64);
    for _ in 0..4 {
        seed.extend(RandomState::new().build_hasher().finish().to_le_bytes());
    }
    seed.extend(now.timestamp_micros().to_le_bytes());
    seed.extend(std::process::id().to_le_bytes());
    seed.extend(COUNT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    digest(&seed).to_string()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_read_behind_any_command() {
        let stat = "7 (a b) c)) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 2 3";
        assert_eq!(start_of(stat), Some(4242));
        assert_eq!(start_of("nonsense"), None);
    }

    #[test]
    fn this_process_is_not_dead_and_its_forerunner_is() {
        let holder = Holder::this_process(Utc::now());
        assert!(!holder.is_provably_dead());
        let forerunner = Holder { started_ticks: holder.started_ticks.map(|ticks| ticks + 1), ..holder.clone() };
        assert!(forerunner.is_provably_dead());
        let elsewhere = Holder { host: "elsewhere".into(), ..forerunner };
        assert!(!elsewhere.is_provably_dead());
    }

    #[test]
    fn runs_differ() {
        let now = Utc::now();
        assert_ne!(random_id(now), random_id(now));
    }
}
