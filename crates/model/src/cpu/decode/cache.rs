//! Keys, values and states of one sequence on the host.

use std::ops::Range;
use std::sync::Arc;

/// Memory grows in steps of this many tokens, which bounds the unused part.
const STEP: usize = 64;
/// Tokens whose keys lie together. Every number of them is then a whole vector on any processor.
pub(super) const BLOCK: usize = 16;

/// Holds keys and values of some tokens in a layer: the bits of f32, or pairs of bf16.
#[derive(Debug, Clone, Default)]
struct Columns {
    /// Entries of a token.
    width: usize,
    /// `[token / BLOCK, entry, BLOCK]`; zeros after the last token.
    keys: Vec<u32>,
    /// `[token, entry]`.
    values: Vec<u32>,
}

/// Shows keys and values that a query sees, in two parts: those of shared tokens, and those after them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a, E> {
    /// Whole blocks, `[block, entry, BLOCK]`.
    pub(super) keys: [&'a [E]; 2],
    /// `[token, entry]`.
    pub(super) values: [&'a [E]; 2],
    /// Keys of the first block that the query doesn't see. There may be others at the end of the last.
    pub(super) skipped: usize,
}

impl<'a> Seen<'a, u32> {
    /// Reads bits as the numbers they are.
    pub(super) fn as_f32(self) -> Seen<'a, f32> {
        let [keys, values] = [self.keys, self.values].map(|parts| parts.map(bytemuck::cast_slice));
        Seen { keys, values, skipped: self.skipped }
    }
}

impl Columns {
    /// Copies tokens, of which the first begins a block.
    fn copied(&self, tokens: &Range<usize>) -> Self {
        let (width, blocks) = (self.width, tokens.start / BLOCK..tokens.end.div_ceil(BLOCK));
        Self {
            width,
            keys: self.keys[blocks.start * BLOCK * width..blocks.end * BLOCK * width].to_vec(),
            values: self.values[tokens.start * width..tokens.end * width].to_vec(),
        }
    }

    /// Keeps only the first `length` tokens.
    fn truncate(&mut self, length: usize) {
        self.keys.truncate(length.next_multiple_of(BLOCK) * self.width);
        self.values.truncate(length * self.width);
    }

    fn push(&mut self, keys: &[u32], values: &[u32]) {
        let (width, token) = (self.width, self.values.len() / self.width);
        let (block, at) = (token / BLOCK * BLOCK * width, token % BLOCK);
        if at == 0 {
            self.keys.resize(block + BLOCK * width, 0);
        }
        for (place, key) in self.keys[block + at..].iter_mut().step_by(BLOCK).zip(keys) {
            *place = *key;
        }
        self.values.extend_from_slice(values);
    }
}

