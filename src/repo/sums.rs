//! The commit point, SHA256SUMS: the text that `sha256sum` writes and checks, or the tombstone in its place.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;

use super::error::RepoError;
use super::hold::Claim;
use super::layout;
use crate::model::digest::Digest;
use crate::model::manifest::Manifest;

/// The first line of a commit point that will never be one.
const TOMBSTONE: &str = "# dbops tombstone: this snapshot was never finished\n";
/// What tells it from every SHA256SUMS, whose lines begin with hexadecimal digits.
const TOMBSTONE_START: &[u8] = b"# dbops tombstone";

/// One line a file, sorted by name, the manifest among them.
pub(super) fn render(manifest: &Manifest, manifest_digest: Digest) -> String {
    let mut files: BTreeMap<&str, Digest> =
        manifest.files.iter().map(|file| (file.name.as_str(), file.digest)).collect();
    files.insert(layout::MANIFEST, manifest_digest);
    files.iter().fold(String::new(), |mut text, (name, digest)| {
        let _ = writeln!(text, "{digest}  {name}");
        text
    })
}

/// The manifest's digest in a SHA256SUMS.
pub(super) fn manifest_digest(sums: &[u8]) -> Option<Digest> {
    let text = std::str::from_utf8(sums).ok()?;
    let lines = text.lines().filter_map(|line| line.split_once("  "));
    let (digest, _) = lines.into_iter().find(|(_, name)| *name == layout::MANIFEST)?;
    digest.parse().ok()
}

/// A tombstone that names who put it there.
pub(super) fn tombstone(claim: &Claim) -> Result<Bytes, RepoError> {
    let mut text = TOMBSTONE.as_bytes().to_vec();
    text.extend_from_slice(&claim.bytes()?);
    text.push(b'\n');
    Ok(text.into())
}

pub(super) fn is_tombstone(sums: &[u8]) -> bool {
    sums.starts_with(TOMBSTONE_START)
}

/// Who put the tombstone there, where that can be read.
pub(super) fn tombstone_claim(sums: &[u8]) -> Option<Claim> {
    let json = sums.split(|&byte| byte == b'\n').nth(1)?;
    Claim::parse(json)
}
