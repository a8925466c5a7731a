//! Token sequences of different lengths that go through the model together.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Holds `B` rows of up to `T` tokens.
///
/// Padding is on the right, where causal attention can't see it. Attention that takes rows of any lengths
/// never gets it.
#[derive(Debug, Clone)]
pub struct TokenBatch {
    /// Tokens row by row, `B·T` of them; padding is token 0.
    pub tokens: Vec<u32>,
    /// Tokens of each row without padding, at most `T`.
    pub lengths: Vec<usize>,
    /// Columns, `T`.
    pub columns: usize,
}

impl TokenBatch {
    /// Pads the rows to the longest.
    ///
    /// # Panics
    /// If there is no row.
    pub fn new<R: AsRef<[u32]>>(rows: &[R]) -> Self {
        assert!(!rows.is_empty(), "a batch has at least one row");
        let lengths: Vec<usize> = rows.iter().map(|row| row.as_ref().len()).collect();
        let columns = lengths.iter().copied().max().unwrap_or(0).max(1);
        let mut tokens = Vec::with_capacity(rows.len() * columns);
        for row in rows {
            tokens.extend_from_slice(row.as_ref());
            tokens.resize(tokens.len() + columns - row.as_ref().len(), 0);
        }
        Self { tokens, lengths, columns }
    }

    /// Returns the number of rows, `B`.
    pub fn rows(&self) -> usize {
        self.lengths.len()
    }

    /// Returns the index of every row's first cell; `packed` leaves padding out.
    pub(crate) fn starts(&self, packed: bool) -> Vec<usize> {
        let width = |row: usize| if packed { self.lengths[row] } else { self.columns };
        (0..self.rows()).scan(0, |end, row| Some(std::mem::replace(end, *end + width(row)))).collect()
    }

    /// Returns the tokens of all cells; `packed` leaves padding out.
    pub(crate) fn cells(&self, packed: bool, device: &Device) -> Tensor<1, Int> {
        let rows = self.tokens.chunks_exact(self.columns).zip(&self.lengths);
        let width = |length: usize| if packed { length } else { self.columns };
        let ids: Vec<i32> =
            rows.flat_map(|(row, &length)| &row[..width(length)]).map(|&token| token as i32).collect();
        let count = ids.len();
        Tensor::from_data(TensorData::new(ids, [count]), device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_packed_or_padded() {
        let batch = TokenBatch::new(&[vec![1, 2, 3], vec![], vec![4]]);
        for (packed, starts) in [(true, [0, 3, 3]), (false, [0, 3, 6])] {
            assert_eq!(batch.starts(packed), starts);
        }
    }
}
