//! Cosine similarity of embeddings from an endpoint that speaks the OpenAI `/v1/embeddings` protocol.

mod cache;
mod http;

use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use turnwise_runfile::{Seconds, Within};

use self::{cache::Cache, http::Client};
use super::{Matrix, Similarity, SimilarityError};

/// Embeddings by a server, the way of the paper (arXiv:2511.14846 §3.4: a hosted text-embedding model).
/// Anything that speaks the OpenAI protocol will do: vLLM, llama.cpp, Ollama, text-embeddings-inference.
///
/// `https` needs the cargo feature of that name. A training step fails, with the reason, if the server can't
/// be reached after all retries: half-shaped rewards would be worse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Endpoint {
    /// Where to post to.
    pub url: String,
    /// The model's name there.
    pub model: String,
    /// Name of the environment variable that holds the key; empty: no key is sent.
    pub api_key_env: String,
    /// Limit of one attempt, in seconds.
    #[serde(deserialize_with = "Seconds::read")]
    pub timeout_s: f64,
    /// Attempts after the first one, for what may pass: broken connections, answers that are cut off or too
    /// late, servers that are busy or loading.
    #[serde(deserialize_with = "Within::<0, 32>::read")]
    pub retries: u32,
    /// Wait before the first retry, in seconds; it doubles each time, up to 30. A server may ask for a longer
    /// one.
    #[serde(deserialize_with = "Within::<0, 3_600>::read")]
    pub retry_wait_s: f64,
    /// Longest time for everything after the first failed attempt, in seconds: waits and answers included.
    #[serde(deserialize_with = "Within::<0, 3_600_000>::read")]
    pub retry_total_s: f64,
    /// Texts per request.
    #[serde(deserialize_with = "Within::<1, 65_536>::read")]
    pub batch: std::num::NonZeroUsize,
    /// Embeddings kept in memory; the oldest go first.
    #[serde(deserialize_with = "Within::<0, 16_777_216>::read")]
    pub cache: usize,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8000/v1/embeddings".into(),
            model: "text-embedding-3-small".into(),
            api_key_env: String::new(),
            timeout_s: 30.0,
            retries: 10,
            retry_wait_s: 0.25,
            retry_total_s: 120.0,
            batch: std::num::NonZeroUsize::new(64).expect("a positive number"),
            cache: 16_384,
        }
    }
}

/// The measure behind [`Endpoint`]: a connection and what it has already answered.
pub(super) struct Embeddings {
    client: Client,
    batch: usize,
    cache: Mutex<Cache>,
}

impl Endpoint {
    /// Nothing is contacted before the first similarity is asked for.
    pub(super) fn connect(&self) -> Embeddings {
        Embeddings {
            client: Client::new(self),
            batch: self.batch.get(),
            cache: Mutex::new(Cache::new(self.cache)),
        }
    }
}

impl Similarity for Embeddings {
    fn matrix(&self, rows: &[&str], columns: &[&str]) -> Result<Matrix, SimilarityError> {
        let texts: Vec<&str> = rows.iter().chain(columns).copied().collect();
        let vectors = self.embed(&texts)?;
        let (rows, columns) = vectors.split_at(rows.len());
        Ok(rows.iter().map(|a| columns.iter().map(|b| cosine(a, b)).collect()).collect())
    }
}

impl Embeddings {
    /// One vector per text; an empty one for a text without content, which is never sent.
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

    /// Asks for vectors. A text that is too long for the server's model is like nothing: what one trajectory
    /// wrote can't end a run.
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

/// Cosine in `[0, 1]`: opposite directions count as unrelated. 0 if either vector is empty or zero.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms > 0.0 { (dot(a, b) / norms).clamp(0.0, 1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests;
