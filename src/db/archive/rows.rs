//! Rows of a table as CSV, and what they come to.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::kernel::page::hex;

/// How much there is of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableTotal {
    /// Its rows.
    pub rows: u64,
    /// The sum of the SHA-256 of each row's line, modulo 2^256, in hexadecimal digits: the same in
    /// whatever order the rows are.
    pub digest: String,
}

/// What rows come to so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    rows: u64,
    /// The sum, the highest bits first.
    sum: [u64; 4],
}

impl Tally {
    /// Adds rows; false where the text does not end with one.
    pub(super) fn add(&mut self, text: &[u8]) -> bool {
        each_row(text, |row| {
            self.rows = self.rows.saturating_add(1);
            let hash: [u8; 32] = Sha256::digest(row).into();
            let (words, _) = hash.as_chunks::<8>();
            let mut carry = false;
            for (sum, word) in self.sum.iter_mut().zip(words).rev() {
                let (more, over) = sum.overflowing_add(u64::from_be_bytes(*word));
                let (more, again) = more.overflowing_add(u64::from(carry));
                (*sum, carry) = (more, over || again);
            }
        })
    }

    pub(super) fn total(&self) -> TableTotal {
        TableTotal {
            rows: self.rows,
            digest: hex(&self.sum.map(u64::to_be_bytes).concat()),
        }
    }
}

/// Calls `each` with every line of a CSV text, its end included; whether the text ends with one. Within
/// quotes a line's end is part of a value, and a quote itself is written twice.
fn each_row(text: &[u8], mut each: impl FnMut(&[u8])) -> bool {
    let (mut quoted, mut start) = (false, 0);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => {
                each(text.get(start..=at).unwrap_or_default());
                start = at.saturating_add(1);
            }
            _ => {}
        }
    }
    start == text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_knows_no_order_but_each_byte_and_each_row() {
        let total = |text: &str| {
            let mut tally = Tally::default();
            assert!(tally.add(text.as_bytes()), "{text}");
            tally.total()
        };
        assert_eq!(total("a,1\nb,\"x\ny\"\n"), total("b,\"x\ny\"\na,1\n"));
        assert_eq!(total("a,\"x\ny\"\n").rows, 1);
        assert_ne!(total("a\nb\n"), total("a\nc\n"));
        assert_ne!(total("a\na\n"), total("a\n"));
        // As anybody else adds: SHA-256 of "a\n" twice, modulo 2^256.
        assert_eq!(
            total("a\na\n").digest,
            "0e851f8a45007a620cbcf79c79e07fc8ea12cc63cbc0f77af41fbcc1899e4b8e"
        );
        assert!(!Tally::default().add(b"a,\"x\n"));
    }
}
