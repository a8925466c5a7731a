//! A control: partial credit of the same sizes, for other failures.

use serde::{Deserialize, Serialize};

use crate::measure::{Matrix, Similarity, SimilarityError};
use crate::ngram::Ngram;

/// Gives each failed program the n-gram similarities of the group's next failed program. The failures of a
/// group earn the same sum, but not for likeness. It is a control of this project: if shaping helps because
/// it rewards similar code, this helps less. A group with a single failure keeps its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permuted {}

impl Similarity for Permuted {
    fn matrix(&self, rows: &[&str], columns: &[&str]) -> Result<Matrix, SimilarityError> {
        let mut matrix = Ngram::default().matrix(rows, columns)?;
        if !matrix.is_empty() {
            matrix.rotate_left(1);
        }
        Ok(matrix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_earns_what_another_one_should() {
        let rows = ["a = 1 + 2", "print(x)", "a = 1 + 2 * 3"];
        let columns = ["a = 1 + 2"];
        let right = Ngram::default().matrix(&rows, &columns).expect("offline");
        let found = Permuted::default().matrix(&rows, &columns).expect("offline");
        assert_eq!(found, [right[1].clone(), right[2].clone(), right[0].clone()]);
        assert_ne!(found, right);
        assert!(Permuted::default().matrix(&[], &columns).expect("offline").is_empty());
    }
}
