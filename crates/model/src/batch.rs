//! Token sequences of different lengths as one rectangle, padded on the right.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// `B` rows of up to `T` tokens. Padding lies on the right, where a causal model can't look at it.
#[derive(Debug, Clone)]
pub struct TokenBatch {
    /// Tokens row by row, `B·T` of them; padding holds token 0.
    pub tokens: Vec<u32>,
    /// Real tokens of each row, at most `T`.
    pub lengths: Vec<usize>,
    /// `T`.
    pub columns: usize,
}

impl TokenBatch {
    /// Puts the rows side by side.
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

    /// `B`.
    pub fn rows(&self) -> usize {
        self.lengths.len()
    }

    /// The tokens as `[B, T]`.
    pub fn tensor(&self, device: &Device) -> Tensor<2, Int> {
        let ids: Vec<i32> = self.tokens.iter().map(|&t| t as i32).collect();
        Tensor::from_data(TensorData::new(ids, [self.rows(), self.columns]), device)
    }
}
