//! The chain of records that operations leave: numbered, each with its predecessor's digest.

use bytes::Bytes;
use futures::FutureExt;
use serde_json::{Map, Value};

use super::error::RepoError;
use super::holder::random_id;
use super::survey::at_once;
use super::{Repository, layout};
use crate::codec::digest;
use crate::model::digest::Digest;
use crate::model::evidence::{Deed, Evidence};
use crate::model::names::DatabaseName;

/// Bytes that a record may have: thousands of findings.
const RECORD_BYTES: u64 = 16 << 20;
/// How many others may be faster, one after the other, before a run gives up on adding its record.
const COLLISIONS: usize = 100;

/// A database's records.
#[derive(Debug, Clone, Default)]
pub struct Chain {
    /// Oldest first; where the chain is broken, those after the last break: what stood before proves nothing any more.
    pub records: Vec<Evidence>,
    /// Where it is broken first, and how.
    pub broken: Option<String>,
}

impl Repository {
    /// The records about `database` that follow each other to the newest without a break.
    pub async fn evidence(&self, database: &DatabaseName) -> Result<Chain, RepoError> {
        let numbers = self.evidence_numbers(database).await?;
        let reads = numbers.iter().map(|&number| self.evidence_bytes(database, number).boxed());
        let stored = at_once(reads).await?;
        let mut chain = Chain::default();
        let mut previous = None;
        for (number, bytes) in numbers.into_iter().zip(stored) {
            let record = parse(number, &bytes);
            let link = record.as_ref().map_err(Clone::clone).and_then(|record| follows(record, previous));
            if let Err(why) = link {
                chain.records.clear();
                chain.broken.get_or_insert(format!("{}: {why}", layout::evidence_record(database, number)));
            }
            chain.records.extend(record.ok());
            previous = Some((number, digest(&bytes)));
        }
        Ok(chain)
    }

    /// Adds a record. A random mark tells it from the same record of another run, so that after a failure
    /// each finds out whether its own was stored.
    pub async fn record(&self, database: &DatabaseName, deed: Deed) -> Result<Evidence, RepoError> {
        let mark = Map::from_iter([("mark".to_owned(), Value::from(random_id(deed.at)))]);
        for _ in 0..COLLISIONS {
            let last = self.evidence_numbers(database).await?.last().copied();
            let previous = match last {
                Some(number) => Some(digest(&self.evidence_bytes(database, number).await?)),
                None => None,
            };
            let number = last.unwrap_or(0) + 1;
            let evidence = Evidence { number, previous, deed: deed.clone(), unknown: mark.clone() };
            let key = layout::evidence_record(database, number);
            let json = serde_json::to_vec_pretty(&evidence);
            let json = json.map_err(|error| RepoError::storage("write", &key, error))?;
            if self.store().create(&key, json.into()).await?.known()?.is_none() {
                return Ok(evidence);
            }
        }
        Err(RepoError::storage("add a record to", layout::evidence(database), "others were always faster"))
    }

    async fn evidence_numbers(&self, database: &DatabaseName) -> Result<Vec<u64>, RepoError> {
        let listed = self.store().list(&layout::evidence(database)).await?;
        let number = |key: &str| layout::last(key).strip_suffix(".json")?.parse().ok();
        let mut numbers: Vec<u64> = listed.iter().filter_map(|found| number(&found.key)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    async fn evidence_bytes(&self, database: &DatabaseName, number: u64) -> Result<Bytes, RepoError> {
        let key = layout::evidence_record(database, number);
        let bytes = self.store().read(&key, RECORD_BYTES).await?;
        bytes.ok_or_else(|| RepoError::corrupt(key, "it is missing"))
    }
}

fn parse(number: u64, bytes: &[u8]) -> Result<Evidence, String> {
    let record: Evidence = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if record.number == number { Ok(record) } else { Err(format!("it says that it is number {}", record.number)) }
}

/// Whether `record` follows the bytes that stand before it.
fn follows(record: &Evidence, previous: Option<(u64, Digest)>) -> Result<(), String> {
    match previous {
        Some((before, _)) if before + 1 != record.number => {
            Err(format!("its predecessor, number {}, is missing", record.number - 1))
        }
        Some((_, digest)) if record.previous != Some(digest) => {
            Err("it follows other bytes than stand before it".into())
        }
        Some(_) | None => Ok(()),
    }
}
