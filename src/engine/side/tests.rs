use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;

use super::*;
use crate::codec::{EncodedFrame, FRAME_BYTES, digest};
use crate::engine::{FileOutlet, Inlet, InletFailed, Outlet, OutletFailed};
use crate::model::clock::Clock;
use crate::model::event::{Event, Observer};
use crate::model::manifest::{FileRole, SideFile};
use crate::model::watch::Watch;

/// Outlet and inlet at once: what was finished can be read.
#[derive(Default)]
struct Shelf(Arc<Mutex<HashMap<String, Vec<EncodedFrame>>>>);

struct Draft {
    name: String,
    frames: Vec<EncodedFrame>,
    shelf: Arc<Mutex<HashMap<String, Vec<EncodedFrame>>>>,
}

#[async_trait]
impl Outlet for Shelf {
    async fn begin(&self, name: &FileName, role: FileRole) -> Result<Box<dyn FileOutlet>, OutletFailed> {
        assert_eq!(role, FileRole::Side);
        Ok(Box::new(Draft { name: name.to_string(), frames: vec![], shelf: self.0.clone() }))
    }
}

#[async_trait]
impl FileOutlet for Draft {
    async fn append(&mut self, frame: EncodedFrame) -> Result<(), OutletFailed> {
        self.frames.push(frame);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<(), OutletFailed> {
        self.shelf.lock().unwrap().insert(self.name, self.frames);
        Ok(())
    }
}

#[async_trait]
impl Inlet for Shelf {
    fn frames(&self, file: &FileName) -> usize {
        self.0.lock().unwrap()[file.as_str()].len()
    }

