use super::*;
use crate::model::identity::{FileIdentity, Identity};

fn in_exam() -> Scope {
    Scope { database: Some(exam()), source: None }
}

fn source(path: &str) -> Option<Identity> {
    Some(Identity::Files(FileIdentity { host: "web9".into(), path: path.into(), file_id: None }))
}

async fn source_of(desk: &Desk, id: &SnapshotId) -> Option<Identity> {
    Some(desk.ctx.repo.manifest(id).await.unwrap().0.state.source)
}

#[tokio::test]
async fn one_whose_last_verification_failed_is_never_the_latest_verified() {
    let desk = Desk::new().await;
    let [good, bad] = desk.exams().await;
    assert_eq!(select(&desk.ctx, "latest-verified", &in_exam()).await.unwrap(), bad);
    desk.spoil_data(&bad).await;
    desk.verify(std::slice::from_ref(&bad), VerifyDepth::Full).await;
    assert_eq!(select(&desk.ctx, "latest-verified", &in_exam()).await.unwrap(), good);
    assert_eq!(select(&desk.ctx, "latest", &in_exam()).await.unwrap(), bad);
    let drilled = select(&desk.ctx, "latest-drilled", &in_exam()).await;
    assert!(matches!(drilled, Err(OpsError::NoMatch { .. })), "{drilled:?}");
}

#[tokio::test]
async fn a_newest_one_that_cannot_be_read_is_not_passed_over_in_silence() {
    let desk = Desk::new().await;
    let [good, bad] = desk.exams().await;
    desk.spoil(&bad, "manifest.json").await;
    let latest = select(&desk.ctx, "latest", &in_exam()).await;
    assert!(matches!(latest, Err(OpsError::Repo(RepoError::Corrupt { .. }))), "{latest:?}");
    assert_eq!(select(&desk.ctx, "latest-verified", &in_exam()).await.unwrap(), good);
    assert!(desk.warnings()[0].contains(&bad.to_string()), "{:?}", desk.warnings());
}

#[tokio::test]
async fn a_lost_record_leaves_the_latest_but_not_the_latest_verified() {
    let desk = Desk::new().await;
    let [_, newest] = desk.exams().await;
    desk.spoil_record(2).await;
    assert_eq!(select(&desk.ctx, "latest", &in_exam()).await.unwrap(), newest);
    let verified = select(&desk.ctx, "latest-verified", &in_exam()).await;
    assert!(matches!(verified, Err(OpsError::NoMatch { .. })), "{verified:?}");
    desk.verify(std::slice::from_ref(&newest), VerifyDepth::Full).await;
    assert_eq!(select(&desk.ctx, "latest-verified", &in_exam()).await.unwrap(), newest);
}

#[tokio::test]
async fn of_mixed_sources_the_newest_one_decides() {
    let desk = Desk::new().await;
    let first = desk.snapshot("exam", "a.json").await;
    let second = desk.snapshot("exam", "b.json").await;
    let of = |source| Scope { source, ..in_exam() };
    for asked in ["latest", "latest-verified"] {
        assert_eq!(select(&desk.ctx, asked, &in_exam()).await.unwrap(), second);
        assert_eq!(select(&desk.ctx, asked, &of(source_of(&desk, &second).await)).await.unwrap(), second);
        // Not the older one that would fit: the newest is what `latest` means, and it is another source's.
        for other in [source_of(&desk, &first).await, source("/elsewhere")] {
            let refused = select(&desk.ctx, asked, &of(other)).await;
            assert!(matches!(&refused, Err(OpsError::OtherSource { id, .. }) if *id == second), "{refused:?}");
        }
    }
    let by_id = select(&desk.ctx, &first.to_string(), &of(source("/elsewhere"))).await.unwrap();
    assert_eq!(by_id, first, "an id names one snapshot, whatever its source");
}

#[tokio::test]
async fn several_databases_must_be_told_apart_empty_folders_not() {
    let desk = Desk::new().await;
    let ours = desk.snapshot("exam", "a.json").await;
    desk.write("lost/lost_20200101_000000/half", "x").await;
    assert_eq!(select(&desk.ctx, "latest", &Scope::default()).await.unwrap(), ours);
    let other = desk.snapshot("other", "a.json").await;
    let which = select(&desk.ctx, "latest", &Scope::default()).await;
    let Err(OpsError::WhichDatabase { databases, .. }) = which else { panic!("{which:?}") };
    assert_eq!(databases, [exam(), "other".parse().unwrap()]);
    assert_eq!(select(&desk.ctx, &other.to_string(), &Scope::default()).await.unwrap(), other);
    assert_eq!(select(&desk.ctx, "exam", &Scope::default()).await.unwrap(), ours);
}

#[tokio::test]
async fn prefixes_must_be_unique() {
    let desk = Desk::new().await;
    let [first, _] = desk.exams().await;
    let ambiguous = select(&desk.ctx, "exam_", &in_exam()).await;
    assert!(matches!(&ambiguous, Err(OpsError::Ambiguous { matches, .. }) if matches.len() == 2), "{ambiguous:?}");
    assert_eq!(select(&desk.ctx, &first.to_string(), &in_exam()).await.unwrap(), first);
    let none = select(&desk.ctx, "exam_1999", &in_exam()).await;
    assert!(matches!(none, Err(OpsError::NoMatch { .. })), "{none:?}");
}

#[tokio::test]
async fn before_is_the_newest_taken_for_a_release() {
    let desk = Desk::new().await;
    let mut ids = Vec::new();
    for release in ["v1", "v2", "v2", "v3"] {
        desk.later();
        let request = desk.request("exam", "w.json", Naming::Chosen);
        let request = BackupRequest { release: Some(release.into()), ..request };
        ids.push(backup(&desk.ctx, &request).await.unwrap().snapshot.id);
    }
    assert_eq!(select(&desk.ctx, "before:v2", &in_exam()).await.unwrap(), ids[2]);
    assert_eq!(select(&desk.ctx, "before:v1", &in_exam()).await.unwrap(), ids[0]);
    let none = select(&desk.ctx, "before:v9", &in_exam()).await;
    assert!(matches!(none, Err(OpsError::NoMatch { .. })), "{none:?}");
}

#[tokio::test]
async fn a_folder_belongs_to_one_source_unless_its_name_was_chosen() {
    let desk = Desk::new().await;
    desk.snapshot("exam", "a.json").await;
    let again = backup(&desk.ctx, &desk.request("exam", "a.json", Naming::Derived)).await;
    assert!(again.is_ok(), "{again:?}");
    let foreign = backup(&desk.ctx, &desk.request("exam", "b.json", Naming::Derived)).await;
    assert!(matches!(foreign, Err(OpsError::ForeignFolder { .. })), "{foreign:?}");
    assert_eq!(desk.listed().await.len(), 2);
    backup(&desk.ctx, &desk.request("exam", "b.json", Naming::Chosen)).await.unwrap();
    assert!(desk.warnings().iter().any(|warning| warning.contains("was taken from")), "{:?}", desk.warnings());
}
