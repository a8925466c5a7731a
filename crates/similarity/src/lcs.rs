//! Longest common subsequence of tokens, normalised.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::measure::{Matrix, Similarity, SimilarityError};
use crate::tokens::tokens;

/// Divides the length of the longest common subsequence of tokens by that of the longer program. Unlike
/// n-gram counts it respects order over any distance; it costs `tokens² / 64` operations per pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lcs {}

impl Similarity for Lcs {
    fn matrix(&self, rows: &[&str], columns: &[&str]) -> Result<Matrix, SimilarityError> {
        let columns: Vec<Vec<&str>> = columns.iter().map(|code| tokens(code)).collect();
        let row = |code: &&str| {
            let pattern = Pattern::new(&tokens(code));
            columns.iter().map(|column| pattern.similarity(column)).collect()
        };
        Ok(rows.iter().map(row).collect())
    }
}

/// Holds the tokens of one program as bit rows: bit `i` of a token's row is set if token `i` equals it.
struct Pattern<'a> {
    length: usize,
    positions: HashMap<&'a str, Vec<u64>>,
}

impl<'a> Pattern<'a> {
    fn new(tokens: &[&'a str]) -> Self {
        let mut positions = HashMap::new();
        for (i, token) in tokens.iter().enumerate() {
            let row: &mut Vec<u64> =
                positions.entry(*token).or_insert_with(|| vec![0; tokens.len().div_ceil(64)]);
            row[i / 64] |= 1 << (i % 64);
        }
        Self { length: tokens.len(), positions }
    }

    fn similarity(&self, text: &[&str]) -> f64 {
        let longer = self.length.max(text.len());
        if longer == 0 { 0.0 } else { self.common(text) as f64 / longer as f64 }
    }

    /// Returns the length of the longest common subsequence, 64 cells of a row at a time (Hyyrö 2004). A 0
    /// bit marks where the row of the usual table grows by one, and each token of the text carries into the
    /// next row.
    fn common(&self, text: &[&str]) -> usize {
        let mut row = vec![u64::MAX; self.length.div_ceil(64)];
        for matches in text.iter().filter_map(|token| self.positions.get(token)) {
            let mut carry = false;
            for (word, matches) in row.iter_mut().zip(matches) {
                let hit = *word & matches;
                let (sum, first) = word.overflowing_add(hit);
                let (sum, second) = sum.overflowing_add(u64::from(carry));
                carry = first || second;
                *word = sum | (*word - hit);
            }
        }
        (0..self.length).filter(|i| row[i / 64] >> (i % 64) & 1 == 0).count()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Computes the textbook table.
    fn naive(a: &[&str], b: &[&str]) -> usize {
        let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
        for (i, x) in a.iter().enumerate() {
            for (j, y) in b.iter().enumerate() {
                table[i + 1][j + 1] =
                    if x == y { table[i][j] + 1 } else { table[i][j + 1].max(table[i + 1][j]) };
            }
        }
        table[a.len()][b.len()]
    }

    #[test]
    fn share_of_the_longer_program_in_order() {
        let check = |a: &str, b: &str, expect: f64| {
            let similarity = Lcs::default().matrix(&[a], &[b]).expect("offline")[0][0];
            assert!((similarity - expect).abs() < 1e-12, "{a:?} and {b:?}: {similarity}");
        };
        check("print(1)", "print( 1 )", 1.0);
        check("a b c d", "a c e d", 0.75);
        check("a b", "b a", 0.5);
        check("a", "a b c d", 0.25);
        check("", "a", 0.0);
        check("", "", 0.0);
    }

    proptest! {
        #[test]
        fn bit_rows_give_the_textbook_length(a in "[abc]{0,150}", b in "[abcd]{0,150}") {
            let letters = |s: &str| s.chars().map(|c| c.to_string()).collect::<Vec<_>>();
            let (a, b) = (letters(&a), letters(&b));
            let (a, b): (Vec<&str>, Vec<&str>) =
                (a.iter().map(String::as_str).collect(), b.iter().map(String::as_str).collect());
            prop_assert_eq!(Pattern::new(&a).common(&b), naive(&a, &b));
        }
    }
}
