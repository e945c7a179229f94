//! Digests of stored bytes, hashes of rows.

use sha2::{Digest as _, Sha256};
use twox_hash::XxHash3_128;

use crate::model::digest::Digest;

/// SHA-256 of `bytes`.
#[must_use]
pub fn digest(bytes: &[u8]) -> Digest {
    Digest::new(Sha256::digest(bytes).into())
}

/// XXH3-128 of a row's canonical bytes, as fingerprints add them up.
#[must_use]
pub fn row_hash(canonical: &[u8]) -> u128 {
    XxHash3_128::oneshot(canonical)
}

/// SHA-256 of bytes that come piece by piece.
#[derive(Debug, Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Takes the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all pieces.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest::new(self.0.finalize().into())
    }
}
