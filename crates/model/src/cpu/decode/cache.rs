//! Keys and values of one sequence on the host.

/// Memory grows in steps of this many tokens, which bounds the unused part.
const STEP: usize = 64;

/// Holds keys and values of one sequence: `[layer][token, K·D]`.
#[derive(Debug, Clone, Default)]
pub struct HostCache {
    pub(super) layers: Vec<(Vec<f32>, Vec<f32>)>,
    pub(super) length: usize,
}

impl HostCache {
    /// Returns the number of tokens.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Keeps only the first `length` tokens.
    ///
    /// # Panics
    /// If it holds fewer.
    pub fn truncate(&mut self, length: usize) {
        assert!(length <= self.length, "a cache can only forget what it holds");
        let held = self.length;
        for column in self.layers.iter_mut().flat_map(|(keys, values)| [keys, values]) {
            let width = column.len() / held.max(1);
            column.truncate(length * width);
        }
        self.length = length;
    }

    /// Copies the first `length` tokens.
    ///
    /// # Panics
    /// If it holds fewer.
    #[must_use]
    pub fn beginning(&self, length: usize) -> Self {
        assert!(length <= self.length, "a cache can only give what it holds");
        let of = |column: &Vec<f32>| column[..length * (column.len() / self.length.max(1))].to_vec();
        let layers = self.layers.iter().map(|(keys, values)| (of(keys), of(values))).collect();
        Self { layers, length }
    }

    /// Makes room for `more` tokens in layers of these widths.
    pub(super) fn reserve(&mut self, widths: &[usize], more: usize) {
        self.layers.resize_with(widths.len(), Default::default);
        let tokens = (self.length + more).next_multiple_of(STEP);
        for ((keys, values), width) in self.layers.iter_mut().zip(widths) {
            for column in [keys, values] {
                if column.len() + more * width > column.capacity() {
                    column.reserve_exact(tokens * width - column.len());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_that_of_the_tokens_to_the_next_step() {
        let mut cache = HostCache::default();
        for length in 1..200 {
            cache.reserve(&[3, 3], 1);
            for column in cache.layers.iter_mut().flat_map(|(keys, values)| [keys, values]) {
                column.extend([length as f32; 3]);
                assert!(column.capacity() <= 3 * usize::next_multiple_of(length, STEP), "{length} tokens");
            }
            cache.length = length;
        }
        let mut first = cache.beginning(70);
        first.truncate(40);
        assert_eq!((first.length(), first.layers[1].1.len(), cache.length()), (40, 120, 199));
        assert_eq!(first.layers[0].0, cache.layers[0].0[..120]);
    }
}
