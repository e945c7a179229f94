//! Outcomes as lines for people, at most 80 wide where the content allows.

use chrono::{DateTime, Utc};

use super::units::{bytes, duration, rate};
use crate::model::evidence::Proof;
use crate::model::manifest::{CheckDepth, Content};
use crate::model::outcome::{
    BackedUp, Forgotten, Initialised, Listed, Outcome, Restored, Shown, Snapshot, Unreadable, Verified,
    VerifiedSnapshot, VerifyDepth,
};
use crate::model::report::{Finding, Severity};

/// The lines that answer a command. The last line of a backup is the snapshot's path.
#[must_use]
pub fn outcome(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Outcome::Init(done) => initialised(done),
        Outcome::Backup(done) => backed_up(done),
        Outcome::List(done) => listed(done),
        Outcome::Show(done) => shown(done),
        Outcome::Verify(done) => verified(done),
        Outcome::Restore(done) => restored(done),
        Outcome::Forget(done) => forgotten(done),
    }
}

/// Why a command that gave an answer did not end well: what nobody who asked for quiet may miss.
#[must_use]
pub fn failure(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Outcome::Verify(done) => done.snapshots.iter().filter(|one| !one.passed).flat_map(verified_one).collect(),
        Outcome::List(done) => done.unreadable.iter().map(unreadable).collect(),
        Outcome::Init(_) | Outcome::Backup(_) | Outcome::Show(_) | Outcome::Restore(_) | Outcome::Forget(_) => {
            findings(&outcome.findings())
        }
    }
}

fn unreadable(unreadable: &Unreadable) -> String {
    format!("{}  UNREADABLE: {}", unreadable.id, unreadable.why)
}

/// Findings, one a line, heaviest first.
#[must_use]
pub fn findings(findings: &[&Finding]) -> Vec<String> {
    let mut sorted = findings.to_vec();
    sorted.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    sorted.iter().map(|finding| format!("{}: {}: {}", weight(finding), finding.subject, finding.message)).collect()
}

fn weight(finding: &Finding) -> &'static str {
    match finding.severity {
        Severity::Warning => "warning",
        Severity::Failure => "failed",
        Severity::Corrupt => "corrupt",
    }
}

fn initialised(done: &Initialised) -> Vec<String> {
    vec![format!("repository {} made, id {}", done.repository, done.id)]
}

fn backed_up(done: &BackedUp) -> Vec<String> {
    let snapshot = &done.snapshot;
    let what = match snapshot.content {
        Content::Database => counted(snapshot.tables, snapshot.rows),
        Content::AbsentDatabase => "the database did not exist".to_owned(),
        Content::FilesOnly => "side files only".to_owned(),
    };
    let files = side_files(snapshot.side_files);
    let sizes = format!("{} stored in {}", bytes(snapshot.plain_bytes), bytes(snapshot.stored_bytes));
    let proven = if snapshot.proof.is_verified() { "read back and verified" } else { "stored, not proven good" };
    vec![format!("{what}{files}"), format!("{sizes}, {proven} in {}", duration(done.took_ms)), snapshot.path.clone()]
}

fn counted(tables: u64, rows: u64) -> String {
    let plural = |count: u64| if count == 1 { "" } else { "s" };
    format!("{tables} table{}, {rows} row{}", plural(tables), plural(rows))
}

fn side_files(count: u64) -> String {
    match count {
        0 => String::new(),
        1 => ", 1 side file".to_owned(),
        _ => format!(", {count} side files"),
    }
}

fn listed(done: &Listed) -> Vec<String> {
    let mut lines = Vec::new();
    if done.snapshots.is_empty() && done.unreadable.is_empty() {
        lines.push(format!("no snapshots in {}", done.repository));
    }
    let wide = done.snapshots.iter().map(|snapshot| snapshot.id.to_string().len()).max().unwrap_or(0);
    for snapshot in &done.snapshots {
        lines.push(list_line(snapshot, wide));
    }
    lines.extend(done.unreadable.iter().map(unreadable));
    if !done.orphans.is_empty() {
        let count = done.orphans.len();
        lines.push(format!("{count} unfinished left by killed runs: `dbops forget --orphans` removes them"));
    }
    lines
}

fn list_line(snapshot: &Snapshot, wide: usize) -> String {
    let id = snapshot.id.to_string();
    let size = bytes(snapshot.stored_bytes);
    let content = match snapshot.content {
        Content::Database => format!("{} rows", snapshot.rows),
        Content::AbsentDatabase => "absent".to_owned(),
        Content::FilesOnly => "files".to_owned(),
    };
    let tag = snapshot.release.as_ref().map_or_else(String::new, |release| format!("  before:{release}"));
    format!("{id:wide$}  {size:>8}  {content:>12}  {}{tag}", proof(snapshot))
}

