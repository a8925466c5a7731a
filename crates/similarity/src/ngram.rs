//! Cosine similarity of hashed token n-gram counts.

use std::hash::Hasher;

use fnv::FnvHasher;
use serde::{Deserialize, Serialize};
use turnwise_runfile::Within;

use crate::measure::{Matrix, Similarity, SimilarityError};
use crate::tokens::tokens;

/// Compares programs by the cosine of their token n-gram counts, for lengths from 1 to `n`. N-grams are
/// hashed into `buckets` dimensions, so two programs compare in microseconds without a vocabulary. The paper
/// (arXiv:2511.14846 §3.4) uses a hosted text-embedding model; this measure replaces it offline and gives the
/// same number everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ngram {
    /// Longest n-gram, in tokens.
    #[serde(deserialize_with = "Within::<1, 64>::read")]
    pub n: std::num::NonZeroUsize,
    /// Number of buckets that n-grams are hashed into.
    #[serde(deserialize_with = "Within::<1, 16_777_216>::read")]
    pub buckets: std::num::NonZeroUsize,
}

impl Default for Ngram {
    fn default() -> Self {
        let number = |n| std::num::NonZeroUsize::new(n).expect("a positive number");
        Self { n: number(3), buckets: number(1 << 15) }
    }
}

impl Similarity for Ngram {
    fn matrix(&self, rows: &[&str], columns: &[&str]) -> Result<Matrix, SimilarityError> {
        let mut dense = vec![0.0; self.buckets.get()];
        let columns: Vec<Counts> = columns.iter().map(|code| self.counts(code, &mut dense)).collect();
        Ok(rows
            .iter()
            .map(|code| {
                let row = self.counts(code, &mut dense);
                row.cosines(&columns, &mut dense)
            })
            .collect())
    }
}

/// Holds a sparse unit vector: bucket and value, each bucket once.
struct Counts(Vec<(u32, f64)>);

impl Ngram {
    /// Returns counts of a program's n-grams as a unit vector. `dense` holds zeros before and after: summing
    /// there and reading the touched entries is several times faster than sorting the hashes.
    fn counts(self, code: &str, dense: &mut [f64]) -> Counts {
        let hashes: Vec<u64> = tokens(code).into_iter().map(token_hash).collect();
        let mut touched: Vec<u32> = Vec::with_capacity(self.n.get() * hashes.len());
        for n in 1..=self.n.get() {
            for gram in hashes.windows(n) {
                let bucket = gram_hash(gram) as usize % self.buckets;
                if dense[bucket] == 0.0 {
                    touched.push(bucket as u32);
                }
                dense[bucket] += 1.0;
            }
        }
        let take = |bucket: u32| (bucket, std::mem::take(&mut dense[bucket as usize]));
        let mut counts: Vec<(u32, f64)> = touched.into_iter().map(take).collect();
        let norm = counts.iter().map(|(_, c)| c * c).sum::<f64>().sqrt();
        for (_, count) in &mut counts {
            *count /= norm;
        }
        Counts(counts)
    }
}

impl Counts {
    /// Returns dot products of unit vectors with positive entries: in `[0, 1]`, 0 if either is empty. `dense`
    /// holds zeros before and after.
    fn cosines(&self, others: &[Counts], dense: &mut [f64]) -> Vec<f64> {
        for (bucket, value) in &self.0 {
            dense[*bucket as usize] = *value;
        }
        let dot = |other: &Counts| {
            other.0.iter().map(|(bucket, value)| dense[*bucket as usize] * value).sum::<f64>()
        };
        let cosines = others.iter().map(|other| dot(other).min(1.0)).collect();
        for (bucket, _) in &self.0 {
            dense[*bucket as usize] = 0.0;
        }
        cosines
    }
}

/// The prime of FNV-1a with 64 bits.
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// Returns the FNV-1a hash of a token. Hashes are part of recorded rewards, and the standard library's hasher
/// may change between releases.
fn token_hash(token: &str) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(token.as_bytes());
    hasher.finish()
}

/// Folds whole token hashes by FNV-1a, then applies the finaliser of MurmurHash3 (public domain). FNV alone
/// moves few of the bits between its multiplications: of tokens with one character, `i` and `)` would always
/// share a bucket.
/// a bucket.
fn gram_hash(gram: &[u64]) -> u64 {
    let folded = gram.iter().fold(0, |h: u64, token| (h.rotate_left(31) ^ token).wrapping_mul(FNV_PRIME));
    let mixed = (folded ^ (folded >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn similarity(a: &str, b: &str) -> f64 {
        Ngram::default().matrix(&[a], &[b]).expect("offline")[0][0]
    }

    #[test]
    fn one_for_equal_code_zero_for_none() {
        assert!((similarity("print(1 + 2)", "print( 1+2 )") - 1.0).abs() < 1e-12);
        assert_eq!(similarity("", "print(1)"), 0.0);
        assert_eq!(similarity("", ""), 0.0);
        assert_eq!(similarity("alpha beta", "gamma delta"), 0.0);
    }

    /// Most tokens of a program are short. A measure that confused them would find all programs alike.
    #[test]
    fn short_tokens_have_buckets_of_their_own() {
        let signs = (b'!'..=b'~').map(|sign| char::from(sign).to_string());
        let tokens: Vec<String> = signs.chain((10..100).map(|number: u8| number.to_string())).collect();
        let bucket = |token: &String| gram_hash(&[token_hash(token)]) % 32_768;
        let buckets: std::collections::HashSet<u64> = tokens.iter().map(bucket).collect();
        assert_eq!(buckets.len(), tokens.len());
    }

    #[test]
    fn counts_of_all_lengths_are_compared() {
        // Grams of "a b": a, b, ab; of "b a": a, b, ba. Two of three are shared.
        assert!((similarity("a b", "b a") - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn nearer_code_is_more_similar() {
        let right = "total = sum(x * 2 for x in values)\nprint(total)";
        let near = "total = sum(x * 3 for x in values)\nprint(total)";
        let far = "import os\nos.listdir('.')";
        assert!(similarity(right, near) > 0.7);
        assert!(similarity(right, near) > similarity(right, far));
    }
}
