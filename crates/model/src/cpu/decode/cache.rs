//! Keys, values and states of one sequence on the host.

use std::ops::Range;
use std::sync::Arc;

/// Memory grows in steps of this many tokens, which bounds the unused part.
const STEP: usize = 64;

/// Holds keys and values of a layer, `[token, width]` each: the bits of f32, or pairs of bf16.
type Columns = (Vec<u32>, Vec<u32>);

/// Holds keys and values of one sequence, and states behind its last token.
///
/// The first tokens may be [shared](Self::beginning) with other sequences, such as the prompt of a group.
/// They are then in memory once, and caches of the processor hold them for all.
#[derive(Debug, Clone, Default)]
pub struct HostCache {
    /// `[layer]`, of the first tokens of one or more sequences.
    shared: Arc<Vec<Columns>>,
    /// The number of those tokens that are this sequence's.
    shared_length: usize,
    /// `[layer]`, of the tokens behind.
    layers: Vec<Columns>,
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
        let (held, kept) = (self.length - self.shared_length, length.saturating_sub(self.shared_length));
        for column in self.layers.iter_mut().flat_map(|(keys, values)| [keys, values]) {
            let width = column.len() / held.max(1);
            column.truncate(kept * width);
        }
        self.shared_length = self.shared_length.min(length);
        if self.shared_length == 0 {
            self.shared = Arc::default();
        }
        self.length = length;
    }

    /// Returns a cache of the first `length` tokens, which both share from now on. Tokens behind those that
    /// were shared before are copied.
    ///
    /// # Panics
    /// If it holds fewer, or more while it has states.
    #[must_use]
    pub fn beginning(&mut self, length: usize) -> Self {
        assert!(length <= self.length, "a cache can only give what it holds");
        let whole = length == self.length;
        assert!(whole || !self.is_stateful(), "a state holds for the last token alone");
        if self.shared_length == 0 {
            self.share(length);
        }
        let more = length.saturating_sub(self.shared_length);
        let held = (self.length - self.shared_length).max(1);
        let of = |column: &Vec<u32>| column[..more * (column.len() / held)].to_vec();
        Self {
            shared: self.shared.clone(),
            shared_length: self.shared_length.min(length),
            layers: self.layers.iter().map(|(keys, values)| (of(keys), of(values))).collect(),
            states: self.states.clone(),
            length,
        }
    }

    /// Makes the first `length` tokens ones that can be shared.
    fn share(&mut self, length: usize) {
        let held = self.length.max(1);
        let first = |column: &mut Vec<u32>| {
            let rest = column.split_off(length * (column.len() / held));
            let mut first = std::mem::replace(column, rest);
            first.shrink_to_fit();
            first
        };
        let layers = self.layers.iter_mut().map(|(keys, values)| (first(keys), first(values))).collect();
        (self.shared, self.shared_length) = (Arc::new(layers), length);
    }

    /// Returns keys and values of some tokens of a layer: those of shared tokens, and those behind.
    ///
    /// # Shapes
    /// - returns `[[S, width]; 2]` each
    pub(super) fn columns(&self, layer: usize, tokens: &Range<usize>, width: usize) -> [[&[u32]; 2]; 2] {
        let split = self.shared_length;
        let first = tokens.start.min(split) * width..tokens.end.min(split) * width;
        let rest = tokens.start.saturating_sub(split) * width..tokens.end.saturating_sub(split) * width;
        let shared = self.shared.get(layer).map(|(keys, values)| [&keys[first.clone()], &values[first]]);
        let [shared_keys, shared_values] = shared.unwrap_or_default();
        let (keys, values) = &self.layers[layer];
        [[shared_keys, &keys[rest.clone()]], [shared_values, &values[rest]]]
    }

    /// Appends keys and values of a token to a layer.
    pub(super) fn push(
        &mut self,
        layer: usize,
        keys: impl IntoIterator<Item = u32>,
        values: impl IntoIterator<Item = u32>,
    ) {
        self.layers[layer].0.extend(keys);
        self.layers[layer].1.extend(values);
    }

    fn is_stateful(&self) -> bool {
        self.states.iter().any(|state| !state.is_empty())
    }

    /// Makes room for `more` tokens in layers whose keys and whose states have these entries.
    pub(super) fn reserve(&mut self, widths: &[[usize; 2]], more: usize) {
        self.layers.resize_with(widths.len(), Default::default);
        self.states.resize_with(widths.len(), Default::default);
        for (state, [_, width]) in self.states.iter_mut().zip(widths) {
            state.resize(*width, 0.0);
        }
        let tokens = (self.length - self.shared_length + more).next_multiple_of(STEP);
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

    /// Returns a cache of two layers that holds the given tokens behind what it has.
    fn extended(mut cache: HostCache, tokens: Range<usize>) -> HostCache {
        for token in tokens {
            cache.reserve(&[[3, 0], [3, 0]], 1);
            for layer in 0..2 {
                cache.push(layer, [token as u32; 3], [token as u32 + 1; 3]);
            }
            cache.length += 1;
        }
        cache
    }

    fn tokens(cache: &HostCache) -> Vec<usize> {
        let [keys, values] = cache.columns(1, &(0..cache.length), 3);
        let of = |parts: [&[u32]; 2]| -> Vec<usize> {
            parts.concat().into_iter().step_by(3).map(|entry| entry as usize).collect()
        };
        let (keys, values) = (of(keys), of(values));
        assert!(keys.iter().zip(&values).all(|(key, value)| key + 1 == *value));
        keys
    }

    #[test]
    fn memory_is_that_of_the_tokens_to_the_next_step() {
        let mut cache = HostCache::default();
        for length in 0..200 {
            cache = extended(cache, length..length + 1);
            for column in cache.layers.iter().flat_map(|(keys, values)| [keys, values]) {
                assert!(
                    column.capacity() <= 3 * usize::next_multiple_of(length + 1, STEP),
                    "{length} tokens"
                );
            }
        }
    }

    #[test]
    fn sequences_that_share_a_beginning_go_on_apart() {
        let mut first = extended(HostCache::default(), 0..10);
        let second = extended(first.beginning(6), 20..23);
        let mut third = extended(first.beginning(8), 30..31);
        first = extended(first, 10..12);
        assert_eq!(tokens(&first), (0..12).collect::<Vec<_>>());
        assert_eq!(tokens(&second), [0, 1, 2, 3, 4, 5, 20, 21, 22]);
        assert_eq!(tokens(&third), [0, 1, 2, 3, 4, 5, 6, 7, 30]);
        assert!(Arc::ptr_eq(&first.shared, &second.shared) && Arc::ptr_eq(&first.shared, &third.shared));
        let [[shared, own], _] = third.columns(0, &(4..9), 3);
        assert_eq!((shared.len(), own.len()), (2 * 3, 3 * 3));
        third.truncate(7);
        assert_eq!(tokens(&third), [0, 1, 2, 3, 4, 5, 6]);
        third.truncate(2);
        assert_eq!(tokens(&extended(third, 40..42)), [0, 1, 40, 41]);
        first.truncate(0);
        assert_eq!((tokens(&first), Arc::strong_count(&second.shared)), (vec![], 1));
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
