//! Cosine similarity of hashed token n-gram counts.

use serde::{Deserialize, Serialize};

use super::{Matrix, Similarity, SimilarityError, tokens::tokens};

/// Cosine of term-frequency vectors over token n-grams of length 1 to `n`, hashed into `buckets` dimensions
/// so that two programs compare in microseconds without a vocabulary. The paper (arXiv:2511.14846 §3.4) uses a
/// hosted text-embedding model; this measure stands in for it offline and gives the same number everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ngram {
    /// Longest n-gram, in tokens; at least 1.
    pub n: std::num::NonZeroUsize,
    /// Dimensions that n-grams are hashed into; at least 1.
    pub buckets: std::num::NonZeroUsize,
}

impl Default for Ngram {
    fn default() -> Self {
        let number = |n| std::num::NonZeroUsize::new(n).expect("a positive number");
        Self { n: number(3), buckets: number(1 << 16) }
    }
}

impl Similarity for Ngram {
    fn matrix(&self, rows: &[&str], columns: &[&str]) -> Result<Matrix, SimilarityError> {
        let columns: Vec<Counts> = columns.iter().map(|code| self.counts(code)).collect();
        Ok(rows
            .iter()
            .map(|code| {
                let row = self.counts(code);
                columns.iter().map(|column| row.cosine(column)).collect()
            })
            .collect())
    }
}

/// A sparse unit vector: bucket and value, ordered by bucket.
struct Counts(Vec<(usize, f64)>);

impl Ngram {
    fn counts(self, code: &str) -> Counts {
        let tokens = tokens(code);
        let mut hits = Vec::new();
        for n in 1..=self.n.get() {
            hits.extend(tokens.windows(n).map(|gram| hash(gram) as usize % self.buckets));
        }
        hits.sort_unstable();
        let mut counts: Vec<(usize, f64)> = Vec::new();
        for hit in hits {
            match counts.last_mut() {
                Some((bucket, count)) if *bucket == hit => *count += 1.0,
                _ => counts.push((hit, 1.0)),
            }
        }
        let norm = counts.iter().map(|(_, c)| c * c).sum::<f64>().sqrt();
        for (_, count) in &mut counts {
            *count /= norm;
        }
        Counts(counts)
    }
}

impl Counts {
    /// Dot product of unit vectors whose entries are positive: in `[0, 1]`, 0 if either is empty.
    fn cosine(&self, other: &Counts) -> f64 {
        let (mut a, mut b) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut dot = 0.0;
        while let (Some((i, x)), Some((j, y))) = (a.peek(), b.peek()) {
            match i.cmp(j) {
                std::cmp::Ordering::Less => _ = a.next(),
                std::cmp::Ordering::Greater => _ = b.next(),
                std::cmp::Ordering::Equal => {
                    dot += x * y;
                    a.next();
                    b.next();
                }
            }
        }
        dot.min(1.0)
    }
}

/// FNV-1a over the tokens with a separator. Written out because its values are part of recorded rewards:
/// the standard library's hasher may change between releases.
fn hash(gram: &[&str]) -> u64 {
    let bytes = gram.iter().flat_map(|token| token.bytes().chain(std::iter::once(0xff)));
    bytes.fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
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
