use super::*;
use crate::model::event::Phase;
use crate::model::report::Severity;

async fn last_record(desk: &Desk) -> (Operation, bool) {
    let deed = desk.records().await.intact.pop().unwrap().deed;
    (deed.operation, deed.passed)
}

#[tokio::test]
async fn a_full_verification_is_recorded_either_way() {
    let desk = Desk::new().await;
    let [id] = desk.exams().await;
    assert!(desk.verify(std::slice::from_ref(&id), VerifyDepth::Full).await.passed);
    assert_eq!(last_record(&desk).await, (Operation::Verify, true));
    desk.spoil_data(&id).await;
    let verified = desk.verify(std::slice::from_ref(&id), VerifyDepth::Full).await;
    assert!(!verified.passed);
    assert_eq!(verified.snapshots[0].findings[0].severity, Severity::Corrupt);
    assert_eq!(last_record(&desk).await, (Operation::Verify, false));
    let listed = list(&desk.ctx, None).await.unwrap();
    assert!(listed.snapshots[0].proof.damaged_at.is_some());
}

#[tokio::test]
async fn presence_proves_nothing_but_what_is_missing_is_recorded() {
    let desk = Desk::new().await;
    let [id] = desk.exams().await;
    assert!(desk.verify(std::slice::from_ref(&id), VerifyDepth::Presence).await.passed);
    assert_eq!(last_record(&desk).await, (Operation::Backup, true));
    desk.write(&format!("exam/{id}/files/w.json.zst"), "cut").await;
    assert!(!desk.verify(&[id], VerifyDepth::Presence).await.passed);
    assert_eq!(last_record(&desk).await, (Operation::Verify, false));
}

#[tokio::test]
async fn of_several_one_that_was_forgotten_meanwhile_is_left_out() {
    let desk = Desk::new().await;
    let [gone, id] = desk.exams().await;
    let policy = crate::model::retention::Policy {
        keep_last: 1,
        ..crate::model::retention::Policy::keep_everything(chrono_tz::Tz::UTC)
    };
    let request = ForgetRequest { database: exam(), what: ForgetWhat::ByPolicy(policy), dry_run: false };
    forget(&desk.ctx, &request).await.unwrap();
    let verified = desk.verify(&[gone.clone(), id], VerifyDepth::Full).await;
    assert!(verified.passed && verified.snapshots.len() == 1);
    let alone = verify(&desk.ctx, &[gone], VerifyDepth::Full, 2).await;
    assert!(matches!(alone, Err(OpsError::Repo(RepoError::NoSnapshot { .. }))), "{alone:?}");
}

#[tokio::test]
async fn a_list_tells_of_lost_records_as_long_as_something_is_in_doubt() {
    let desk = Desk::new().await;
    let [id] = desk.exams().await;
    desk.spoil_record(1).await;
    let listed = list(&desk.ctx, None).await.unwrap();
    assert!(!listed.snapshots[0].proof.is_verified());
    assert_eq!(desk.warnings().len(), 2, "{:?}", desk.warnings());
    desk.verify(&[id], VerifyDepth::Full).await;
    assert!(list(&desk.ctx, None).await.unwrap().snapshots[0].proof.is_verified());
    assert_eq!(desk.warnings().len(), 2, "{:?}", desk.warnings());
}

#[tokio::test]
async fn a_snapshot_that_lost_its_commit_point_is_told_of() {
    let desk = Desk::new().await;
    let [lost, id] = desk.exams().await;
    desk.store.delete(&Path::from(format!("exam/{lost}/SHA256SUMS"))).await.unwrap();
    let verified = desk.verify(&[id], VerifyDepth::Full).await;
    assert!(verified.passed);
    let finding = &verified.snapshots[0].findings[0];
    assert!(finding.subject.contains(&lost.to_string()) && finding.severity == Severity::Warning, "{finding:?}");
}

/// Otherwise the verification would find it damaged, and say so for ever.
#[tokio::test]
async fn what_is_being_verified_is_not_forgotten() {
    let desk = Desk::new().await;
    let [id, newest] = desk.exams().await;
    let (repo, watch, asked) = (desk.ctx.repo.clone(), desk.ctx.watch.clone(), id.clone());
    let elsewhere = Holder { host: "web2".into(), ..desk.ctx.holder.clone() };
    let refused = Arc::new(Mutex::new(false));
    let told = Arc::clone(&refused);
    *desk.ear.reaction.lock().unwrap() = Some(Box::new(move |event| {
        if matches!(event, Event::Began { phase: Phase::Verify, .. }) {
            let lease = futures::executor::block_on(repo.lease(&exam(), "forget", &elsewhere, &watch)).unwrap();
            let forgotten = futures::executor::block_on(repo.forget(&lease, &asked, &watch));
            *told.lock().unwrap() = matches!(forgotten, Err(RepoError::Pinned { .. }));
        }
    }));
    assert!(desk.verify(std::slice::from_ref(&id), VerifyDepth::Full).await.passed);
    assert!(*refused.lock().unwrap());
    assert_eq!(desk.listed().await, [id, newest]);
}
