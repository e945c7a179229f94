//! Small JSON objects that carry their own digest, so that damage shows without anything beside them.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::error::RepoError;
use crate::codec::digest;

/// The field with the digest of all others.
const DIGEST: &str = "digest";

/// The text of `fields`, its digest among them.
pub(super) fn seal(key: &str, mut fields: Map<String, Value>) -> Result<Bytes, RepoError> {
    let unwritable = |error: serde_json::Error| RepoError::storage("write", key, error);
    let own = own_digest(&fields).map_err(unwritable)?;
    fields.insert(DIGEST.to_owned(), json!(own));
    let mut text = serde_json::to_vec_pretty(&fields).map_err(unwritable)?;
    text.push(b'\n');
    Ok(text.into())
}

/// What a text says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seal {
    /// It has no digest.
    Absent,
    /// Its digest is that of its fields.
    Intact,
    /// It is not.
    Broken,
}

/// Takes the digest out of `fields` and compares it with the others.
pub(super) fn unseal(fields: &mut Map<String, Value>) -> Seal {
    let Some(found) = fields.remove(DIGEST) else { return Seal::Absent };
    match own_digest(fields) {
        Ok(own) if found.as_str() == Some(own.as_str()) => Seal::Intact,
        Ok(_) | Err(_) => Seal::Broken,
    }
}

/// SHA-256 of the fields but `digest`, as JSON with sorted keys and without blanks.
fn own_digest(fields: &Map<String, Value>) -> Result<String, serde_json::Error> {
    let mut others = fields.clone();
    others.remove(DIGEST);
    let mut others = Value::Object(others);
    others.sort_all_objects();
    Ok(digest(&serde_json::to_vec(&others)?).to_string())
}
