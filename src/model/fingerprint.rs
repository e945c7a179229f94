//! What a table's content adds up to, whatever the order of its rows.

use std::fmt;
use std::ops::AddAssign;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The number of rows, and the sum modulo 2^128 of the XXH3-128 of each row's canonical bytes.
///
/// Independent of the order of rows, and additive: spans of a table are fingerprinted apart and summed.
/// Equal fingerprints mean that every row came back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Fingerprint {
    /// Rows that were added.
    pub rows: u64,
    /// Sum of their XXH3-128 values, 32 hexadecimal digits when stored.
    #[serde(rename = "fingerprint")]
    pub sum: RowSum,
}

/// A sum of row hashes modulo 2^128.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(with = "String"))]
pub struct RowSum(pub u128);

/// A text that is not 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a fingerprint")]
pub struct InvalidFingerprint;

impl Fingerprint {
    /// Adds one row by the XXH3-128 of its canonical bytes.
    pub fn add_row(&mut self, hash: u128) {
        self.rows += 1;
        self.sum.0 = self.sum.0.wrapping_add(hash);
    }
}

impl AddAssign for Fingerprint {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.sum.0 = self.sum.0.wrapping_add(other.sum.0);
    }
}

impl fmt::Display for RowSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for RowSum {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, InvalidFingerprint> {
        let hexadecimal = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let sum = hexadecimal.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        sum.map(Self).ok_or(InvalidFingerprint)
    }
}

impl TryFrom<String> for RowSum {
    type Error = InvalidFingerprint;

    fn try_from(text: String) -> Result<Self, InvalidFingerprint> {
        text.parse()
    }
}

impl From<RowSum> for String {
    fn from(sum: RowSum) -> Self {
        sum.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_grouping_do_not_matter() {
        let rows = [3, u128::MAX, 7, u128::MAX - 1];
        let mut forward = Fingerprint::default();
        rows.iter().for_each(|&hash| forward.add_row(hash));
        let (mut left, mut right) = (Fingerprint::default(), Fingerprint::default());
        rows[2..].iter().rev().for_each(|&hash| left.add_row(hash));
        rows[..2].iter().rev().for_each(|&hash| right.add_row(hash));
        left += right;
        assert_eq!(left, forward);
    }

    #[test]
    fn a_lost_or_changed_row_shows() {
        let (mut whole, mut lost, mut changed) = <(Fingerprint, Fingerprint, Fingerprint)>::default();
        [1, 2].iter().for_each(|&hash| whole.add_row(hash));
        lost.add_row(1);
        [1, 3].iter().for_each(|&hash| changed.add_row(hash));
        assert_ne!(whole, lost);
        assert_ne!(whole, changed);
    }

    #[test]
    fn shown_and_parsed_are_one() {
        let sum = RowSum(u128::MAX / 3);
        assert_eq!(sum.to_string().parse(), Ok(sum));
        assert!("+0000000000000000000000000000001".parse::<RowSum>().is_err());
        assert!("12".parse::<RowSum>().is_err());
    }
}
