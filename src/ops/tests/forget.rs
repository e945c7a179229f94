use chrono_tz::Tz;

use super::*;
use crate::model::event::Phase;
use crate::model::outcome::{Decided, Forgotten};
use crate::model::retention::Policy;

fn by_policy(keep_last: u32) -> ForgetRequest {
    let policy = Policy { keep_last, ..Policy::keep_everything(Tz::UTC) };
    ForgetRequest { database: exam(), what: ForgetWhat::ByPolicy(policy), dry_run: false }
}

fn named(id: &SnapshotId) -> ForgetRequest {
    ForgetRequest { database: exam(), what: ForgetWhat::Named(vec![id.clone()]), dry_run: false }
}

fn reasons(forgotten: &Forgotten, id: &SnapshotId) -> String {
    let decided: Vec<&Decided> = forgotten.decisions.iter().filter(|decided| decided.id == *id).collect();
    assert_eq!(decided.len(), 1, "{forgotten:?}");
    decided[0].reasons.join(", ")
}

#[tokio::test]
async fn a_dry_run_deletes_nothing_and_tells_the_same() {
    let desk = Desk::new().await;
    let [_, newest] = desk.exams().await;
    let plan = forget(&desk.ctx, &ForgetRequest { dry_run: true, ..by_policy(1) }).await.unwrap();
    assert_eq!(desk.listed().await.len(), 2);
    let done = forget(&desk.ctx, &by_policy(1)).await.unwrap();
    assert_eq!(format!("{:?}", plan.decisions), format!("{:?}", done.decisions));
    assert_eq!(desk.listed().await, [newest]);
    assert_eq!(desk.records().await.intact.last().unwrap().deed.operation, Operation::Forget);
}

#[tokio::test]
async fn one_whose_last_verification_failed_displaces_nothing() {
    let desk = Desk::new().await;
    let [good, bad, newest] = desk.exams().await;
    for id in [&bad, &newest] {
        desk.spoil_data(id).await;
    }
    assert!(!desk.verify(&[bad, newest.clone()], VerifyDepth::Full).await.passed);
    forget(&desk.ctx, &by_policy(1)).await.unwrap();
    assert_eq!(desk.listed().await, [good, newest]);
}

#[tokio::test]
async fn while_proof_is_lost_nothing_goes_until_it_is_verified_again() {
    let desk = Desk::new().await;
    let [first, second, third] = desk.exams().await;
    desk.spoil_record(3).await;
    let kept = forget(&desk.ctx, &by_policy(1)).await.unwrap();
    assert_eq!(desk.listed().await.len(), 3);
    assert!(reasons(&kept, &first).contains("000003.json is lost, verify it again"), "{kept:?}");
    for id in [&first, &third] {
        let refused = forget(&desk.ctx, &named(id)).await;
        assert!(matches!(refused, Err(OpsError::MustStay { .. })), "{refused:?}");
    }
    let verified = desk.verify(&[first, second, third.clone()], VerifyDepth::Full).await;
    assert!(verified.passed);
    let told: Vec<&str> = verified.snapshots.iter().flat_map(|one| &one.findings).map(|f| f.subject.as_str()).collect();
    assert_eq!(told, [".dbops/evidence/exam/000003.json"], "once, and as no failure");
    forget(&desk.ctx, &by_policy(1)).await.unwrap();
    assert_eq!(desk.listed().await, [third]);
}

/// The lost record may be the one that says that the newest is damaged.
#[tokio::test]
async fn a_lost_failure_does_not_let_the_good_one_go() {
    let desk = Desk::new().await;
    let [good, bad] = desk.exams().await;
    desk.spoil_data(&bad).await;
    desk.verify(std::slice::from_ref(&bad), VerifyDepth::Full).await;
    desk.spoil_record(3).await;
    forget(&desk.ctx, &by_policy(1)).await.unwrap();
    assert_eq!(desk.listed().await, [good.clone(), bad.clone()]);
    // New snapshots don't bring the old proof back, and neither do they let go what is in doubt.
    let newest = desk.snapshot("exam", "w.json").await;
    forget(&desk.ctx, &by_policy(1)).await.unwrap();
    assert_eq!(desk.listed().await, [good, bad, newest]);
}

