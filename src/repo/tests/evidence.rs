//! A damaged record is named, costs only what it said, and never stands in the way of the next.

use super::*;
use crate::model::evidence::{Evidence, LostRecord};

/// A repository with records 1 to 4 about one snapshot; gives the bytes of each.
async fn four_records() -> (Repository, Watch, Committed, Vec<Bytes>) {
    let (_, repo, watch, _) = memory().await;
    let committed = backup(&repo, &watch).await.unwrap();
    for _ in 0..3 {
        repo.record(&database(), deed(&committed.id, committed.manifest_digest, &watch)).await.unwrap();
    }
    let mut stored = Vec::new();
    for number in 1..=4 {
        let key = layout::evidence_record(&database(), number);
        stored.push(repo.store().read(&key, 1 << 20).await.unwrap().unwrap());
    }
    (repo, watch, committed, stored)
}

async fn put(repo: &Repository, number: u64, bytes: Vec<u8>) {
    let key = layout::evidence_record(&database(), number);
    repo.store().put(&key, vec![bytes.into()]).await.unwrap();
}

fn lost(records: &Records) -> Vec<u64> {
    records.lost.iter().map(|lost| lost.number).collect()
}

fn intact(records: &[Evidence]) -> Vec<u64> {
    records.iter().map(|record| record.number).collect()
}

#[tokio::test]
async fn every_flipped_byte_of_a_record_is_noticed_or_does_no_harm() {
    let (repo, _, _, stored) = four_records().await;
    let good = repo.evidence(&database()).await.unwrap();
    assert_eq!((lost(&good), intact(&good.intact)), (vec![], vec![1, 2, 3, 4]));
    for number in [1, 2, 4] {
        let bytes = &stored[number as usize - 1];
        for at in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1 << (at % 8);
            put(&repo, number, damaged).await;
            let records = repo.evidence(&database()).await.unwrap();
            // The last one has no successor yet that would notice a changed blank, or the name of the digest.
            let harmless = number == 4 && records.intact.iter().zip(&good.intact).all(|(a, b)| a.deed == b.deed);
            assert!(
                lost(&records) == [number] || harmless,
                "the checker is broken: byte {at} of {number}: {records:?}"
            );
        }
        put(&repo, number, bytes.to_vec()).await;
    }
    assert_eq!(repo.evidence(&database()).await.unwrap(), good);
}

#[tokio::test]
async fn cut_missing_and_huge_records_are_lost_and_the_next_one_follows() {
    for (number, bytes) in [(1, Vec::new()), (3, b"{".to_vec()), (4, vec![b' '; 2 << 20]), (4, b"[1]".to_vec())] {
        let (repo, watch, committed, _) = four_records().await;
        put(&repo, number, bytes).await;
        let records = repo.evidence(&database()).await.unwrap();
        assert_eq!(lost(&records), [number]);
        assert_eq!(records.intact.len(), 3);
        let next = repo.record(&database(), deed(&committed.id, committed.manifest_digest, &watch)).await.unwrap();
        assert_eq!(next.number, 5);
        let records = repo.evidence(&database()).await.unwrap();
        assert_eq!((lost(&records), records.intact.len()), (vec![number], 4));
    }
    let (repo, ..) = four_records().await;
    for (number, now_lost) in [(3, vec![3]), (1, vec![1, 3]), (2, vec![3])] {
        repo.store().delete(&layout::evidence_record(&database(), number)).await.unwrap();
        assert_eq!(lost(&repo.evidence(&database()).await.unwrap()), now_lost, "{number} is missing");
    }
}

#[tokio::test]
async fn a_planted_number_stops_nothing() {
    let (repo, watch, committed, _) = four_records().await;
    put(&repo, u64::MAX, b"{}".to_vec()).await;
    assert_eq!(repo.evidence(&database()).await.unwrap().intact.len(), 4);
    let refused = repo.record(&database(), deed(&committed.id, committed.manifest_digest, &watch)).await;
    assert!(matches!(refused, Err(RepoError::Corrupt { .. })), "{refused:?}");
}

#[tokio::test]
async fn what_was_verified_before_a_lost_record_counts_no_more_until_it_is_again() {
    let (repo, watch, committed, _) = four_records().await;
    let digest = committed.manifest_digest;
    put(&repo, 4, b"?".to_vec()).await;
    let records = repo.evidence(&database()).await.unwrap();
    assert!(matches!(records.doubt(digest), Some(LostRecord { number: 4, .. })));
    assert!(!records.proof(digest).is_verified());
    repo.record(&database(), deed(&committed.id, digest, &watch)).await.unwrap();
    let records = repo.evidence(&database()).await.unwrap();
    assert_eq!(records.doubt(digest), None);
    assert!(records.proof(digest).is_verified());
}

#[tokio::test]
async fn records_of_the_first_dbops_have_no_digest() {
    let (repo, _, _, stored) = four_records().await;
    let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&stored[3]).unwrap();
    fields.remove("digest").unwrap();
    put(&repo, 4, serde_json::to_vec(&fields).unwrap()).await;
    assert_eq!(repo.evidence(&database()).await.unwrap().intact.len(), 4);
}

#[tokio::test]
async fn a_record_too_large_to_be_read_again_is_not_written() {
    let (_, repo, watch, _) = memory().await;
    let committed = backup(&repo, &watch).await.unwrap();
    let findings = vec![Finding::corrupt("x", "y".repeat(2 << 20))];
    let long = Deed { findings, ..deed(&committed.id, committed.manifest_digest, &watch) };
    assert!(matches!(repo.record(&database(), long).await, Err(RepoError::TooLarge { .. })));
    assert_eq!(repo.evidence_end(&database()).await.unwrap(), 1);
}
