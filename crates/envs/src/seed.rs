//! Makes the random numbers of procedural environments: one stream per seed, name and index, so that a task
//! doesn't depend on the number of tasks before it.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Returns the random numbers at a place of a named stream. Names have at most 16 bytes.
pub(crate) fn stream(seed: u64, name: &str, index: u64) -> ChaCha8Rng {
    assert!(name.len() <= 16, "{name}: the name of a stream has at most 16 bytes");
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&index.to_le_bytes());
    key[16..16 + name.len()].copy_from_slice(name.as_bytes());
    ChaCha8Rng::from_seed(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn seed_name_and_index_each_make_another_stream() {
        let first = |seed, name, index| stream(seed, name, index).next_u64();
        let all = [first(0, "train", 0), first(1, "train", 0), first(0, "held-out", 0), first(0, "train", 1)];
        assert_eq!(all[0], first(0, "train", 0));
        assert!((1..4).all(|i| !all[..i].contains(&all[i])));
    }
}
