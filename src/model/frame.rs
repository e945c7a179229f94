//! Where the frames of a stored file lie, and what each must hold.

use serde::{Deserialize, Serialize};

use super::digest::Digest;

/// One frame of a stored file: an independently compressed run of plain bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// First stored byte, counted from the file's start.
    pub offset: u64,
    /// Stored (compressed) bytes.
    pub stored_bytes: u64,
    /// Bytes after decompression.
    pub plain_bytes: u64,
    /// Rows that it holds; 0 where the content is not rows (SQLite pages, side files).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rows: u64,
    /// SHA-256 of the stored bytes.
    pub digest: Digest,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(rows: &u64) -> bool {
    *rows == 0
}

/// How a file's bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(with = "String"))]
pub enum Compression {
    /// Zstandard frames with checksum and content size, at this level (1 to 19).
    Zstd(i32),
    /// Gzip members at this level (1 to 9), for who must restore with PostgreSQL 15's own tools.
    Gzip(u32),
}

impl Compression {
    /// The ending of a file so compressed: `zst` or `gz`.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Zstd(_) => "zst",
            Self::Gzip(_) => "gz",
        }
    }
}

/// A text that names no compression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown compression {0:?}: use zstd, zstd:1 to zstd:19, gzip, gzip:1 to gzip:9")]
pub struct InvalidCompression(String);

impl std::str::FromStr for Compression {
    type Err = InvalidCompression;

    fn from_str(text: &str) -> Result<Self, InvalidCompression> {
        let invalid = || InvalidCompression(text.to_owned());
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level.parse::<u8>().map_err(|_| invalid())?)),
            None => (text, None),
        };
        match (name, level) {
            ("zstd", None) => Ok(Self::default()),
            ("zstd", Some(level @ 1..=19)) => Ok(Self::Zstd(i32::from(level))),
            ("gzip", None) => Ok(Self::Gzip(6)),
            ("gzip", Some(level @ 1..=9)) => Ok(Self::Gzip(u32::from(level))),
            _ => Err(invalid()),
        }
    }
}

impl Default for Compression {
    /// Level 1: on four cores compression is what limits a backup. Level 3 stores about a tenth less in a quarter more
    /// time (docs/performance.md).
    fn default() -> Self {
        Self::Zstd(1)
    }
}

impl std::fmt::Display for Compression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Zstd(level) => write!(f, "zstd:{level}"),
            Self::Gzip(level) => write!(f, "gzip:{level}"),
        }
    }
}

impl TryFrom<String> for Compression {
    type Error = InvalidCompression;

    fn try_from(text: String) -> Result<Self, InvalidCompression> {
        text.parse()
    }
}

impl From<Compression> for String {
    fn from(compression: Compression) -> Self {
        compression.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressions_parse() {
        for (text, expected) in [
            ("zstd", Compression::Zstd(1)),
            ("zstd:3", Compression::Zstd(3)),
            ("gzip", Compression::Gzip(6)),
            ("gzip:9", Compression::Gzip(9)),
        ] {
            assert_eq!(text.parse(), Ok(expected));
        }
        for text in ["", "zst", "zstd:0", "zstd:20", "zstd:-1", "gzip:10", "gzip:", "lz4"] {
            assert!(text.parse::<Compression>().is_err(), "{text}");
        }
    }
}
