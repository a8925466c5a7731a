//! Keys, values and states of the tokens already read, so that a turn only computes new tokens.

use std::sync::atomic::{AtomicU64, Ordering};

use burn::tensor::{DType, Device, IndexingUpdateOp, Int, Tensor, TensorData};

use crate::config::ModelConfig;

/// Capacity grows in steps of this many tokens.
const STEP: usize = 64;

/// Holds keys and values, or states, of each layer, one slot per sequence.
///
/// Keys and values of a layer are `[slots · capacity, K·D]` each, so a write is an indexed assignment of
/// whole rows, which backends do in place. States are `[slots, width]`, and hold for the last token alone.
#[derive(Debug, Clone)]
pub struct KvCache {
    /// Keys and values, or states; empty until a pass writes them.
    layers: Vec<Vec<Tensor<2>>>,
    /// Numbers of a token's keys in each layer; 0 if it holds states.
    widths: Vec<usize>,
    lengths: Vec<usize>,
    capacity: usize,
    /// Differs for other tensors.
    version: u64,
    /// Numbers per token and per sequence.
    sizes: [usize; 2],
}

impl KvCache {
    /// Makes an empty cache for `slots` sequences.
    pub fn new(config: &ModelConfig, slots: usize) -> Self {
        Self {
            layers: vec![Vec::new(); config.layers.len()],
            widths: config.layers.iter().map(|block| block.mixer.cached_values() / 2).collect(),
            lengths: vec![0; slots],
            capacity: 0,
            version: new_version(),
            sizes: [config.cached_values(), config.state_values()],
        }
    }

    /// Returns the number of tokens in each slot.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Returns the size in bytes, in f32.
    pub fn bytes(&self) -> usize {
        let [token, sequence] = self.sizes;
        (self.capacity * token + sequence) * self.lengths.len() * size_of::<f32>()
    }

    /// Keeps only the first `length` tokens of a slot.
    ///
    /// # Panics
    /// If it holds fewer, or `length` is neither that number nor 0 and the cache has states.
    pub fn truncate(&mut self, slot: usize, length: usize) {
        assert!(length <= self.lengths[slot], "a cache can only forget what it holds");
        if length == self.lengths[slot] {
            return;
        }
        let stateful = self.sizes[1] > 0;
        assert!(length == 0 || !stateful, "a state holds for the last token alone");
        for (layer, width) in self.layers.iter_mut().zip(&self.widths) {
            for state in layer.iter_mut().filter(|_| *width == 0) {
                let zeros = Tensor::zeros([1, state.dims()[1]], (&state.device(), state.dtype()));
                let row = slot_rows(&[slot], 1, 1, &state.device());
                *state = state.clone().select_assign(0, row, zeros, IndexingUpdateOp::Assign);
            }
        }
        self.lengths[slot] = length;
    }

    fn holds_states(&self, layer: usize) -> bool {
        self.widths[layer] == 0
    }

    /// Returns the rows of each slot in the tensors of a layer.
    fn rows(&self, layer: usize) -> usize {
        if self.holds_states(layer) { 1 } else { self.capacity }
    }

    /// Returns a cache of the given slots, in this order.
    #[must_use]
    pub fn keep(&self, slots: &[usize]) -> Self {
        let mut kept = self.clone();
        kept.version = new_version();
        kept.lengths = slots.iter().map(|&slot| self.lengths[slot]).collect();
        for (at, layer) in kept.layers.iter_mut().enumerate() {
            let Some(first) = layer.first() else { continue };
            let rows = slot_rows(slots, self.rows(at), self.rows(at), &first.device());
            for tensor in layer {
                *tensor = tensor.clone().select(0, rows.clone());
            }
        }
        kept
    }

