//! Who has a file open, as far as this user may see (Linux: `/proc`).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Processes named in a message; more would hide the rest of it.
const NAMED_MAX: usize = 5;

/// A process that has the file open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opener {
    /// Its process id.
    pub pid: u32,
    /// Its command's name, at most 15 bytes (`/proc/<pid>/comm`).
    pub command: String,
    /// How many of its descriptors are open on the file.
    pub descriptors: usize,
}

/// Every process that has the file at `path` open, this one included.
pub(super) fn openers(path: &Path) -> Vec<Opener> {
    let Ok(file) = fs::metadata(path) else { return Vec::new() };
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| opener(pid, (file.dev(), file.ino()))).collect()
}

/// Every *other* process that has the file at `path` open.
pub(super) fn others(path: &Path) -> Vec<Opener> {
    let mut openers = openers(path);
    openers.retain(|opener| opener.pid != std::process::id());
    openers
}

fn opener(pid: u32, file: (u64, u64)) -> Option<Opener> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
    // Follows the link to the open file itself, also where its name is gone; opens nothing.
    let same = |path: &Path| fs::metadata(path).is_ok_and(|open| (open.dev(), open.ino()) == file);
    let descriptors = descriptors.filter(|entry| same(&entry.path())).count();
    let command = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned();
    (descriptors > 0).then_some(Opener { pid, command, descriptors })
}

/// A phrase for a message: `held open by agent (pid 4711); stop it, or try again later`.
pub(super) fn describe(path: &Path) -> String {
    let others = others(path);
    if others.is_empty() {
        return "held by a process that can't be seen from here (another user's, another container's, or this \
            process itself); stop what uses it, or try again later"
            .to_owned();
    }
    let named: Vec<_> = others.iter().take(NAMED_MAX).map(|o| format!("{} (pid {})", o.command, o.pid)).collect();
    let more = others.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("held open by {}{more}; stop it, or try again later", named.join(", "))
}
