//! Keys and values of the tokens already read, so that a turn only computes new tokens.

use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData};

use crate::config::ModelConfig;

/// Capacity grows in steps of this many tokens.
const STEP: usize = 64;

/// Holds keys and values, one slot per sequence.
///
/// Each layer's tensors are `[slots · capacity, K·D]`, so a write is an indexed assignment of whole rows,
/// which backends do in place.
#[derive(Debug, Clone)]
pub struct KvCache {
    layers: Vec<Option<(Tensor<2>, Tensor<2>)>>,
    lengths: Vec<usize>,
    capacity: usize,
    /// `K·D` of each layer.
    widths: Vec<usize>,
}

impl KvCache {
    /// Makes an empty cache for `slots` sequences.
    pub fn new(config: &ModelConfig, slots: usize) -> Self {
        Self {
            layers: vec![None; config.layers.len()],
            lengths: vec![0; slots],
            capacity: 0,
            widths: config.layers.iter().map(|block| block.attention.key_value_width()).collect(),
        }
    }

    /// Returns the number of tokens in each slot.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Returns the size in bytes, in f32.
    pub fn bytes(&self) -> usize {
        2 * self.widths.iter().sum::<usize>() * self.lengths.len() * self.capacity * size_of::<f32>()
    }

    /// Keeps only the first `length` tokens of a slot.
    pub fn truncate(&mut self, slot: usize, length: usize) {
        assert!(length <= self.lengths[slot], "a cache can only forget what it holds");
        self.lengths[slot] = length;
    }

    /// Returns a cache of the given slots, in this order.
    #[must_use]
    pub fn keep(&self, slots: &[usize]) -> Self {
        let mut kept = self.clone();
        kept.lengths = slots.iter().map(|&slot| self.lengths[slot]).collect();
        for layer in kept.layers.iter_mut().flatten() {
            let rows = slot_rows(slots, self.capacity, self.capacity, &layer.0.device());
            *layer = (layer.0.clone().select(0, rows.clone()), layer.1.clone().select(0, rows));
        }
        kept
    }

    /// Appends empty slots.
    pub fn add(&mut self, slots: usize) {
        self.lengths.resize(self.lengths.len() + slots, 0);
        for (keys, values) in self.layers.iter_mut().flatten() {
            for cache in [keys, values] {
                let shape = [slots * self.capacity, cache.dims()[1]];
                let room = Tensor::zeros(shape, (&cache.device(), cache.dtype()));
                *cache = Tensor::cat(vec![cache.clone(), room], 0);
            }
        }
    }

    /// Writes back the slots that [`Self::keep`] took out, with the tokens added since.
    ///
    /// # Panics
    /// If the part holds another number of slots.
    pub fn put(&mut self, slots: &[usize], mut part: Self) {
        assert_eq!(slots.len(), part.lengths.len(), "one place for each slot");
        let capacity = self.capacity.max(part.capacity);
        self.grow(capacity);
        part.grow(capacity);
        let Some((keys, _)) = part.layers.iter().flatten().next() else { return };
        let rows = slot_rows(slots, capacity, capacity, &keys.device());
        for (mine, theirs) in self.layers.iter_mut().zip(part.layers) {
            let Some((keys, values)) = theirs else { continue };
            let (old_keys, old_values) = mine.take().unwrap_or_else(|| {
                let shape = [self.lengths.len() * capacity, keys.dims()[1]];
                let zeros = || Tensor::zeros(shape, (&keys.device(), keys.dtype()));
                (zeros(), zeros())
            });
            let write =
                |old: Tensor<2>, new| old.select_assign(0, rows.clone(), new, IndexingUpdateOp::Assign);
            *mine = Some((write(old_keys, keys), write(old_values, values)));
        }
        for (&slot, length) in slots.iter().zip(part.lengths) {
            self.lengths[slot] = length;
        }
    }

    /// Copies the first `length` tokens of one slot to another.
    ///
    /// # Panics
    /// If the first holds fewer.
    pub fn copy(&mut self, from: usize, to: usize, length: usize) {
        assert!(length <= self.lengths[from], "a slot gives what it holds");
        for layer in &mut self.layers {
            let Some((keys, values)) = layer.take() else { continue };
            let rows = |slot| slot_rows(&[slot], self.capacity, length, &keys.device());
            let (source, target) = (rows(from), rows(to));
            let write = |cache: Tensor<2>| {
                let part = cache.clone().select(0, source.clone());
                cache.select_assign(0, target.clone(), part, IndexingUpdateOp::Assign)
            };
            *layer = Some((write(keys), write(values)));
        }
        self.lengths[to] = length;
    }

