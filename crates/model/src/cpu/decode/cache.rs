//! Keys, values and states of one sequence on the host.

/// Memory grows in steps of this many tokens, which bounds the unused part.
const STEP: usize = 64;

/// Holds keys and values of one sequence, `[layer][token, K·D]`, and states behind its last token.
#[derive(Debug, Clone, Default)]
pub struct HostCache {
    pub(super) layers: Vec<(Vec<f32>, Vec<f32>)>,
    /// `[layer][width]`; a layer of attention has none.
    pub(super) states: Vec<Vec<f32>>,
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
    /// If it holds fewer, or `length` is neither that number nor 0 and the cache has states.
    pub fn truncate(&mut self, length: usize) {
        assert!(length <= self.length, "a cache can only forget what it holds");
        if length != self.length {
            assert!(length == 0 || !self.is_stateful(), "a state holds for the last token alone");
            self.states.iter_mut().for_each(|state| state.fill(0.0));
        }
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
    /// If it holds fewer, or more while it has states.
    #[must_use]
    pub fn beginning(&self, length: usize) -> Self {
        assert!(length <= self.length, "a cache can only give what it holds");
        let whole = length == self.length;
        assert!(whole || !self.is_stateful(), "a state holds for the last token alone");
        let of = |column: &Vec<f32>| column[..length * (column.len() / self.length.max(1))].to_vec();
        let layers = self.layers.iter().map(|(keys, values)| (of(keys), of(values))).collect();
        Self { layers, states: self.states.clone(), length }
    }

    fn is_stateful(&self) -> bool {
        self.states.iter().any(|state| !state.is_empty())
    }

    /// Makes room for `more` tokens in layers whose keys and whose states have these widths.
    pub(super) fn reserve(&mut self, widths: &[[usize; 2]], more: usize) {
        self.layers.resize_with(widths.len(), Default::default);
        self.states.resize_with(widths.len(), Default::default);
        for (state, [_, width]) in self.states.iter_mut().zip(widths) {
            state.resize(*width, 0.0);
        }
        let tokens = (self.length + more).next_multiple_of(STEP);
        for ((keys, values), [width, _]) in self.layers.iter_mut().zip(widths) {
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
            cache.reserve(&[[3, 0], [3, 0]], 1);
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

    #[test]
    fn a_state_is_that_of_the_last_token_or_none() {
        let mut cache = HostCache::default();
        cache.reserve(&[[0, 2], [1, 0]], 3);
        cache.states[0].copy_from_slice(&[1.0, 2.0]);
        cache.length = 3;
        assert_eq!(cache.beginning(3).states, cache.states);
        cache.truncate(3);
        assert_eq!(cache.states[0], [1.0, 2.0]);
        cache.truncate(0);
        assert_eq!(cache.states[0], [0.0, 0.0]);
    }
}