#[tokio::test]
async fn what_is_found_damaged_after_the_decision_is_taken_into_account() {
    let desk = Desk::new().await;
    let [oldest, good, newest] = desk.exams().await;
    let failed = desk.failed_verification(&newest).await;
    let repo = desk.ctx.repo.clone();
    *desk.ear.reaction.lock().unwrap() = Some(Box::new(move |event| {
        if matches!(event, Event::Began { phase: Phase::Forget, .. }) {
            futures::executor::block_on(repo.record(&exam(), failed.clone())).unwrap();
        }
    }));
    let forgotten = forget(&desk.ctx, &by_policy(1)).await.unwrap();
    assert_eq!(desk.listed().await, [good.clone(), newest]);
    assert!(reasons(&forgotten, &good).contains("newest verified"), "{forgotten:?}");
    assert_eq!(reasons(&forgotten, &oldest), "no rule keeps it");
}

#[tokio::test]
async fn and_a_name_that_became_the_newest_verified_is_refused() {
    let desk = Desk::new().await;
    let [good, newest] = desk.exams().await;
    let failed = desk.failed_verification(&newest).await;
    let repo = desk.ctx.repo.clone();
    *desk.ear.reaction.lock().unwrap() = Some(Box::new(move |event| {
        if matches!(event, Event::Began { phase: Phase::Forget, .. }) {
            futures::executor::block_on(repo.record(&exam(), failed.clone())).unwrap();
        }
    }));
    let refused = forget(&desk.ctx, &named(&good)).await;
    assert!(matches!(refused, Err(OpsError::MustStay { .. })), "{refused:?}");
    assert_eq!(desk.listed().await, [good, newest]);
}

#[tokio::test]
async fn what_somebody_reads_stays_and_the_rest_goes() {
    let desk = Desk::new().await;
    let [read, old, newest] = desk.exams().await;
    let reader = desk.ctx.repo.reader(&read, &desk.ctx.holder, &desk.ctx.watch).await.unwrap();
    let forgotten = forget(&desk.ctx, &by_policy(1)).await.unwrap();
    assert_eq!(desk.listed().await, [read.clone(), newest]);
    assert!(reasons(&forgotten, &read).starts_with("pinned: "), "{forgotten:?}");
    assert_eq!(reasons(&forgotten, &old), "no rule keeps it");
    let refused = forget(&desk.ctx, &named(&read)).await;
    assert!(matches!(refused, Err(OpsError::Repo(RepoError::Pinned { .. }))), "{refused:?}");
    reader.release().await.unwrap();
    forget(&desk.ctx, &by_policy(1)).await.unwrap();
    assert_eq!(desk.listed().await.len(), 1);
}

#[tokio::test]
async fn one_that_cannot_be_read_counts_for_nothing_and_goes() {
    let desk = Desk::new().await;
    let [unreadable, newest] = desk.exams().await;
    desk.spoil(&unreadable, "manifest.json").await;
    forget(&desk.ctx, &by_policy(5)).await.unwrap();
    assert_eq!(desk.listed().await, std::slice::from_ref(&newest));
    // The only one there is stays, readable or not.
    desk.spoil(&newest, "manifest.json").await;
    forget(&desk.ctx, &by_policy(1)).await.unwrap();
    assert_eq!(desk.listed().await, [newest]);
}

#[tokio::test]
async fn one_of_a_newer_format_stays() {
    let desk = Desk::new().await;
    let [newer, newest] = desk.exams().await;
    let manifest = r#"{"format": 2}"#;
    let digest = crate::codec::digest(manifest.as_bytes());
    desk.write(&format!("exam/{newer}/manifest.json"), manifest).await;
    desk.write(&format!("exam/{newer}/SHA256SUMS"), &format!("{digest}  manifest.json\n")).await;
    let forgotten = forget(&desk.ctx, &by_policy(1)).await.unwrap();
    assert_eq!(desk.listed().await, [newer.clone(), newest]);
    assert!(reasons(&forgotten, &newer).contains("newer dbops"));
}

#[tokio::test]
async fn orphans_go_only_when_asked_for() {
    let desk = Desk::new().await;
    let [id] = desk.exams().await;
    desk.write("exam/exam_20200101_000000/w.json.zst", "half").await;
    forget(&desk.ctx, &by_policy(1)).await.unwrap();
    assert_eq!(desk.ctx.repo.orphans(&exam()).await.unwrap().len(), 1);
    let request = ForgetRequest { database: exam(), what: ForgetWhat::Orphans, dry_run: false };
    assert_eq!(forget(&desk.ctx, &request).await.unwrap().orphans, ["exam/exam_20200101_000000"]);
    assert_eq!(desk.listed().await, [id]);
}
