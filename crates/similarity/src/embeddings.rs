//! Cosine similarity of embeddings from an endpoint that speaks the OpenAI `/v1/embeddings` protocol.

mod cache;
mod http;

use std::sync::Mutex;

use self::{cache::Cache, http::Client};
use crate::endpoint::Endpoint;
use crate::measure::{Matrix, Similarity, SimilarityError, SimilaritySettings};

/// Measures similarity for [`Endpoint`]: a connection and a cache of its vectors.
pub(crate) struct Embeddings {
    client: Client,
    batch: usize,
    cache: Mutex<Cache>,
}

impl Similarity for Embeddings {
    fn matrix(&self, rows: &[&str], columns: &[&str]) -> Result<Matrix, SimilarityError> {
        let texts: Vec<&str> = rows.iter().chain(columns).copied().collect();
        let vectors = self.embed(&texts)?;
        let (rows, columns) = vectors.split_at(rows.len());
        Ok(rows.iter().map(|a| columns.iter().map(|b| cosine(a, b)).collect()).collect())
    }
}

impl SimilaritySettings for Endpoint {
    fn build(&self) -> Box<dyn Similarity> {
        Box::new(Embeddings::new(self))
    }
}

impl Embeddings {
    /// Makes a client. Nothing is contacted before the first similarity is asked for.
    pub(crate) fn new(endpoint: &Endpoint) -> Self {
        Self {
            client: Client::new(endpoint),
            batch: endpoint.batch.get(),
            cache: Mutex::new(Cache::new(endpoint.cache)),
        }
    }

    /// Returns one vector per text; an empty one for a text without content, which is never sent.
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, SimilarityError> {
        let mut cache = self.cache.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut known: Vec<Option<Vec<f32>>> = texts
            .iter()
            .map(|text| if text.trim().is_empty() { Some(Vec::new()) } else { cache.get(text) })
            .collect();
        let mut missing: Vec<&str> =
            texts.iter().zip(&known).filter(|(_, k)| k.is_none()).map(|(t, _)| *t).collect();
        missing.sort_unstable();
        missing.dedup();
        let mut fresh = std::collections::HashMap::new();
        for texts in missing.chunks(self.batch) {
            let vectors = self.fetch(texts)?;
            fresh.extend(texts.iter().copied().zip(vectors));
        }
        for (text, slot) in texts.iter().zip(&mut known) {
            slot.get_or_insert_with(|| fresh[text].clone());
        }
        for (text, vector) in fresh {
            cache.insert(text, vector);
        }
        Ok(known.into_iter().flatten().collect())
    }

    /// Requests vectors. A text that is too long for the server's model gets an empty one: the text of one
    /// trajectory can't end a run.
    fn fetch(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, SimilarityError> {
        match self.client.embed(texts)? {
            Some(vectors) => Ok(vectors),
            None if texts.len() == 1 => Ok(vec![Vec::new()]),
            None => {
                let (front, back) = texts.split_at(texts.len() / 2);
                Ok([self.fetch(front)?, self.fetch(back)?].concat())
            }
        }
    }
}

/// Returns the cosine in `[0, 1]`: opposite directions count as unrelated. 0 if either vector is empty or
/// zero.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms > 0.0 { (dot(a, b) / norms).clamp(0.0, 1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests;
