//! Keys of a run file that are checked against each other while it is read, so that the error names the line.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use turnwise_rl::LossConfig;

/// A loss whose keys fit together.
pub(super) fn loss<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LossConfig, D::Error> {
    let loss = LossConfig::deserialize(deserializer)?;
    loss.check().map_err(D::Error::custom)?;
    Ok(loss)
}

#[cfg(test)]
mod tests {
    use crate::config::{RunConfig, load};

    #[test]
    fn a_second_bound_of_the_ratio_lies_beyond_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        let read = |loss: &str, sets: &[&str]| {
            std::fs::write(&path, format!("model = \"m\"\nenv = \"arithmetic\"\n{loss}")).unwrap();
            let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
            load::<RunConfig>(Some(&path), &[], &sets).map_err(|error| error.to_string())
        };
        let check = |loss: &str, sets: &[&str], place: &str, expect: Option<&str>| {
            let found = read(loss, sets).err();
            let fits = match (&found, expect) {
                (Some(error), Some(expect)) => error.contains(place) && error.contains(expect),
                (found, expect) => found.is_none() && expect.is_none(),
            };
            assert!(fits, "{loss} {sets:?}: {found:?}");
        };
        let below = Some("dual_clip = 1.1 is below 1 + eps_high = 1.28");
        check("[loss.clip]\ndual_clip = 1.1\n", &[], "run.toml:3: `loss", below);
        check("", &["loss.clip.dual_clip=1.1"], "loss", below);
        check("[loss.clip]\ndual_clip = 3\neps_high = 2.5\n", &[], "run.toml:3: `loss", Some("= 3.5"));
        check("[loss.clip]\ndual_clip = 1.5\neps_high = 0.5\n", &[], "", None);
        check("[loss.clip]\ndual_clip = 0\n", &[], "", None);
        check("loss = \"gspo\"\n", &[], "", None);
    }
}
