//! Plain bytes to frames and back.
//!
//! Invariant: a frame is complete in itself: one zstd frame with checksum and content size, or one gzip member.
//! Any reader of the format sees the concatenation of frames as one stream.
//! Absent: async, files.

mod frame;
mod hash;

pub use frame::{CodecError, EncodedFrame, Encoder, FRAME_BYTES, FRAME_BYTES_MAX, decode};
pub use hash::{Hasher, digest, row_hash};