fn proof(snapshot: &Snapshot) -> String {
    let Proof { verified_at, drilled_at, damaged_at } = snapshot.proof;
    match (damaged_at, drilled_at, verified_at) {
        (Some(at), _, _) => format!("DAMAGED {}", day(at)),
        _ if snapshot.source_damaged => "SOURCE DAMAGED".to_owned(),
        (None, Some(at), _) => format!("drilled {}", day(at)),
        (None, None, Some(at)) => format!("verified {}", day(at)),
        (None, None, None) => "taken".to_owned(),
    }
}

fn day(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d").to_string()
}

fn second(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn shown(done: &Shown) -> Vec<String> {
    let snapshot = &done.snapshot;
    let mut lines = vec![
        format!("snapshot     {}", snapshot.id),
        format!("path         {}", snapshot.path),
        format!("source       {}", snapshot.source),
        format!("taken        {}", second(snapshot.taken_at)),
        format!("engine       {}, dbops {}", done.engine_version, done.dbops_version),
        format!("size         {}, {} stored", bytes(snapshot.plain_bytes), bytes(snapshot.stored_bytes)),
        format!("proof        {}", proof(snapshot)),
        format!("source check {}", source_check(snapshot)),
    ];
    lines.extend(snapshot.release.iter().map(|release| format!("taken for    {release}")));
    lines.extend(snapshot.note.iter().map(|note| format!("note         {note}")));
    lines.extend(done.ledger.iter().map(|ledger| format!("ledger       {ledger}")));
    for table in &done.tables {
        let fingerprint = &table.fingerprint;
        lines.push(format!("table        {}  {} rows  {}", table.table, fingerprint.rows, fingerprint.sum));
    }
    for side in &done.side_files {
        let size = if side.file.is_some() { bytes(side.plain_bytes) } else { "absent".to_owned() };
        let gap = if side.gap_ms < 0 { "before" } else { "after" };
        let apart = duration(side.gap_ms.unsigned_abs());
        lines.push(format!("side file    {}  {size}, read {apart} {gap} the view", side.restore_as));
    }
    lines
}

fn source_check(snapshot: &Snapshot) -> &'static str {
    match (snapshot.source_damaged, snapshot.source_check) {
        (true, _) => "DAMAGED",
        (false, CheckDepth::Full) => "good (full)",
        (false, CheckDepth::Quick) => "good (quick: indexes not compared)",
        (false, CheckDepth::None) => "not checked",
    }
}

fn verified(done: &Verified) -> Vec<String> {
    done.snapshots.iter().flat_map(verified_one).collect()
}

fn verified_one(snapshot: &VerifiedSnapshot) -> Vec<String> {
    let took = format!("{}, {}", duration(snapshot.took_ms), rate(snapshot.plain_bytes, snapshot.took_ms));
    let verdict = match (snapshot.passed, snapshot.depth) {
        (true, VerifyDepth::Full) => format!(
            "{} is good: {} in {} frames proven ({took})",
            snapshot.id,
            bytes(snapshot.plain_bytes),
            snapshot.frames
        ),
        (true, VerifyDepth::Presence) => format!("{}: all files are there; their content was not read", snapshot.id),
        (false, _) => format!("{} is DAMAGED", snapshot.id),
    };
    let mut lines = vec![verdict];
    let shown: Vec<&Finding> = snapshot.findings.iter().collect();
    lines.extend(findings(&shown).into_iter().map(|line| format!("  {line}")));
    lines
}

fn restored(done: &Restored) -> Vec<String> {
    let compared = format!("{} compared", counted(done.tables_compared, done.rows));
    let mut lines = Vec::new();
    if let Some(location) = &done.location {
        lines.push(format!("{} restored in {}", done.id, duration(done.took_ms)));
        lines.push(format!("{compared}, all equal"));
        lines.push(location.clone());
    }
    lines.extend(done.side_files.iter().map(|path| format!("side file {path}")));
    lines.extend(done.previous.iter().map(|path| format!("what was there is kept as {path}")));
    lines
}

fn forgotten(done: &Forgotten) -> Vec<String> {
    let verb = |kept: bool| match (kept, done.dry_run) {
        (true, _) => "keep  ",
        (false, true) => "would forget",
        (false, false) => "forgot",
    };
    let decision = |decided: &crate::model::outcome::Decided| {
        format!("{} {}  {}", verb(decided.kept), decided.id, decided.reasons.join(", "))
    };
    let mut lines: Vec<String> = done.decisions.iter().map(decision).collect();
    let removed = if done.dry_run { "unfinished" } else { "removed unfinished" };
    lines.extend(done.orphans.iter().map(|orphan| format!("{removed} {orphan}")));
    if lines.is_empty() {
        lines.push("nothing to forget".into());
    }
    lines
}