    async fn frame(&self, file: &FileName, index: usize) -> Result<Bytes, InletFailed> {
        let frame = self.0.lock().unwrap()[file.as_str()][index].clone();
        Ok(zstd::decode_all(frame.stored.as_ref()).unwrap().into())
    }
}

struct Quiet;

impl Observer for Quiet {
    fn notice(&self, _: &Event) {}
}

impl Clock for Quiet {
    fn now(&self) -> DateTime<Utc> {
        "2026-11-20T03:00:00Z".parse().unwrap()
    }
}

fn watch() -> Watch {
    Watch { observer: Arc::new(Quiet), clock: Arc::new(Quiet), cancel: Default::default() }
}

/// A folder with `source/`, `into/` and `temp/`, and a shelf.
struct Scene {
    root: TempDir,
    shelf: Arc<Shelf>,
}

impl Scene {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        ["source", "into", "temp"].iter().for_each(|name| fs::create_dir(root.path().join(name)).unwrap());
        Self { root, shelf: Arc::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    async fn store(&self, name: &str) -> Result<SideFile, EngineError> {
        let (path, folder) = (self.path(&format!("source/{name}")), self.path("source"));
        let plan = SidePlan::new(&path, &folder, Compression::default(), &self.path("temp")).unwrap();
        let outlet: Arc<dyn Outlet> = self.shelf.clone();
        store(&path, &plan, Some(Quiet.now() - TimeDelta::milliseconds(70)), &outlet, &watch()).await
    }

    async fn prepare(&self, side: &SideFile, existing: Existing) -> Result<Prepared, EngineError> {
        let inlet: Arc<dyn Inlet> = self.shelf.clone();
        prepare(side, &self.path("into"), existing, &inlet, &watch()).await
    }

    async fn restore(&self, side: &SideFile, existing: Existing) -> Result<Restored, EngineError> {
        self.prepare(side, existing).await?.put_in_place(&watch()).await
    }

    /// Every name in a folder, hidden ones too.
    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn said<T>(result: Result<T, EngineError>) -> String {
    result.err().expect("refused").to_string()
}

const ASIDE: &str = "a.json.before_20261120_030000";

#[tokio::test]
async fn a_file_survives_the_round_trip() {
    let scene = Scene::new();
    scene.write("source/data/a.json", r#"{"a": [1, 2]}"#);
    fs::set_permissions(scene.path("source/data/a.json"), fs::Permissions::from_mode(0o640)).unwrap();
    let side = scene.store("data/a.json").await.unwrap();
    assert_eq!(side.restore_as.as_str(), "data/a.json");
    assert_eq!(side.file.as_ref().unwrap().as_str(), "files/data/a.json.zst");
    assert_eq!((side.plain_bytes, side.mode, side.gap_ms), (13, Some(0o640), 70));
    assert_eq!(side.plain_digest, Some(digest(br#"{"a": [1, 2]}"#)));
    let restored = scene.restore(&side, Existing::Refuse).await.unwrap();
    assert_eq!(restored, Restored { path: scene.path("into/data/a.json"), previous: None });
    assert_eq!(scene.read("into/data/a.json"), r#"{"a": [1, 2]}"#);
    assert_eq!(fs::metadata(&restored.path).unwrap().mode() & 0o777, 0o640);
    assert_eq!((scene.names("into/data"), scene.names("temp")), (vec!["a.json".to_owned()], vec![]));
}

#[tokio::test]
async fn every_size_survives() {
    for bytes in [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 2 * FRAME_BYTES] {
        let scene = Scene::new();
        let content: Vec<u8> = (0..bytes).map(|i| u8::try_from(i % 251).unwrap()).collect();
        scene.write("source/a.bin", &content);
        let side = scene.store("a.bin").await.unwrap();
        assert_eq!(scene.shelf.frames(side.file.as_ref().unwrap()), bytes.div_ceil(FRAME_BYTES).max(1));
        scene.restore(&side, Existing::Refuse).await.unwrap();
        assert_eq!(fs::read(scene.path("into/a.bin")).unwrap(), content);
    }
}

#[tokio::test]
async fn an_absent_file_is_recorded() {
    let scene = Scene::new();
    let side = scene.store("a.json").await.unwrap();
    assert_eq!((side.file.clone(), side.plain_digest, side.plain_bytes), (None, None, 0));
    scene.write("into/a.json", "1");
    assert_eq!(scene.restore(&side, Existing::Refuse).await.unwrap().previous, None);
    assert_eq!(scene.names("into"), ["a.json"]);
    assert_eq!(scene.restore(&side, Existing::KeepAside).await.unwrap().previous, Some(scene.path("into").join(ASIDE)));
    assert_eq!(scene.names("into"), [ASIDE]);
    assert_eq!(scene.restore(&side, Existing::KeepAside).await.unwrap().previous, None);
}

/// Writes to a file whenever it is asked for the time: in the midst of every reading.
struct Meddler {
    path: PathBuf,
    writes: Mutex<u32>,
    most: u32,
}

impl Clock for Meddler {
    fn now(&self) -> DateTime<Utc> {
        let mut writes = self.writes.lock().unwrap();
        if *writes < self.most {
            *writes += 1;
            fs::write(&self.path, format!("[{writes}]")).unwrap();
        }
        Quiet.now()
    }
}

/// Stores a file that is written to during the first `most` readings; with the number of those.
async fn store_meddled(scene: &Scene, most: u32) -> (Result<SideFile, EngineError>, u32) {
    scene.write("source/a.json", "[]");
    let path = scene.path("source/a.json");
    let plan = SidePlan::new(&path, &scene.path("source"), Compression::default(), &scene.path("temp")).unwrap();
    let meddler = Arc::new(Meddler { path: path.clone(), writes: Mutex::new(0), most });
    let outlet: Arc<dyn Outlet> = scene.shelf.clone();
    let stored = store(&path, &plan, None, &outlet, &Watch { clock: meddler.clone(), ..watch() }).await;
    let writes = *meddler.writes.lock().unwrap();
    (stored, writes)
}

#[tokio::test]
async fn a_file_that_never_holds_still_is_refused() {
    let scene = Scene::new();
    let (stored, writes) = store_meddled(&scene, u32::MAX).await;
    assert!(said(stored).ends_with("a.json: changed while it was read, 5 times"));
    assert_eq!(writes, 5);
    assert!(scene.shelf.0.lock().unwrap().is_empty() && scene.names("temp").is_empty());
}

#[tokio::test]
async fn a_file_that_is_written_meanwhile_is_read_again() {
    let scene = Scene::new();
    let side = store_meddled(&scene, 4).await.0.unwrap();
    assert_eq!(side.plain_digest, Some(digest(b"[4]")));
}

#[tokio::test]
async fn a_file_that_comes_to_rest_is_stored() {
    let scene = Scene::new();
    scene.write("source/a.json", "[1,");
    let path = scene.path("source/a.json");
    let writer = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(120));
        fs::write(path, "[1,2]").unwrap();
    });
    let side = scene.store("a.json").await.unwrap();
    writer.join().unwrap();
    assert_eq!(side.plain_bytes, 5);
}

#[tokio::test]
async fn json_must_be_whole() {
    for (content, why) in [
        ("{\"a\": 1,\n \"b\"", "is not valid JSON: EOF while parsing an object at line 2 column 4, 5 times"),
        ("", "is not valid JSON: EOF while parsing a value at line 1 column 0, 5 times"),
        ("1 2", "is not valid JSON: trailing characters at line 1 column 3, 5 times"),
    ] {
        let scene = Scene::new();
        scene.write("source/a.JSON", content);
        let refused = said(scene.store("a.JSON").await);
        assert!(refused.ends_with(why), "{refused}");
    }
}

#[tokio::test]
async fn deep_and_marked_json_is_json() {
    let scene = Scene::new();
    scene.write("source/deep.json", ["[".repeat(100_000), "]".repeat(100_000)].concat());
    scene.store("deep.json").await.unwrap();
    scene.write("source/marked.json", "\u{feff}{}");
    scene.store("marked.json").await.unwrap();
}

#[tokio::test]
async fn links_are_followed_and_other_things_refused() {
    let scene = Scene::new();
    scene.write("source/real", "content");
    symlink(scene.path("source/real"), scene.path("source/link")).unwrap();
    assert_eq!(scene.store("link").await.unwrap().plain_bytes, 7);
    symlink("nowhere", scene.path("source/dangling")).unwrap();
    assert!(said(scene.store("dangling").await).ends_with("is a symbolic link to nothing"));
    fs::create_dir(scene.path("source/folder")).unwrap();
    assert!(said(scene.store("folder").await).ends_with("is not a regular file"));
    let fifo = scene.path("source/fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert!(said(scene.store("fifo").await).ends_with("is not a regular file"));
}

#[tokio::test]
async fn an_existing_file_is_refused_or_kept() {
    let scene = Scene::new();
    scene.write("source/a.json", "2");
    let side = scene.store("a.json").await.unwrap();
    scene.write("into/a.json", "1");
    assert!(said(scene.restore(&side, Existing::Refuse).await).ends_with("is there already"));
    assert_eq!(scene.names("into"), ["a.json"]);
    let restored = scene.restore(&side, Existing::KeepAside).await.unwrap();
    assert_eq!(restored.previous, Some(scene.path("into").join(ASIDE)));
    assert_eq!(
        (scene.read("into/a.json"), fs::read_to_string(restored.previous.unwrap()).unwrap()),
        ("2".into(), "1".into())
    );
    let again = scene.restore(&side, Existing::KeepAside).await.unwrap();
    assert_eq!(again.previous, Some(scene.path(&format!("into/{ASIDE}_2"))));
}

#[tokio::test]
async fn prepared_is_not_in_place() {
    let scene = Scene::new();
    scene.write("source/a.json", "2");
    let side = scene.store("a.json").await.unwrap();
    scene.write("into/a.json", "1");
    let prepared = scene.prepare(&side, Existing::KeepAside).await.unwrap();
    assert_eq!(scene.read("into/a.json"), "1");
    drop(prepared);
    assert_eq!(scene.names("into"), ["a.json"]);
}

#[tokio::test]
async fn leftovers_of_a_killed_restore_are_removed() {
    let scene = Scene::new();
    scene.write("source/a.json", "2");
    let side = scene.store("a.json").await.unwrap();
    scene.write("into/.a.json.dbops_1_0", "left");
    scene.write("into/.b.json.dbops_1_0", "another's");
    let waiting = scene.prepare(&side, Existing::KeepAside).await.unwrap();
    scene.restore(&side, Existing::Refuse).await.unwrap();
    waiting.put_in_place(&watch()).await.unwrap();
    assert_eq!(scene.names("into"), [".b.json.dbops_1_0", "a.json", ASIDE]);
}

#[tokio::test]
async fn what_comes_meanwhile_is_not_replaced() {
    let scene = Scene::new();
    scene.write("source/a.json", "2");
    let side = scene.store("a.json").await.unwrap();
    let prepared = scene.prepare(&side, Existing::Refuse).await.unwrap();
    scene.write("into/a.json", "1");
    assert!(said(prepared.put_in_place(&watch()).await).ends_with("is there already"));
    assert_eq!((scene.read("into/a.json"), scene.names("into").len()), ("1".to_owned(), 1));
}

#[tokio::test]
async fn nothing_goes_through_a_link() {
    let scene = Scene::new();
    scene.write("source/sub/a.json", "2");
    let side = scene.store("sub/a.json").await.unwrap();
    symlink(scene.path("source"), scene.path("into/sub")).unwrap();
    let error = scene.prepare(&side, Existing::KeepAside).await.err().unwrap();
    let EngineError::Disk { source, .. } = error else { panic!("{error}") };
    assert!(source.to_string().ends_with("into/sub is a symbolic link or no folder"), "{source}");
    scene.write("source/b.json", "2");
    let side = scene.store("b.json").await.unwrap();
    symlink(scene.path("source/b.json"), scene.path("into/b.json")).unwrap();
    assert!(said(scene.prepare(&side, Existing::KeepAside).await).ends_with("is there and is no regular file"));
}

#[tokio::test]
async fn other_content_than_the_manifest_names_is_refused() {
    let scene = Scene::new();
    scene.write("source/a.json", "2");
    let good = scene.store("a.json").await.unwrap();
    for bad in [
        SideFile { plain_digest: Some(digest(b"3")), ..good.clone() },
        SideFile { plain_bytes: 2, ..good.clone() },
        SideFile { plain_digest: None, ..good.clone() },
    ] {
        assert!(scene.prepare(&bad, Existing::Refuse).await.is_err());
        assert!(scene.names("into").is_empty());
    }
}

#[tokio::test]
async fn a_wish_to_stop_is_heard() {
    let scene = Scene::new();
    scene.write("source/a", "2");
    let side = scene.store("a").await.unwrap();
    let watch = watch();
    watch.cancel.cancel();
    let inlet: Arc<dyn Inlet> = scene.shelf.clone();
    let stopped = prepare(&side, &scene.path("into"), Existing::Refuse, &inlet, &watch).await;
    assert!(matches!(stopped.err(), Some(EngineError::Interrupted(_))));
    assert!(scene.names("into").is_empty());
}

#[test]
fn names_are_relative_to_the_database() {
    for (path, folder, expected) in [
        ("/srv/app/data/a.json", "/srv/app", "data/a.json"),
        ("/etc/a.json", "/srv/app", "a.json"),
        ("/srv/app/../a.json", "/srv/app", "a.json"),
        ("data/a.json", "", "data/a.json"),
    ] {
        assert_eq!(restore_name(Path::new(path), Path::new(folder)).unwrap().as_str(), expected, "{path}");
    }
    for path in ["/", "..", "a\nb", &"x".repeat(201)] {
        assert!(restore_name(Path::new(path), Path::new("/srv")).is_err(), "{path}");
    }
}