    /// Appends empty slots.
    pub fn add(&mut self, slots: usize) {
        self.version = new_version();
        self.lengths.resize(self.lengths.len() + slots, 0);
        for at in 0..self.layers.len() {
            let rows = self.rows(at);
            for cache in &mut self.layers[at] {
                let shape = [slots * rows, cache.dims()[1]];
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
        self.version = new_version();
        self.grow(capacity);
        part.grow(capacity);
        for (at, theirs) in part.layers.into_iter().enumerate() {
            let Some(first) = theirs.first() else { continue };
            let rows = slot_rows(slots, self.rows(at), self.rows(at), &first.device());
            let mine = std::mem::take(&mut self.layers[at]);
            let mut mine = mine.into_iter();
            let written = theirs.into_iter().map(|new| {
                let shape = [self.lengths.len() * self.rows(at), new.dims()[1]];
                let zeros = || Tensor::zeros(shape, (&new.device(), new.dtype()));
                let old = mine.next().unwrap_or_else(zeros);
                old.select_assign(0, rows.clone(), new, IndexingUpdateOp::Assign)
            });
            self.layers[at] = written.collect();
        }
        for (&slot, length) in slots.iter().zip(part.lengths) {
            self.lengths[slot] = length;
        }
    }

    /// Copies the first `length` tokens of one slot to another.
    ///
    /// # Panics
    /// If the first holds fewer, or more while the cache has states.
    pub fn copy(&mut self, from: usize, to: usize, length: usize) {
        assert!(length <= self.lengths[from], "a slot gives what it holds");
        self.version = new_version();
        let stateful = self.sizes[1] > 0;
        assert!(length == self.lengths[from] || !stateful, "a state holds for the last token alone");
        for at in 0..self.layers.len() {
            let (rows, count) = if self.holds_states(at) { (1, 1) } else { (self.capacity, length) };
            for cache in &mut self.layers[at] {
                let rows = |slot| slot_rows(&[slot], rows, count, &cache.device());
                let part = cache.clone().select(0, rows(from));
                *cache = cache.clone().select_assign(0, rows(to), part, IndexingUpdateOp::Assign);
            }
        }
        self.lengths[to] = length;
    }

    /// Makes room for `extra[slot]` more tokens and returns the rows that the pass will write and read.
    pub(crate) fn plan(&mut self, extra: &[usize], columns: usize, device: &Device) -> CachePlan {
        self.version = new_version();
        let needed = self.make_room(extra);
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

    /// Makes room for `extra[slot]` more tokens. Returns the most tokens that a slot will hold.
    fn make_room(&mut self, extra: &[usize]) -> usize {
        assert_eq!(extra.len(), self.lengths.len(), "one count of new tokens per slot");
        let needed = self.lengths.iter().zip(extra).map(|(have, more)| have + more).max().unwrap_or(0);
        if needed > self.capacity {
            self.grow(needed.div_ceil(STEP) * STEP);
        }
        needed
    }

    /// Makes sure that every layer has keys and values, with room for `extra[slot]` more tokens.
    #[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "Burn's operations make them as they write"))]
    pub(crate) fn open(&mut self, extra: &[usize], device: &Device, dtype: DType) {
        self.make_room(extra);
        for (layer, width) in self.layers.iter_mut().zip(&self.widths) {
            if layer.is_empty() && *width > 0 {
                let shape = [self.lengths.len() * self.capacity, *width];
                *layer = (0..2).map(|_| Tensor::zeros(shape, (device, dtype))).collect();
                self.version = new_version();
            }
        }
    }

    /// Returns a number that stays as it is while no tensor is replaced.
    #[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "only kernels keep the tensors' memory"))]
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Returns the tokens for which each slot has room.
    #[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "only kernels find their rows themselves"))]
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Returns the keys and values of a layer that is [open](Self::open).
    ///
    /// # Shapes
    /// `[slots · capacity, K·D]` each
    #[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "only kernels read them in place"))]
    pub(crate) fn keys_and_values(&self, layer: usize) -> [&Tensor<2>; 2] {
        [&self.layers[layer][0], &self.layers[layer][1]]
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
        let (slots, width) = (self.lengths.len(), keys.dims()[1]);
        let mut old = std::mem::take(&mut self.layers[layer]).into_iter();
        let mut write = |new: Tensor<2>| {
            let zeros = || Tensor::zeros([slots * self.capacity, width], (&new.device(), new.dtype()));
            let old = old.next().unwrap_or_else(zeros);
            let new = match &plan.sources {
                Some(rows) => new.select(0, rows.clone()),
                None => new,
            };
            old.select_assign(0, plan.targets.clone(), new, IndexingUpdateOp::Assign)
        };
        let (keys, values) = (write(keys), write(values));
        self.layers[layer] = vec![keys.clone(), values.clone()];
        let view = |cache: Tensor<2>| {
            cache
                .reshape([slots, self.capacity, width / head_dim, head_dim])
                .narrow(1, 0, plan.visible)
                .swap_dims(1, 2)
        };
        (view(keys), view(values))
    }

    /// Returns the states of a layer; empty before the first pass.
    ///
    /// # Shapes
    /// `[B, width]` each
    pub(crate) fn states(&self, layer: usize) -> &[Tensor<2>] {
        &self.layers[layer]
    }

    /// Replaces the states of a layer.
    pub(crate) fn set_states(&mut self, layer: usize, states: Vec<Tensor<2>>) {
        self.layers[layer] = states;
    }

    fn grow(&mut self, capacity: usize) {
        let (slots, old) = (self.lengths.len(), self.capacity);
        if capacity == old {
            return;
        }
        self.version = new_version();
        for (layer, width) in self.layers.iter_mut().zip(&self.widths) {
            for cache in layer.iter_mut().filter(|_| *width > 0) {
                let width = cache.dims()[1];
                let whole = cache.clone().reshape([slots, old, width]);
                let room = Tensor::zeros([slots, capacity - old, width], (&whole.device(), whole.dtype()));
                *cache = Tensor::cat(vec![whole, room], 1).reshape([slots * capacity, width]);
            }
        }
        self.capacity = capacity;
    }
}

fn new_version() -> u64 {
    static VERSIONS: AtomicU64 = AtomicU64::new(0);
    VERSIONS.fetch_add(1, Ordering::Relaxed)
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
