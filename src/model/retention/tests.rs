use proptest::prelude::*;

use super::*;

const NOW: &str = "2026-11-20T12:00:00Z";

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// `2026-11-20T03:00:00Z` and flags: `v`erified, `d`rilled, `x` damaged, `s`ource damaged, `p`inned.
fn candidate(text: &str) -> Candidate {
    let (time, flags) = text.split_once(' ').unwrap_or((text, ""));
    let taken_at = instant(time);
    let mark = |flag| flags.contains(flag).then_some(taken_at);
    Candidate {
        id: SnapshotId::new("exam".parse().unwrap(), taken_at),
        taken_at,
        proof: Proof { verified_at: mark('v'), drilled_at: mark('d'), damaged_at: mark('x') },
        source_damaged: flags.contains('s'),
        pinned: flags.contains('p').then(|| "release v2".to_owned()),
    }
}

/// `last=3 daily=2` in a time zone.
fn policy(rules: &str, zone: Tz) -> Policy {
    let count = |name: &str| {
        let given = rules.split_whitespace().find_map(|rule| rule.strip_prefix(name)?.strip_prefix('='));
        given.map_or(0, |count| count.parse().unwrap())
    };
    Policy {
        keep_last: count("last"),
        keep_hourly: count("hourly"),
        keep_daily: count("daily"),
        keep_weekly: count("weekly"),
        keep_monthly: count("monthly"),
        keep_yearly: count("yearly"),
        time_zone: zone,
    }
}

fn told(fate: &Fate) -> String {
    match fate {
        Fate::Keep(reasons) => reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Fate::Forget(why) => format!("- {why}"),
    }
}

/// The fates, newest first, of snapshots given as text.
fn fates(rules: &str, zone: Tz, snapshots: &[&str]) -> Vec<String> {
    let candidates: Vec<_> = snapshots.iter().map(|text| candidate(text)).collect();
    plan(&candidates, &policy(rules, zone), instant(NOW)).iter().map(|decision| told(&decision.fate)).collect()
}

fn check(rules: &str, snapshots: &[&str], expected: &[&str]) {
    assert_eq!(fates(rules, Tz::UTC, snapshots), expected, "{rules}");
}

/// How many verified snapshots at `times` the rules keep in a zone.
fn kept(rules: &str, zone: Tz, times: &[&str]) -> usize {
    let verified: Vec<String> = times.iter().map(|time| format!("{time} v")).collect();
    let snapshots: Vec<&str> = verified.iter().map(String::as_str).collect();
    fates(rules, zone, &snapshots).iter().filter(|fate| !fate.starts_with('-')).count()
}

const THREE: [&str; 3] = ["2026-11-20T03:00:00Z v", "2026-11-19T03:00:00Z v", "2026-11-18T03:00:00Z v"];
const GONE: &str = "- no rule keeps it";

#[test]
fn nothing_to_decide() {
    check("last=3", &[], &[]);
}

#[test]
fn no_rule_keeps_everything() {
    let head = "no retention rule, newest verified, newest";
    check("", &THREE, &[head, "no retention rule", "no retention rule"]);
}

#[test]
fn last_counts_snapshots() {
    check("last=2", &THREE, &["last 2, newest verified, newest", "last 2", GONE]);
}

#[test]
fn order_of_input_does_not_matter() {
    let turned: Vec<&str> = THREE.into_iter().rev().collect();
    check("last=1", &turned, &["last 1, newest verified, newest", GONE, GONE]);
}

#[test]
fn a_day_keeps_its_newest() {
    check(
        "daily=2",
        &["2026-11-20T09:00:00Z v", "2026-11-20T03:00:00Z v", "2026-11-18T03:00:00Z v", "2026-11-17T03:00:00Z v"],
        &["daily 2026-11-20, newest verified, newest", GONE, "daily 2026-11-18", GONE],
    );
}

#[test]
fn rules_add_up() {
    check(
        "last=1 daily=1 weekly=2 monthly=2 yearly=2",
        &["2026-11-20T03:00:00Z v", "2026-11-13T03:00:00Z v", "2026-10-31T03:00:00Z v", "2025-12-31T03:00:00Z v"],
        &[
            "last 1, daily 2026-11-20, weekly 2026-W47, monthly 2026-11, yearly 2026, newest verified, newest",
            "weekly 2026-W46",
            "monthly 2026-10",
            "yearly 2025",
        ],
    );
}

#[test]
fn a_damaged_one_counts_for_nothing() {
    check(
        "last=1 daily=1",
        &["2026-11-20T09:00:00Z v", "2026-11-20T08:00:00Z vx", "2026-11-20T07:00:00Z vs"],
        &["last 1, daily 2026-11-20, newest verified, newest", "- damaged", "- its source was damaged"],
    );
}