/// Holds keys and values of one sequence, and states after its last token.
///
/// The first tokens may be [shared](Self::beginning) with other sequences, such as the prompt of a group.
/// They are then in memory once, and caches of the processor hold them for all.
#[derive(Debug, Clone, Default)]
pub struct HostCache {
    /// `[layer]`, of the first tokens of one or more sequences.
    shared: Arc<Vec<Columns>>,
    /// The number of those tokens that are this sequence's, in whole blocks.
    shared_length: usize,
    /// `[layer]`, of the tokens after them.
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
        if length < self.shared_length {
            (self.layers, self.shared_length) = self.after_shared(length);
        }
        if self.shared_length == 0 {
            self.shared = Arc::default();
        }
        let kept = length - self.shared_length;
        self.layers.iter_mut().for_each(|columns| columns.truncate(kept));
        self.length = length;
    }

    /// Returns a cache of the first `length` tokens, whose whole blocks both share from now on. Tokens after
    /// them, and after those that were shared before, are copied.
    ///
    /// # Panics
    /// If it holds fewer, or more while it has states.
    #[must_use]
    pub fn beginning(&mut self, length: usize) -> Self {
        assert!(length <= self.length, "a cache can only give what it holds");
        let whole = length == self.length;
        assert!(whole || !self.is_stateful(), "a state holds for the last token alone");
        if self.shared_length == 0 {
            self.share(length / BLOCK * BLOCK);
        }
        let (layers, shared_length) = self.after_shared(length);
        Self { shared: self.shared.clone(), shared_length, layers, states: self.states.clone(), length }
    }

    /// Copies those of the first `length` tokens that can't be shared, and returns how many can.
    fn after_shared(&self, length: usize) -> (Vec<Columns>, usize) {
        let shared = self.shared_length.min(length / BLOCK * BLOCK);
        let (from, tokens) = if length < self.shared_length {
            (&*self.shared, shared..length)
        } else {
            (&self.layers, 0..length - shared)
        };
        (from.iter().map(|columns| columns.copied(&tokens)).collect(), shared)
    }

    /// Makes the first `length` tokens, which are whole blocks, ones that can be shared.
    fn share(&mut self, length: usize) {
        let first = |columns: &mut Columns| {
            let rest = columns.copied(&(length..self.length));
            let mut first = std::mem::replace(columns, rest);
            first.truncate(length);
            first.keys.shrink_to_fit();
            first.values.shrink_to_fit();
            first
        };
        let layers = self.layers.iter_mut().map(first).collect();
        (self.shared, self.shared_length) = (Arc::new(layers), length);
    }

    /// Returns keys and values of some tokens of a layer.
    pub(super) fn seen(&self, layer: usize, tokens: &Range<usize>) -> Seen<'_, u32> {
        let (split, own) = (self.shared_length, &self.layers[layer]);
        let width = own.width;
        let shared = self.shared.get(layer).map(|columns| [&*columns.keys, &*columns.values]);
        let [shared_keys, shared_values] = shared.unwrap_or_default();
        let blocks = tokens.start / BLOCK * BLOCK..tokens.end.next_multiple_of(BLOCK);
        let first = |tokens: &Range<usize>| tokens.start.min(split) * width..tokens.end.min(split) * width;
        let rest = |tokens: &Range<usize>| {
            tokens.start.saturating_sub(split) * width..tokens.end.saturating_sub(split) * width
        };
        Seen {
            keys: [&shared_keys[first(&blocks)], &own.keys[rest(&blocks)]],
            values: [&shared_values[first(tokens)], &own.values[rest(tokens)]],
            skipped: tokens.start - blocks.start,
        }
    }

    /// Appends keys and values of a token to a layer.
    pub(super) fn push(&mut self, layer: usize, keys: &[u32], values: &[u32]) {
        self.layers[layer].push(keys, values);
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
        let tokens = self.length - self.shared_length + more;
        for (columns, [width, _]) in self.layers.iter_mut().zip(widths) {
            columns.width = *width;
            for column in [&mut columns.keys, &mut columns.values] {
                if tokens.next_multiple_of(BLOCK) * width > column.capacity() {
                    column.reserve_exact(tokens.next_multiple_of(STEP) * width - column.len());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a cache of two layers that holds the given tokens after what it has.
    fn extended(mut cache: HostCache, tokens: Range<usize>) -> HostCache {
        for token in tokens {
            cache.reserve(&[[3, 0], [3, 0]], 1);
            for layer in 0..2 {
                cache.push(layer, &[0, 1, 2].map(|entry| 8 * token as u32 + entry), &[token as u32; 3]);
            }
            cache.length += 1;
        }
        cache
    }

    /// Returns some tokens of a cache, after a look at their keys and values.
    fn seen(cache: &HostCache, tokens: Range<usize>) -> Vec<usize> {
        let seen = cache.seen(1, &tokens);
        let values: Vec<u32> = seen.values.concat().into_iter().step_by(3).collect();
        let blocks = seen.keys.concat();
        for (at, value) in values.iter().enumerate() {
            let at = at + seen.skipped;
            let key = [0, 1, 2].map(|entry| blocks[at / BLOCK * 3 * BLOCK + entry * BLOCK + at % BLOCK]);
            assert_eq!(key, [0, 1, 2].map(|entry| 8 * value + entry));
        }
        values.into_iter().map(|value| value as usize).collect()
    }

    fn tokens(cache: &HostCache) -> Vec<usize> {
        seen(cache, 0..cache.length)
    }

    #[test]
    fn memory_is_that_of_the_tokens_to_the_next_step() {
        let mut cache = HostCache::default();
        for length in 0..200 {
            cache = extended(cache, length..length + 1);
            for column in cache.layers.iter().flat_map(|columns| [&columns.keys, &columns.values]) {
                assert!(
                    column.capacity() <= 3 * usize::next_multiple_of(length + 1, STEP),
                    "{length} tokens"
                );
            }
        }
    }

    #[test]
    fn sequences_that_share_a_beginning_go_on_apart() {
        let mut first = extended(HostCache::default(), 0..40);
        let second = extended(first.beginning(36), 100..103);
        let mut third = extended(first.beginning(38), 200..201);
        first = extended(first, 40..42);
        let ends = |first: usize, rest: Range<usize>| (0..first).chain(rest).collect::<Vec<_>>();
        assert_eq!(tokens(&first), ends(42, 0..0));
        assert_eq!(tokens(&second), ends(36, 100..103));
        assert_eq!(tokens(&third), ends(38, 200..201));
        assert!(Arc::ptr_eq(&first.shared, &second.shared) && Arc::ptr_eq(&first.shared, &third.shared));
        assert_eq!(third.shared_length, 32);
        assert_eq!(seen(&third, 20..39), ends(38, 200..201)[20..]);
        assert_eq!(seen(&third, 34..36), [34, 35]);
        let fourth = extended(third.beginning(21), 300..320);
        assert_eq!((tokens(&fourth), fourth.shared_length), (ends(21, 300..320), 16));
        third.truncate(37);
        assert_eq!(tokens(&third), ends(37, 0..0));
        third.truncate(18);
        assert_eq!(tokens(&extended(third, 400..420)), ends(18, 400..420));
        first.truncate(0);
        assert_eq!((tokens(&first), Arc::strong_count(&second.shared)), (vec![], 2));
    }

    #[test]
    fn a_state_is_that_of_the_last_token_or_none() {
        let mut cache = HostCache::default();
        cache.reserve(&[[0, 2], [1, 0]], 3);
        cache.states[0].copy_from_slice(&[1.0, 2.0]);
        (0..3).for_each(|token| cache.push(1, &[token], &[token]));
        cache.length = 3;
        assert_eq!(cache.beginning(3).states, cache.states);
        cache.truncate(3);
        assert_eq!(cache.states[0], [1.0, 2.0]);
        cache.truncate(0);
        assert_eq!(cache.states[0], [0.0, 0.0]);
    }
}