    /// Makes room for `extra[slot]` more tokens and returns the rows that the pass will write and read.
    pub(crate) fn plan(&mut self, extra: &[usize], columns: usize, device: &Device) -> CachePlan {
        assert_eq!(extra.len(), self.lengths.len(), "one count of new tokens per slot");
        let needed = self.lengths.iter().zip(extra).map(|(have, more)| have + more).max().unwrap_or(0);
        if needed > self.capacity {
            self.grow(needed.div_ceil(STEP) * STEP);
        }
        let (mut targets, mut sources) = (Vec::new(), Vec::new());
        for (slot, &more) in extra.iter().enumerate() {
            for t in 0..more {
                targets.push((slot * self.capacity + self.lengths[slot] + t) as i32);
                sources.push((slot * columns + t) as i32);
            }
        }
        let full = targets.len() == extra.len() * columns;
        let index = |v: Vec<i32>| Tensor::<1, Int>::from_data(TensorData::new(v.clone(), [v.len()]), device);
        let sources = (!full).then(|| index(sources));
        CachePlan { targets: index(targets), sources, visible: needed }
    }

    /// Adds the `extra[slot]` tokens that a pass has written to the lengths.
    pub(crate) fn advance(&mut self, extra: &[usize]) {
        for (length, more) in self.lengths.iter_mut().zip(extra) {
            *length += more;
        }
    }

    /// Writes the new keys and values of a layer and returns all that the pass sees.
    ///
    /// # Shapes
    /// - `keys`, `values`: `[B·T, K·D]`
    /// - returns two of `[B, K, visible, D]`
    pub(crate) fn extend(
        &mut self,
        layer: usize,
        keys: Tensor<2>,
        values: Tensor<2>,
        plan: &CachePlan,
        head_dim: usize,
    ) -> (Tensor<4>, Tensor<4>) {
        let (slots, width) = (self.lengths.len(), self.widths[layer]);
        let (old_keys, old_values) = self.layers[layer].take().unwrap_or_else(|| {
            let zeros = || Tensor::zeros([slots * self.capacity, width], (&keys.device(), keys.dtype()));
            (zeros(), zeros())
        });
        let write = |old: Tensor<2>, new: Tensor<2>| {
            let new = match &plan.sources {
                Some(rows) => new.select(0, rows.clone()),
                None => new,
            };
            old.select_assign(0, plan.targets.clone(), new, IndexingUpdateOp::Assign)
        };
        let (keys, values) = (write(old_keys, keys), write(old_values, values));
        self.layers[layer] = Some((keys.clone(), values.clone()));
        let view = |cache: Tensor<2>| {
            cache
                .reshape([slots, self.capacity, width / head_dim, head_dim])
                .narrow(1, 0, plan.visible)
                .swap_dims(1, 2)
        };
        (view(keys), view(values))
    }

    fn grow(&mut self, capacity: usize) {
        let (slots, old) = (self.lengths.len(), self.capacity);
        if capacity == old {
            return;
        }
        for (keys, values) in self.layers.iter_mut().flatten() {
            for cache in [keys, values] {
                let width = cache.dims()[1];
                let whole = cache.clone().reshape([slots, old, width]);
                let room = Tensor::zeros([slots, capacity - old, width], (&whole.device(), whole.dtype()));
                *cache = Tensor::cat(vec![whole, room], 1).reshape([slots * capacity, width]);
            }
        }
        self.capacity = capacity;
    }
}

/// Returns the rows of the first `length` tokens of some slots.
fn slot_rows(slots: &[usize], capacity: usize, length: usize, device: &Device) -> Tensor<1, Int> {
    let rows: Vec<i32> =
        slots.iter().flat_map(|slot| (0..length).map(move |t| (slot * capacity + t) as i32)).collect();
    let count = rows.len();
    Tensor::from_data(TensorData::new(rows, [count]), device)
}

/// Holds the rows that one forward pass writes and reads.
#[derive(Debug)]
pub(crate) struct CachePlan {
    /// Cache rows that receive the new tokens.
    targets: Tensor<1, Int>,
    /// Rows of the pass that are real tokens, if some are padding.
    sources: Option<Tensor<1, Int>>,
    /// Columns of the cache that hold a token in any slot.
    pub(crate) visible: usize,
}
