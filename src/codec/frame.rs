//! One frame: compress with checksum, prove and decompress.

use std::io::{self, Read, Write};

use bytes::Bytes;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{CParameter, get_frame_content_size};

use super::hash::digest;
use crate::model::digest::Digest;
use crate::model::frame::{Compression, Frame};

/// Plain bytes that a frame holds, unless a single row is larger; bounds memory to about this × 2 × jobs,
/// and is large enough that compression in frames costs under 1 % in size.
pub const FRAME_BYTES: usize = 4 << 20;

/// Plain bytes above which a frame is refused: PostgreSQL's largest row, 1 GiB a field, escaped.
pub const FRAME_BYTES_MAX: u64 = 8 << 30;

/// A frame ready to be stored.
#[derive(Debug, Clone)]
pub struct EncodedFrame {
    /// The bytes to store.
    pub stored: Bytes,
    /// Bytes before compression.
    pub plain_bytes: u64,
    /// Rows that it holds; 0 where the content is not rows.
    pub rows: u64,
    /// SHA-256 of the stored bytes.
    pub digest: Digest,
}

/// A frame that could not be made or is not what was stored.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The compressor failed.
    #[error("could not compress")]
    Compress(#[source] io::Error),
    /// The stored bytes are fewer or more than the manifest says.
    #[error("has {found} stored bytes instead of {expected}")]
    Length {
        /// Bytes that the manifest names.
        expected: u64,
        /// Bytes that there are.
        found: u64,
    },
    /// The stored bytes have another SHA-256.
    #[error("its SHA-256 differs")]
    Digest,
    /// The bytes don't decompress, although their digest is right.
    #[error("does not decompress")]
    Decompress(#[source] io::Error),
    /// Decompressed, it is not as long as the manifest says.
    #[error("decompresses to other than {expected} bytes")]
    PlainLength {
        /// Bytes that the manifest names.
        expected: u64,
    },
}

/// Compresses frames one after the other, reusing its memory.
pub struct Encoder {
    compression: Compression,
    zstd: Compressor<'static>,
}

impl Encoder {
    /// An encoder for `compression`.
    pub fn new(compression: Compression) -> Result<Self, CodecError> {
        let level = match compression {
            Compression::Zstd(level) => level,
            Compression::Gzip(_) => 1,
        };
        let mut zstd = Compressor::new(level).map_err(CodecError::Compress)?;
        for parameter in [CParameter::ChecksumFlag(true), CParameter::ContentSizeFlag(true)] {
            zstd.set_parameter(parameter).map_err(CodecError::Compress)?;
        }
        Ok(Self { compression, zstd })
    }

    /// One frame of `plain`, which holds `rows` rows.
    pub fn encode(&mut self, plain: &[u8], rows: u64) -> Result<EncodedFrame, CodecError> {
        let stored = match self.compression {
            Compression::Zstd(_) => self.zstd.compress(plain),
            Compression::Gzip(level) => gzip(plain, level),
        };
        let mut stored = stored.map_err(CodecError::Compress)?;
        stored.shrink_to_fit();
        let digest = digest(&stored);
        Ok(EncodedFrame { stored: stored.into(), plain_bytes: plain.len() as u64, rows, digest })
    }
}

fn gzip(plain: &[u8], level: u32) -> io::Result<Vec<u8>> {
    let room = plain.len() / 3 + 64;
    let mut encoder = flate2::write::GzEncoder::new(Vec::with_capacity(room), flate2::Compression::new(level));
    encoder.write_all(plain)?;
    encoder.finish()
}

/// Proves that `stored` is the frame that `expected` names, and gives its plain bytes.
///
/// Memory is bound by what the stored bytes themselves claim, not by the manifest alone.
pub fn decode(compression: Compression, stored: &[u8], expected: &Frame) -> Result<Vec<u8>, CodecError> {
    if stored.len() as u64 != expected.stored_bytes {
        return Err(CodecError::Length { expected: expected.stored_bytes, found: stored.len() as u64 });
    }
    if digest(stored) != expected.digest {
        return Err(CodecError::Digest);
    }
    let wrong_length = || CodecError::PlainLength { expected: expected.plain_bytes };
    if expected.plain_bytes > FRAME_BYTES_MAX {
        return Err(wrong_length());
    }
    let plain = match compression {
        Compression::Zstd(_) => unzstd(stored, expected.plain_bytes).ok_or_else(wrong_length)?,
        Compression::Gzip(_) => gunzip(stored, expected.plain_bytes),
    };
    let plain = plain.map_err(CodecError::Decompress)?;
    if plain.len() as u64 == expected.plain_bytes { Ok(plain) } else { Err(wrong_length()) }
}

/// `None` when the frame's own header claims another size than expected.
fn unzstd(stored: &[u8], plain_bytes: u64) -> Option<io::Result<Vec<u8>>> {
    match get_frame_content_size(stored) {
        Ok(Some(size)) if size != plain_bytes => return None,
        Ok(Some(_)) => {}
        Ok(None) | Err(_) => return Some(Err(io::Error::other("no zstd frame with a content size"))),
    }
    let capacity = usize::try_from(plain_bytes).ok()?;
    Some(Decompressor::new().and_then(|mut zstd| zstd.decompress(stored, capacity)))
}

fn gunzip(stored: &[u8], plain_bytes: u64) -> io::Result<Vec<u8>> {
    let mut decoder = flate2::bufread::GzDecoder::new(stored);
    let mut plain = Vec::new();
    decoder.by_ref().take(plain_bytes + 1).read_to_end(&mut plain)?;
    if decoder.into_inner().is_empty() { Ok(plain) } else { Err(io::Error::other("bytes after the gzip member")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame_of(encoded: &EncodedFrame) -> Frame {
        Frame {
            offset: 0,
            stored_bytes: encoded.stored.len() as u64,
            plain_bytes: encoded.plain_bytes,
            rows: encoded.rows,
            digest: encoded.digest,
        }
    }

    fn sample(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|i| u8::try_from(i % 251 / 3).unwrap()).collect()
    }

    #[test]
    fn frames_survive_the_round_trip() {
        for compression in [Compression::Zstd(1), Compression::Zstd(19), Compression::Gzip(6)] {
            let mut encoder = Encoder::new(compression).unwrap();
            for bytes in [0, 1, 4096, 300_000] {
                let plain = sample(bytes);
                let encoded = encoder.encode(&plain, 7).unwrap();
                assert_eq!(decode(compression, &encoded.stored, &frame_of(&encoded)).unwrap(), plain);
            }
        }
    }

    #[test]
    fn stock_readers_see_one_stream() {
        let mut encoder = Encoder::new(Compression::Zstd(3)).unwrap();
        let frames: Vec<u8> =
            [1000, 0, 5000].iter().flat_map(|&n| encoder.encode(&sample(n), 0).unwrap().stored).collect();
        let expected: Vec<u8> = [1000, 0, 5000].iter().flat_map(|&n| sample(n)).collect();
        assert_eq!(zstd::decode_all(frames.as_slice()).unwrap(), expected);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        for compression in [Compression::Zstd(3), Compression::Gzip(6)] {
            let encoded = Encoder::new(compression).unwrap().encode(&sample(2000), 0).unwrap();
            for bit in 0..encoded.stored.len() * 8 {
                let mut damaged = encoded.stored.to_vec();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert!(decode(compression, &damaged, &frame_of(&encoded)).is_err(), "bit {bit}");
            }
        }
    }

    #[test]
    fn a_frame_that_lies_about_its_size_is_refused() {
        let encoded = Encoder::new(Compression::Zstd(3)).unwrap().encode(&sample(2000), 0).unwrap();
        let frame = Frame { plain_bytes: 1 << 40, ..frame_of(&encoded) };
        assert!(matches!(decode(Compression::Zstd(3), &encoded.stored, &frame), Err(CodecError::PlainLength { .. })));
    }
}