#[test]
fn a_damaged_newest_stays_and_displaces_nothing() {
    check(
        "last=1 daily=1",
        &["2026-11-20T09:00:00Z vx", "2026-11-20T08:00:00Z v", "2026-11-20T07:00:00Z v"],
        &["newest", "last 1, daily 2026-11-20, newest verified", GONE],
    );
}

#[test]
fn damaged_ones_stay_while_nothing_is_good() {
    check("last=1", &["2026-11-20T09:00:00Z x"], &["newest, no good snapshot exists"]);
    check(
        "last=1",
        &["2026-11-20T09:00:00Z s", "2026-11-19T09:00:00Z x"],
        &["newest, no good snapshot exists", "no good snapshot exists"],
    );
}

#[test]
fn verified_goes_before_unverified_in_a_period() {
    check(
        "daily=2",
        &["2026-11-20T09:00:00Z", "2026-11-20T08:00:00Z v", "2026-11-19T09:00:00Z", "2026-11-19T08:00:00Z"],
        &["newest", "daily 2026-11-20, newest verified", "daily 2026-11-19", GONE],
    );
}

#[test]
fn verified_goes_before_unverified_in_last() {
    check(
        "last=2",
        &["2026-11-20T09:00:00Z", "2026-11-20T08:00:00Z", "2026-11-19T09:00:00Z v", "2026-11-18T09:00:00Z v"],
        &["newest", GONE, "last 2, newest verified", "last 2"],
    );
    check(
        "last=2",
        &["2026-11-20T09:00:00Z", "2026-11-20T08:00:00Z", "2026-11-19T09:00:00Z v"],
        &["last 2, newest", GONE, "last 2, newest verified"],
    );
}

#[test]
fn the_newest_drilled_stays() {
    check(
        "last=1",
        &["2026-11-20T09:00:00Z v", "2026-11-10T08:00:00Z vd", "2026-11-09T08:00:00Z vd"],
        &["last 1, newest verified, newest", "newest drilled", GONE],
    );
}

#[test]
fn the_newest_verified_stays_however_old() {
    check(
        "last=1 daily=1",
        &["2026-11-20T09:00:00Z x", "2026-11-19T09:00:00Z", "2020-01-01T00:00:00Z v"],
        &["newest", "daily 2026-11-19", "last 1, newest verified"],
    );
}

#[test]
fn a_pinned_one_stays() {
    check(
        "last=1",
        &["2026-11-20T09:00:00Z v", "2026-11-19T08:00:00Z vp", "2026-11-18T08:00:00Z xp"],
        &["last 1, newest verified, newest", "pinned: release v2", "pinned: release v2"],
    );
}

#[test]
fn the_future_stays_and_counts_for_nothing() {
    check(
        "last=1",
        &["2027-01-01T00:00:00Z v", "2026-11-20T09:00:00Z v", "2026-11-19T09:00:00Z v"],
        &["dated in the future", "last 1, newest verified, newest", GONE],
    );
}

#[test]
fn gaps_do_not_use_up_a_rule() {
    check(
        "monthly=2",
        &["2026-11-20T09:00:00Z v", "2026-03-01T00:00:00Z v", "2025-01-01T00:00:00Z v"],
        &["monthly 2026-11, newest verified, newest", "monthly 2026-03", GONE],
    );
}

#[test]
fn berlin_autumn_has_two_hours_of_two() {
    let night = ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"];
    assert_eq!(kept("hourly=9", Tz::Europe__Berlin, &night), 2);
    let both = fates("hourly=9", Tz::Europe__Berlin, &["2026-10-25T00:30:00Z v", "2026-10-25T01:30:00Z v"]);
    assert_eq!(both[0], "hourly 2026-10-25 02:00 +01:00, newest verified, newest");
    assert_eq!(both[1], "hourly 2026-10-25 02:00 +02:00");
}

#[test]
fn berlin_autumn_day_has_25_hours() {
    let ends = ["2026-10-24T21:59:59Z", "2026-10-24T22:00:00Z", "2026-10-25T22:59:59Z", "2026-10-25T23:00:00Z"];
    assert_eq!(kept("daily=9", Tz::Europe__Berlin, &ends), 3);
    assert_eq!(kept("daily=9", Tz::Europe__Berlin, &ends[1..3]), 1);
}

#[test]
fn berlin_spring_day_has_23_hours() {
    let ends = ["2026-03-28T22:59:59Z", "2026-03-28T23:00:00Z", "2026-03-29T21:59:59Z", "2026-03-29T22:00:00Z"];
    assert_eq!(kept("daily=9", Tz::Europe__Berlin, &ends), 3);
    assert_eq!(kept("daily=9", Tz::Europe__Berlin, &ends[1..3]), 1);
    assert_eq!(kept("hourly=9", Tz::Europe__Berlin, &["2026-03-29T00:59:00Z", "2026-03-29T01:00:00Z"]), 2);
}

