use super::*;
use crate::engine::LoadPlan;
use crate::model::report::Finding;

async fn restore_files(desk: &Desk, id: &SnapshotId) -> Result<crate::model::outcome::Restored, OpsError> {
    std::fs::create_dir_all(desk.restore_folder()).unwrap();
    let plan = LoadPlan {
        jobs: 2,
        temp_dir: desk.folder.path().to_path_buf(),
        busy_timeout: std::time::Duration::from_secs(1),
    };
    let side_files_into = Some(desk.restore_folder());
    let request = RestoreRequest { id: id.clone(), engine: None, existing: Existing::Refuse, side_files_into, plan };
    restore(&desk.ctx, request).await
}

#[tokio::test]
async fn a_restore_that_meets_damage_takes_the_proof_away() {
    let desk = Desk::new().await;
    let [id] = desk.exams().await;
    desk.spoil_data(&id).await;
    let failed = restore_files(&desk, &id).await;
    assert!(matches!(failed, Err(OpsError::Repo(RepoError::Codec { .. }))), "{failed:?}");
    let records = desk.records().await;
    let record = records.intact.last().unwrap();
    assert_eq!((record.deed.operation, record.deed.passed), (Operation::Restore, false));
    assert!(!records.proof(record.deed.manifest_digest).is_verified());
}

#[tokio::test]
async fn a_restore_that_fails_otherwise_says_nothing_about_the_snapshot() {
    let desk = Desk::new().await;
    let [id] = desk.exams().await;
    restore_files(&desk, &id).await.unwrap();
    let there_already = restore_files(&desk, &id).await;
    assert!(matches!(there_already, Err(OpsError::Engine(_))), "{there_already:?}");
    let records = desk.records().await;
    let record = records.intact.last().unwrap();
    assert_eq!((record.deed.operation, record.deed.passed), (Operation::Restore, true));
    assert!(records.proof(record.deed.manifest_digest).is_verified());
}

#[tokio::test]
async fn a_record_of_a_hundred_thousand_findings_can_be_read_again() {
    let desk = Desk::new().await;
    let [id] = desk.exams().await;
    let mut findings = vec![Finding::warning("x", "\u{1}".repeat(1500)); 100_000];
    findings.push(Finding::corrupt("the last", "and the heaviest"));
    let (_, manifest_digest) = desk.ctx.repo.manifest(&id).await.unwrap();
    let (operation, passed) = (Operation::Verify, false);
    let done = crate::ops::evidence::Done {
        operation,
        snapshot: &id,
        manifest_digest,
        passed,
        findings: &findings,
        took_ms: 1,
    };
    desk.ctx.record(done).await.unwrap();
    let records = desk.records().await;
    assert_eq!(records.lost, []);
    let kept = &records.intact.last().unwrap().deed.findings;
    assert!(kept.iter().any(|finding| finding.subject == "the last"));
    assert_eq!(kept.last().unwrap().message, "99901 further findings are not recorded");
}
