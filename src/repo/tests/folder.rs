//! What only a repository in a folder has: rights, links, leftovers, tools from outside.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use super::*;

struct OnDisk {
    _temp: tempfile::TempDir,
    root: PathBuf,
    repo: Repository,
    watch: Watch,
    id: SnapshotId,
}

impl OnDisk {
    async fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("backups");
        let (watch, _) = watch();
        let repo = Repository::create(Place::Folder(root.clone()), watch.clock.now()).await.unwrap();
        let id = backup(&repo, &watch).await.unwrap().id;
        Self { _temp: temp, root, repo, watch, id }
    }

    fn snapshot(&self) -> PathBuf {
        self.root.join(layout::snapshot(&self.id))
    }
}

#[tokio::test]
async fn the_folder_is_its_owners_alone() {
    let disk = OnDisk::new().await;
    assert_eq!(fs::metadata(&disk.root).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(disk.repo.free_bytes().unwrap() > 0);
    assert_eq!(disk.repo.path_of(&disk.id), disk.snapshot().display().to_string());
}

#[tokio::test]
async fn sha256sum_agrees() {
    let disk = OnDisk::new().await;
    let sums = Command::new("sha256sum").args(["--strict", "-c", "SHA256SUMS"]).current_dir(disk.snapshot()).output();
    let sums = sums.expect("sha256sum (coreutils) is needed");
    assert!(sums.status.success(), "{}", String::from_utf8_lossy(&sums.stdout));
    assert_eq!(String::from_utf8_lossy(&sums.stdout).lines().count(), 5);
}

/// Puts a link in the place of `name`, which moves out of the repository.
fn lead_out(disk: &OnDisk, name: &str) {
    let inside = if name.is_empty() { disk.snapshot() } else { disk.snapshot().join(name) };
    let outside = disk.root.parent().unwrap().join("outside");
    fs::rename(&inside, &outside).unwrap();
    symlink(&outside, &inside).unwrap();
}

#[tokio::test]
async fn links_are_refused_and_not_followed() {
    for name in ["", "files", DATA, "manifest.json", "SHA256SUMS", "frames.jsonl"] {
        let disk = OnDisk::new().await;
        lead_out(&disk, name);
        let (repo, id, watch) = (&disk.repo, &disk.id, &disk.watch);
        let unsafe_path = |error: Option<RepoError>| matches!(error, Some(RepoError::Unsafe { .. }));
        assert!(unsafe_path(repo.check(id, 1, Depth::Full, watch).await.err()), "check {name}");
        assert!(unsafe_path(repo.reader(id, &holder(watch), watch).await.err()), "reader {name}");
        let lease = repo.lease(&database(), "forget", &holder(watch), watch).await.unwrap();
        assert!(unsafe_path(repo.forget(&lease, id, watch).await.err()), "forget {name}");
        assert_eq!(repo.sweep(&lease, Sweep::Unfinished, watch).await.unwrap(), [], "sweep {name}");
        assert_eq!(repo.snapshots(&database()).await.unwrap(), std::slice::from_ref(id), "{name}");
        lease.release().await.unwrap();
        let outside = disk.root.parent().unwrap().join("outside");
        assert!(fs::symlink_metadata(&outside).is_ok());
        let after = files_of(&outside);
        backup(repo, watch).await.unwrap_or_else(|error| panic!("the next backup beside a link at {name}: {error:?}"));
        assert_eq!(files_of(&outside), after, "{name}");
    }
}

/// What is in a folder, or the one file that it is.
fn files_of(path: &std::path::Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else { return vec![path.to_owned()] };
    entries.flat_map(|entry| files_of(&entry.unwrap().path())).collect()
}

#[tokio::test]
async fn the_root_may_be_a_link() {
    let disk = OnDisk::new().await;
    let link = disk.root.parent().unwrap().join("link");
    symlink(&disk.root, &link).unwrap();
    let repo = Repository::open(Place::Folder(link)).await.unwrap();
    assert_eq!(assert_all_verify(&repo, &disk.watch, "link").await, std::slice::from_ref(&disk.id));
}

#[tokio::test]
async fn leftovers_of_killed_writes_are_swept() {
    let disk = OnDisk::new().await;
    let killed = disk.root.join("exam/exam_20200101_000000");
    fs::create_dir_all(killed.join("files")).unwrap();
    fs::write(killed.join("exam.sqlite.zst#1"), "half").unwrap();
    fs::write(killed.join("files/a.json.zst"), "half").unwrap();
    let fresh = disk.root.join(".dbops/evidence/exam/000009.json#1");
    let sealed = disk.snapshot().join("SHA256SUMS#3");
    for leftover in [&fresh, &sealed] {
        fs::write(leftover, "half").unwrap();
    }
    assert_eq!(disk.repo.orphans(&database()).await.unwrap().len(), 1);
    backup(&disk.repo, &disk.watch).await.unwrap();
    let left: Vec<_> = fs::read_dir(&killed).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["SHA256SUMS"], "only the tombstone stays");
    assert!(!sealed.exists());
    assert!(fresh.exists(), "somebody may be writing it");
    assert_eq!(disk.repo.orphans(&database()).await.unwrap(), []);
}

#[tokio::test]
async fn forget_leaves_no_folder() {
    let disk = OnDisk::new().await;
    let lease = disk.repo.lease(&database(), "forget", &holder(&disk.watch), &disk.watch).await.unwrap();
    disk.repo.forget(&lease, &disk.id, &disk.watch).await.unwrap();
    assert!(!disk.snapshot().exists());
}

#[tokio::test]
async fn a_manifest_of_a_gigabyte_is_not_read() {
    for name in ["manifest.json", "SHA256SUMS"] {
        let disk = OnDisk::new().await;
        let manifest = fs::OpenOptions::new().write(true).open(disk.snapshot().join(name)).unwrap();
        manifest.set_len(1 << 30).unwrap();
        let refused = disk.repo.manifest(&disk.id).await;
        assert!(matches!(refused, Err(RepoError::TooLarge { bytes: 1_073_741_824, .. })), "{refused:?}");
        let report = disk.repo.check(&disk.id, 1, Depth::Full, &disk.watch).await.unwrap();
        assert_eq!(report.findings.len(), 1);
        assert_eq!(report.findings[0].subject, name);
    }
}

#[tokio::test]
async fn foreign_folders_are_left_alone() {
    let disk = OnDisk::new().await;
    let foreign = disk.root.join("exam/notes");
    fs::create_dir_all(&foreign).unwrap();
    fs::write(foreign.join("readme"), "mine").unwrap();
    backup(&disk.repo, &disk.watch).await.unwrap();
    assert!(foreign.join("readme").exists());
    assert_eq!(disk.repo.orphans(&database()).await.unwrap(), []);
}

#[tokio::test]
async fn a_folder_that_is_a_file_is_no_repository() {
    let temp = tempfile::NamedTempFile::new().unwrap();
    let place = Place::Folder(temp.path().to_path_buf());
    assert!(matches!(Repository::open(place.clone()).await, Err(RepoError::NoRepository { .. })));
    assert!(matches!(Repository::create(place, Utc::now()).await, Err(RepoError::Storage { .. })));
}