#[test]
fn new_york_changes_at_other_times() {
    assert_eq!(kept("hourly=9", Tz::America__New_York, &["2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z"]), 2);
    assert_eq!(kept("hourly=9", Tz::America__New_York, &["2026-11-01T06:00:00Z", "2026-11-01T06:59:00Z"]), 1);
    assert_eq!(kept("daily=9", Tz::America__New_York, &["2026-03-08T05:00:00Z", "2026-03-09T03:59:59Z"]), 1);
    assert_eq!(kept("daily=9", Tz::America__New_York, &["2026-03-08T04:59:59Z", "2026-03-08T05:00:00Z"]), 2);
}

#[test]
fn half_hour_zones_have_their_own_hours() {
    assert_eq!(kept("hourly=9", Tz::Asia__Kolkata, &["2026-11-20T03:15:00Z", "2026-11-20T03:45:00Z"]), 2);
    assert_eq!(kept("hourly=9", Tz::Asia__Kolkata, &["2026-11-20T03:45:00Z", "2026-11-20T04:15:00Z"]), 1);
    assert_eq!(kept("daily=9", Tz::Asia__Kolkata, &["2026-11-19T18:29:00Z", "2026-11-19T18:30:00Z"]), 2);
    assert_eq!(kept("hourly=9", Tz::Australia__Lord_Howe, &["2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z"]), 2);
}

#[test]
fn iso_weeks_cross_the_new_year() {
    let turn = ["2024-12-30T12:00:00Z", "2025-01-05T12:00:00Z"];
    assert_eq!(kept("weekly=9", Tz::UTC, &turn), 1);
    assert_eq!(kept("yearly=9", Tz::UTC, &turn), 2);
    let week = fates("weekly=9", Tz::UTC, &["2021-01-03T12:00:00Z v"]);
    assert_eq!(week, ["weekly 2020-W53, newest verified, newest"]);
}

#[test]
fn a_day_belongs_to_its_zone() {
    let evening = ["2026-11-19T15:30:00Z", "2026-11-19T14:30:00Z"];
    assert_eq!(kept("daily=9", Tz::UTC, &evening), 1);
    assert_eq!(kept("daily=9", Tz::Asia__Tokyo, &evening), 2);
}

prop_compose! {
    fn any_candidate()(
        hours in 0_i64..20_000, verified: bool, drilled: bool, damaged in 0..5, source in 0..5, pinned in 0..9,
    ) -> Candidate {
        let flag = |set: bool, letter: &'static str| if set { letter } else { "" };
        let flags = [flag(verified, "v"), flag(drilled, "d"), flag(damaged == 0, "x"), flag(source == 0, "s"),
            flag(pinned == 0, "p")].concat();
        let taken_at = instant("2027-01-01T00:00:00Z") - chrono::TimeDelta::hours(hours);
        candidate(&format!("{} {flags}", taken_at.to_rfc3339()))
    }
}

prop_compose! {
    fn any_policy()(counts in prop::array::uniform6(0_u32..4), zone in 0..3_usize) -> Policy {
        let [keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly] = counts;
        let time_zone = [Tz::UTC, Tz::Europe__Berlin, Tz::Asia__Kolkata][zone];
        Policy { keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly, time_zone }
    }
}

fn is_kept(decision: &Decision) -> bool {
    matches!(decision.fate, Fate::Keep(_))
}

proptest! {
    #[test]
    fn the_proven_is_never_forgotten(
        mut candidates in prop::collection::vec(any_candidate(), 0..40), policy in any_policy(),
    ) {
        candidates.sort_by_key(|c| std::cmp::Reverse(c.taken_at));
        candidates.dedup_by_key(|c| c.taken_at);
        let now = instant(NOW);
        let decisions = plan(&candidates, &policy, now);
        prop_assert_eq!(decisions.len(), candidates.len());
        let stays = |wanted: fn(&Candidate) -> bool| {
            let newest = candidates.iter().filter(|c| c.taken_at <= now && wanted(c)).max_by_key(|c| c.taken_at);
            newest.is_none_or(|c| decisions.iter().any(|d| d.id == c.id && is_kept(d)))
        };
        prop_assert!(stays(|_| true));
        prop_assert!(stays(|c| c.is_verified()));
        prop_assert!(stays(|c| c.is_drilled()));
    }

    #[test]
    fn forgetting_twice_changes_nothing(
        mut candidates in prop::collection::vec(any_candidate(), 0..40), policy in any_policy(),
    ) {
        candidates.sort_by_key(|c| c.taken_at);
        candidates.dedup_by_key(|c| c.taken_at);
        let first = plan(&candidates, &policy, instant(NOW));
        let kept: Vec<_> = first.iter().filter(|decision| is_kept(decision)).cloned().collect();
        candidates.retain(|c| kept.iter().any(|decision| decision.id == c.id));
        prop_assert_eq!(plan(&candidates, &policy, instant(NOW)), kept);
    }
}
