//! The chain of records that operations leave: numbered, each with its own digest and its predecessor's.
//!
//! Invariant: a damaged record costs what it said and nothing else: the others are read, new ones are added.

use bytes::Bytes;
use futures::FutureExt;
use serde_json::{Map, Value};

use super::error::RepoError;
use super::holder::random_id;
use super::sealed::{Seal, seal, unseal};
use super::survey::at_once;
use super::{Repository, layout};
use crate::codec::digest;
use crate::model::digest::Digest;
use crate::model::evidence::{Deed, Evidence, LostRecord, Records};
use crate::model::names::DatabaseName;

/// Bytes that a record may have: thousands of findings.
const RECORD_BYTES: u64 = 1 << 20;
/// How many others may be faster, one after the other, before a run gives up on adding its record.
const COLLISIONS: usize = 100;

/// A record as it stands in the store.
struct Stood {
    number: u64,
    /// SHA-256 of its bytes; `None` where they were not read.
    digest: Option<Digest>,
    record: Result<Evidence, String>,
}

impl Repository {
    /// All records about `database`, oldest first; those that are missing or damaged are named apart.
    pub async fn evidence(&self, database: &DatabaseName) -> Result<Records, RepoError> {
        let numbers = self.evidence_numbers(database).await?;
        let reads = numbers.into_iter().map(|number| self.stood(database, number).boxed());
        Ok(chain(at_once(reads).await?))
    }

    /// The number of the last record about `database`; 0 where there is none.
    pub async fn evidence_end(&self, database: &DatabaseName) -> Result<u64, RepoError> {
        Ok(self.evidence_numbers(database).await?.last().copied().unwrap_or(0))
    }

    /// Where a record stands, for people.
    #[must_use]
    pub fn evidence_path(&self, database: &DatabaseName, number: u64) -> String {
        layout::evidence_record(database, number)
    }

    /// Adds a record. A random mark tells it from the same record of another run, so that after a failure
    /// each finds out whether its own was stored.
    pub async fn record(&self, database: &DatabaseName, deed: Deed) -> Result<Evidence, RepoError> {
        let mark = Map::from_iter([("mark".to_owned(), Value::from(random_id(deed.at)))]);
        for _ in 0..COLLISIONS {
            let last = self.evidence_numbers(database).await?.last().copied();
            let previous = match last {
                Some(number) => self.stood(database, number).await?.digest,
                None => None,
            };
            let full = || RepoError::corrupt(layout::evidence(database), "no number follows its last one");
            let number = last.unwrap_or(0).checked_add(1).ok_or_else(full)?;
            let evidence = Evidence { number, previous, deed: deed.clone(), unknown: mark.clone() };
            let key = layout::evidence_record(database, number);
            if self.store().create(&key, render(&key, &evidence)?).await?.known()?.is_none() {
                return Ok(evidence);
            }
        }
        Err(RepoError::storage("add a record to", layout::evidence(database), "others were always faster"))
    }

    async fn evidence_numbers(&self, database: &DatabaseName) -> Result<Vec<u64>, RepoError> {
        let listed = self.store().list(&layout::evidence(database)).await?;
        let number = |key: &str| -> Option<u64> {
            let number = layout::last(key).strip_suffix(".json")?.parse().ok()?;
            (layout::evidence_record(database, number) == key).then_some(number)
        };
        let mut numbers: Vec<u64> = listed.iter().filter_map(|found| number(&found.key)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    async fn stood(&self, database: &DatabaseName, number: u64) -> Result<Stood, RepoError> {
        let key = layout::evidence_record(database, number);
        match self.store().read_listed(&key, RECORD_BYTES).await {
            Ok(Some(bytes)) => Ok(Stood { number, digest: Some(digest(&bytes)), record: parse(number, &bytes) }),
            Ok(None) => Ok(Stood { number, digest: None, record: Err("it is missing".to_owned()) }),
            Err(error @ RepoError::TooLarge { .. }) => {
                Ok(Stood { number, digest: None, record: Err(error.to_string()) })
            }
            Err(error) => Err(error),
        }
    }
}

fn render(key: &str, evidence: &Evidence) -> Result<Bytes, RepoError> {
    let unwritable = |error: serde_json::Error| RepoError::storage("write", key, error);
    let Value::Object(fields) = serde_json::to_value(evidence).map_err(unwritable)? else { return Ok(Bytes::new()) };
    let text = seal(key, fields)?;
    let bytes = text.len() as u64;
    if bytes > RECORD_BYTES {
        return Err(RepoError::TooLarge { subject: key.to_owned(), bytes, limit: RECORD_BYTES });
    }
    Ok(text)
}

fn parse(number: u64, bytes: &[u8]) -> Result<Evidence, String> {
    let unreadable = |error: serde_json::Error| error.to_string();
    let mut fields: Map<String, Value> = serde_json::from_slice(bytes).map_err(unreadable)?;
    match unseal(&mut fields) {
        // The first records of format 1 had no digest of their own.
        Seal::Intact | Seal::Absent => {}
        Seal::Broken => return Err("its digest is not that of its fields".to_owned()),
    }
    let record: Evidence = serde_json::from_value(Value::Object(fields)).map_err(unreadable)?;
    if record.number == number { Ok(record) } else { Err(format!("it says that it is number {}", record.number)) }
}

/// Sorts records that stand in the order of their numbers into intact and lost ones.
fn chain(stood: Vec<Stood>) -> Records {
    let mut records = Records::default();
    let mut before: Option<(u64, Option<Digest>)> = None;
    for Stood { number, digest, record } in stood {
        let expected = before.map_or(1, |(number, _)| number.saturating_add(1));
        if number > expected {
            records.lost.push(LostRecord { number: number - 1, why: "it is missing".to_owned() });
        }
        match record {
            Ok(record) => {
                let follows_other = number == expected && before.is_some_and(|(_, digest)| digest != record.previous);
                if let Some(changed) = records.intact.pop_if(|last| follows_other && last.number + 1 == number) {
                    let why = format!("it is not what number {number} follows");
                    records.lost.push(LostRecord { number: changed.number, why });
                }
                records.intact.push(record);
            }
            Err(why) => records.lost.push(LostRecord { number, why }),
        }
        before = Some((number, digest));
    }
    records
}
