//! A checksum of a table's content that does not depend on the order of its rows, for engines sort differently.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::{Field, Record};

/// Number of rows, and the sum of their SHA-256 hashes modulo 2^256 (AdHash; Bellare and Micciancio, "A New Paradigm for
/// Collision-Free Hashing", 1997). Finds what got lost, doubled or changed; it is no protection against forgery.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Digest {
    pub rows: u64,
    low: u128,
    high: u128,
}

impl Digest {
    pub fn add(&mut self, record: &Record) {
        let mut hash = Sha256::new();
        for field in record {
            // The length stands before what has none of its own, so that no two rows are written alike.
            match field {
                Field::Null => hash.update([0]),
                Field::Int(number) => {
                    hash.update([1]);
                    hash.update(number.to_be_bytes());
                }
                Field::Float(number) => {
                    hash.update([2]);
                    hash.update(number.to_bits().to_be_bytes());
                }
                Field::Text(text) => sized(&mut hash, 3, text.as_bytes()),
                Field::Bytes(bytes) => sized(&mut hash, 4, bytes),
            }
        }
        let hash: [u8; 32] = hash.finalize().into();
        let (high, low) = hash.split_at(16);
        let number = |half: &[u8]| half.iter().fold(0_u128, |number, byte| (number << 8) | u128::from(*byte));
        let (low, carry) = self.low.overflowing_add(number(low));
        self.low = low;
        self.high = self.high.wrapping_add(number(high)).wrapping_add(u128::from(carry));
        self.rows += 1;
    }

    /// 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        let mut text = String::with_capacity(64);
        // Writing to a String cannot fail.
        let _ = write!(text, "{:032x}{:032x}", self.high, self.low);
        text
    }
}

fn sized(hash: &mut Sha256, tag: u8, bytes: &[u8]) {
    hash.update([tag]);
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(records: &[Record]) -> Digest {
        let mut digest = Digest::default();
        for record in records {
            digest.add(record);
        }
        digest
    }

    #[test]
    fn order_does_not_count_and_everything_else_does() {
        let a = vec![Field::Int(1), Field::Text("ab".into())];
        let b = vec![Field::Null, Field::Bytes(vec![1, 2])];
        let both = digest(&[a.clone(), b.clone()]);
        assert_eq!(both, digest(&[b.clone(), a.clone()]));
        assert_eq!(both.rows, 2);
        assert_eq!(both.hex().len(), 64);
        for other in [
            vec![a.clone()],
            vec![a.clone(), a.clone()],
            vec![a.clone(), b.clone(), b.clone()],
            vec![a.clone(), vec![Field::Null, Field::Text("\u{1}\u{2}".into())]],
            vec![a.clone(), vec![Field::Int(0), Field::Bytes(vec![1, 2])]],
            vec![vec![Field::Int(1), Field::Text("ba".into())], b],
        ] {
            assert_ne!(both.hex(), digest(&other).hex(), "{other:?}");
        }
        let split = digest(&[vec![Field::Text("a".into()), Field::Text("bc".into())]]);
        assert_ne!(split, digest(&[vec![Field::Text("ab".into()), Field::Text("c".into())]]));
    }
}
