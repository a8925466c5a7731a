//! Caches embeddings.

use std::collections::{HashMap, VecDeque};

/// Maps texts to vectors, and drops the oldest entries beyond its limit.
pub(super) struct Cache {
    limit: usize,
    vectors: HashMap<String, Vec<f32>>,
    order: VecDeque<String>,
}

impl Cache {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, vectors: HashMap::new(), order: VecDeque::new() }
    }

    pub(super) fn get(&self, text: &str) -> Option<Vec<f32>> {
        self.vectors.get(text).cloned()
    }

    pub(super) fn insert(&mut self, text: &str, vector: Vec<f32>) {
        if self.vectors.insert(text.into(), vector).is_none() {
            self.order.push_back(text.into());
        }
        while self.order.len() > self.limit {
            if let Some(oldest) = self.order.pop_front() {
                self.vectors.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first() {
        let mut cache = Cache::new(2);
        for text in ["a", "b", "a", "c"] {
            cache.insert(text, vec![1.0]);
        }
        assert_eq!(["a", "b", "c"].map(|t| cache.get(t).is_some()), [false, true, true]);
    }
}
