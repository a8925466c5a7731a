//! Limits the number of sequences with keys and values in memory.

use burn::tensor::Device;
use turnwise_model::ModelConfig;

use crate::device::kind::in_memory;
use crate::device::memory::available;

/// Bytes of a number in f32.
const F32: u64 = 4;

/// Caches grow by this many tokens.
const STEP: usize = 64;

/// Limits the memory for keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheBudget {
    /// The limit, if there is one.
    bytes: Option<u64>,
    configured: bool,
}

impl CacheBudget {
    /// Takes the limit from `rollout.cache_mib`. Unset, it is half of the memory that is left where a device
    /// computes in it; other devices have no limit.
    pub fn new(cache_mib: Option<u64>, device: &Device) -> Self {
        let half = || in_memory(device).then(available).flatten().map(|left| left / 2);
        let configured = cache_mib.map(|mib| mib.saturating_mul(1 << 20));
        Self { bytes: configured.or_else(half), configured: configured.is_some() }
    }

    /// Returns how many sequences of up to `longest` tokens fit. Keys and values have `element` bytes, and
    /// states are f32.
    ///
    /// # Errors
    /// If not a single one fits; the error has the numbers and the key to change.
    pub fn sequences(self, model: &ModelConfig, element: u64, longest: usize) -> Result<usize, String> {
        let Some(bytes) = self.bytes else { return Ok(usize::MAX) };
        let (tokens, token) = (longest.min(model.context()), bytes_per_token(model, element));
        let states = model.state_values() as u64 * F32;
        let one = tokens.next_multiple_of(STEP) as u64 * token + states;
        if one <= bytes {
            return Ok(usize::try_from(bytes / one.max(1)).unwrap_or(usize::MAX));
        }
        let what = if self.configured { "rollout.cache_mib allows" } else { "half of the memory left is" };
        let hint = if self.configured {
            format!(
                "raise rollout.cache_mib to at least {}, or lower rollout.max_tokens",
                one.div_ceil(1 << 20)
            )
        } else {
            "lower rollout.max_tokens, or take a smaller model".into()
        };
        Err(format!(
            "one trajectory of {tokens} tokens needs {} of keys and values, {token} bytes per token; {what} {}\n  hint: {hint}",
            mib(one),
            mib(bytes)
        ))
    }
}

/// Returns the bytes of keys and values of one token in all layers.
pub(crate) fn bytes_per_token(model: &ModelConfig, element: u64) -> u64 {
    model.cached_values() as u64 * element
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use turnwise_model::load_config;

    use super::*;

    #[test]
    fn a_budget_admits_whole_trajectories_or_says_what_one_needs() {
        let device = crate::device::backend::device(Some("flex")).unwrap();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny");
        let model = load_config(&folder).unwrap();
        let check =
            |mib, element, longest| CacheBudget::new(mib, &device).sequences(&model, element, longest);
        // 3 layers, keys and values of one head of 32, in f32: 768 bytes per token, and 321 tokens take room
        // for 384.
        assert_eq!(bytes_per_token(&model, 4), 768);
        assert_eq!(check(Some(1), 4, 320), Ok((1 << 20) / (320 * 768)));
        assert_eq!(check(Some(1), 4, 321), Ok((1 << 20) / (384 * 768)));
        assert_eq!(check(Some(1), 2, 320), Ok((1 << 20) / (320 * 384)));
        assert_eq!(
            check(Some(0), 4, 320).unwrap_err(),
            "one trajectory of 320 tokens needs 0.2 MiB of keys and values, 768 bytes per token; \
             rollout.cache_mib allows 0.0 MiB\n  hint: raise rollout.cache_mib to at least 1, or lower rollout.max_tokens"
        );
        assert!(check(None, 4, 320).unwrap() > 128, "this machine has memory");
    }
}
