//! Every damage of every kind of file is found and named.

use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::*;

struct Stored {
    store: Arc<InMemory>,
    repo: Repository,
    watch: Watch,
    id: SnapshotId,
    path: Path,
    good: Bytes,
}

async fn stored(name: &str) -> Stored {
    let (store, repo, watch, _) = memory().await;
    let id = backup(&repo, &watch).await.unwrap().id;
    let path = Path::parse(format!("a/b/{}/{id}/{name}", id.database())).unwrap();
    let good = store.get(&path).await.unwrap().bytes().await.unwrap();
    Stored { store, repo, watch, id, path, good }
}

impl Stored {
    async fn damage_seen(&self, bytes: Vec<u8>) -> Vec<Finding> {
        self.store.put(&self.path, bytes.into()).await.unwrap();
        let report = self.repo.check(&self.id, 2, Depth::Full, &self.watch).await.unwrap();
        report.findings.into_iter().filter(is_damage).collect()
    }
}

fn names(findings: &[Finding], subjects: &[&str]) -> bool {
    findings.iter().any(|finding| subjects.iter().any(|subject| finding.subject.starts_with(subject)))
}

async fn check_every_byte(name: &str, subjects: &[&str]) {
    let stored = stored(name).await;
    assert_eq!(stored.damage_seen(stored.good.to_vec()).await, []);
    for at in 0..stored.good.len() {
        let mut bytes = stored.good.to_vec();
        bytes[at] ^= 1 << (at % 8);
        let findings = stored.damage_seen(bytes).await;
        assert!(names(&findings, subjects), "the checker is broken: {name}, byte {at}: {findings:?}");
    }
    for length in (0..stored.good.len()).step_by(7) {
        let findings = stored.damage_seen(stored.good[..length].to_vec()).await;
        assert!(names(&findings, subjects), "the checker is broken: {name} cut at {length}: {findings:?}");
    }
    let mut longer = stored.good.to_vec();
    longer.push(b'\n');
    assert!(names(&stored.damage_seen(longer).await, &[name]), "the checker is broken: {name} one byte longer");
    let again = stored.damage_seen(Vec::new()).await;
    assert_eq!(again.len(), 1, "one damage is told once: {again:?}");
    stored.store.delete(&stored.path).await.unwrap();
    if name == "SHA256SUMS" {
        assert_eq!(stored.repo.snapshots(&database()).await.unwrap(), []);
    } else {
        let report = stored.repo.check(&stored.id, 2, Depth::Presence, &stored.watch).await.unwrap();
        assert!(names(&report.findings, &[name]), "the checker is broken: {name} missing");
    }
}

#[tokio::test]
async fn in_data_files() {
    check_every_byte(DATA, &["exam.sqlite.zst, frame "]).await;
}

#[tokio::test]
async fn in_side_files() {
    check_every_byte(SIDE, &[SIDE]).await;
}

#[tokio::test]
async fn in_plain_files() {
    check_every_byte(PLAIN, &[PLAIN]).await;
}

#[tokio::test]
async fn in_the_list_of_frames() {
    check_every_byte("frames.jsonl", &["frames.jsonl"]).await;
}

#[tokio::test]
async fn in_the_manifest() {
    check_every_byte("manifest.json", &["manifest.json"]).await;
}

#[tokio::test]
async fn in_the_commit_point() {
    check_every_byte("SHA256SUMS", &["SHA256SUMS", "manifest.json"]).await;
}

#[tokio::test]
async fn every_bit_of_the_commit_point() {
    let stored = stored("SHA256SUMS").await;
    for bit in 0..stored.good.len() * 8 {
        let mut bytes = stored.good.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(!stored.damage_seen(bytes).await.is_empty(), "the checker is broken: bit {bit}");
    }
}

#[tokio::test]
async fn the_damaged_frame_is_named() {
    let stored = stored(DATA).await;
    let mut bytes = stored.good.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    let last = stored.damage_seen(bytes).await;
    assert!(last[0].subject.starts_with("exam.sqlite.zst, frame 3 at byte "), "{last:?}");
    assert_eq!(last.len(), 1);
    let cut = stored.damage_seen(stored.good[..10].to_vec()).await;
    assert_eq!(cut[0].subject, "exam.sqlite.zst, frame 1 at byte 0");
}

#[tokio::test]
async fn a_file_that_nobody_named_is_a_warning() {
    let stored = stored(PLAIN).await;
    let path = Path::parse(format!("a/b/{}/{}/intruder", stored.id.database(), stored.id)).unwrap();
    stored.store.put(&path, "x".into()).await.unwrap();
    let report = stored.repo.check(&stored.id, 1, Depth::Presence, &stored.watch).await.unwrap();
    assert_eq!(report.findings, [Finding::warning("intruder", "the manifest does not name it")]);
}

/// Gives a snapshot another manifest, with a commit point that covers it.
async fn with_manifest(change: impl Fn(&mut serde_json::Value)) -> RepoError {
    let stored = stored("manifest.json").await;
    let mut json: serde_json::Value = serde_json::from_slice(&stored.good).unwrap();
    change(&mut json);
    let text = serde_json::to_vec(&json).unwrap();
    let sums = format!("{}  manifest.json\n", crate::codec::digest(&text));
    stored.store.put(&stored.path, text.into()).await.unwrap();
    let path = Path::parse(format!("a/b/{}/{}/SHA256SUMS", stored.id.database(), stored.id)).unwrap();
    stored.store.put(&path, sums.into()).await.unwrap();
    stored.repo.manifest(&stored.id).await.unwrap_err()
}

#[tokio::test]
async fn a_manifest_that_makes_no_sense_is_refused() {
    for error in [
        with_manifest(|json| json["files"][0]["name"] = "../../etc/passwd".into()).await,
        with_manifest(|json| json["files"][0]["name"] = "/etc/passwd".into()).await,
        with_manifest(|json| json["files"][0]["name"] = "SHA256SUMS".into()).await,
        with_manifest(|json| json["files"][0]["stored_bytes"] = u64::MAX.into()).await,
        with_manifest(|json| json["files"][1]["name"] = json["files"][0]["name"].clone()).await,
        with_manifest(|json| json["id"] = "other_20260101_000000".into()).await,
        with_manifest(|json| *json = serde_json::json!([])).await,
    ] {
        assert!(matches!(error, RepoError::Corrupt { .. }), "{error:?}");
    }
    let newer = with_manifest(|json| json["format"] = 2.into()).await;
    assert!(matches!(newer, RepoError::NewerFormat { found: 2, .. }), "{newer:?}");
}
