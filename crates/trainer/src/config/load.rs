//! Reads run files, and the keys that `turnwise score` takes from one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use turnwise_credit::{AdvantageConfig, FilterConfig, Normalise, RewardWeights, Scorer, ShapingConfig};
use turnwise_envs::RewardConfig;
use turnwise_runfile::{Above, ConfigError, Conflict, Consistent, Layers};
use turnwise_trajectory::Rewards;

use super::preset::presets;
use super::run::RunConfig;

/// Holds the keys of a run file that `turnwise score` takes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScoreConfig {
    /// Partial credit for failed trajectories.
    pub shaping: ShapingConfig,
    /// The advantage estimator.
    pub advantage: AdvantageConfig,
    /// Trajectories left out of the loss.
    pub filter: FilterConfig,
    /// Turn rewards.
    pub reward: ScoreRewardConfig,
}

/// Holds the keys of `[reward]` that `turnwise score` takes; its input already has the other rewards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScoreRewardConfig {
    /// Weights of a turn's rewards by name, whose weighted sum is its reward. A name without one weighs 1.
    pub weights: RewardWeights,
    /// Normalisation of rewards by name, before they are weighted and summed. Other names have none.
    pub normalise: BTreeMap<String, Normalise>,
    /// The accuracy from which `grpo_min` takes a graded trajectory for right.
    #[serde(deserialize_with = "Above::<0, 1>::read")]
    pub correct_at: f64,
}

impl Default for ScoreRewardConfig {
    fn default() -> Self {
        RewardConfig::default().into()
    }
}

impl From<RewardConfig> for ScoreRewardConfig {
    fn from(config: RewardConfig) -> Self {
        let RewardConfig { weights, normalise, correct_at, .. } = config;
        Self { weights, normalise, correct_at }
    }
}

impl From<&RunConfig> for ScoreConfig {
    fn from(run: &RunConfig) -> Self {
        Self {
            shaping: run.shaping.clone(),
            advantage: run.advantage.clone(),
            filter: run.filter,
            reward: run.reward.clone().into(),
        }
    }
}

impl ScoreConfig {
    /// Returns the scorer of these settings, which is that of a run with the same ones.
    pub fn scorer(self) -> Scorer {
        let Self { shaping, advantage, filter, reward } = self;
        let scorer = Scorer::new(advantage, shaping, filter).weighing(reward.weights);
        scorer.normalising(reward.normalise).right_from(reward.correct_at)
    }
}

impl Consistent for ScoreConfig {
    fn conflict(&self) -> Option<Conflict> {
        let ScoreRewardConfig { weights, normalise, .. } = &self.reward;
        wrong_names(weights, normalise).map(|conflict| conflict.under("reward"))
    }
}

/// Returns the table with a name that no reward can have.
pub(super) fn wrong_names(
    weights: &RewardWeights,
    normalise: &BTreeMap<String, Normalise>,
) -> Option<Conflict> {
    let wrong = |key: &str, name: &str| {
        let why = Rewards::wrong_name(name)?;
        Some(Conflict::new(key, format!("has a wrong key: {why}")))
    };
    let of_weights = weights.names().find_map(|name| wrong("weights", name));
    of_weights.or_else(|| normalise.keys().find_map(|name| wrong("normalise", name)))
}

/// Reads a TOML file, or starts from an empty one, and overrides its keys. Overlays come first, in their
/// order, then each `key.path=value`: see [`Layers`]. `preset = "trl"` puts the conventions of
/// [`turnwise_credit::Preset`] below all of them.
pub fn load<C: DeserializeOwned + Consistent>(
    path: Option<&Path>,
    overlays: &[PathBuf],
    sets: &[String],
) -> Result<C, ConfigError> {
    Layers::read(path, overlays, sets)?.over(&presets())?.resolve()
}

/// Reads the settings of `turnwise score` as [`load`] does. A whole run file is also taken, and checked as
/// one.
pub fn load_score(
    path: Option<&Path>,
    overlays: &[PathBuf],
    sets: &[String],
) -> Result<ScoreConfig, ConfigError> {
    let layers = Layers::read(path, overlays, sets)?.over(&presets())?;
    if !layers.has("model") {
        return layers.resolve();
    }
    layers.resolve().map(|run: RunConfig| ScoreConfig::from(&run))
}

#[cfg(test)]
mod tests {
    use turnwise_credit::Grpo;
    use turnwise_envs::EnvConfig;
    use turnwise_tools::executor::ExecutorConfig;

    use super::*;

    const FILE: &str =
        "model = \"models/tiny\"\n[advantage.gtpo]\ngamma = 0.5\n[env.arithmetic]\nlevels = [2]\n";

    fn read(sets: &[&str]) -> Result<RunConfig, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("run.toml");
        std::fs::write(&path, FILE).expect("a file");
        let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
        let shown = format!("{}/", folder.path().display());
        load(Some(&path), &[], &sets).map_err(|error| error.to_string().replace(&shown, ""))
    }

    #[test]
    fn tools_of_servers_beside_an_agent_are_refused_with_line_key_and_hint() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("run.toml");
        let file = "model = \"models/tiny\"\n[env.agent]\ncommand = [\"a\"]\ntrain = \"t\"\n\
                    held_out = \"h\"\n\
                    [tools.files]\nmcp = [\"npx\"]\n";
        std::fs::write(&path, file).expect("a file");
        let refused = load::<RunConfig>(Some(&path), &[], &[]).unwrap_err().to_string();
        let refused = refused.replace(&format!("{}/", folder.path().display()), "");
        assert!(refused.starts_with("run.toml:6: `tools.files` stands beside env.agent, "), "{refused}");
        assert!(refused.contains("; hint: leave it out, "), "{refused}");
    }

    #[test]
    fn every_choice_of_a_run_file_replaces_another_one() {
        let run = read(&[
            "advantage=grpo_min",
            "loss.gspo.eps_low=0.1",
            "weights=seq_mean_token_sum",
            "shaping.similarity=lcs",
            "env.qa.train=a.jsonl",
            "env.qa.held_out=b.jsonl",
            "rollout.executor=monty",
        ]);
        let run = run.unwrap();
        let names =
            (run.advantage.name(), run.loss.name(), run.weights.name(), run.shaping.similarity.name());
        assert_eq!(names, ("grpo_min", "gspo", "seq_mean_token_sum", "lcs"));
        assert!(matches!(run.env, EnvConfig::Qa(_)), "{:?}", run.env);
        assert!(matches!(run.rollout.executor, ExecutorConfig::Monty(_)), "{:?}", run.rollout.executor);
        let error = read(&["advantage.gtpo.gama=1"]).unwrap_err();
        let expect = "--set advantage.gtpo.gama=1: unknown key `gama`\n  hint: did you mean `gamma`?";
        assert_eq!(error, expect);
    }

    #[test]
    fn a_preset_fits_the_estimator_that_is_chosen() {
        let advantage = |sets: &[&str]| read(sets).unwrap().advantage;
        let AdvantageConfig::Gtpo(gtpo) = advantage(&["preset=trl"]) else { panic!("not gtpo") };
        assert_eq!((gtpo.gamma, gtpo.eps), (0.5, 1e-4));
        let AdvantageConfig::Gtpo(gtpo) = advantage(&["preset=trl", "advantage.gtpo.eps=0"]) else {
            panic!("not gtpo")
        };
        assert_eq!(gtpo.eps, 0.0);
        let grpo = AdvantageConfig::Grpo(Grpo { eps: 1e-4, ..Grpo::default() });
        assert_eq!(advantage(&["preset=trl", "advantage=grpo"]), grpo);
        let error = read(&["preset=verll"]).unwrap_err();
        assert_eq!(error, "--set preset=verll: unknown preset `verll`\n  hint: did you mean `verl`?");
        let error = read(&["preset=3"]).unwrap_err();
        let known = "known here are trl, verl, openrlhf, skyrl";
        assert_eq!(error, format!("--set preset=3: `preset` is not a name\n  hint: {known}"));
        let score = load_score(None, &[], &["preset=trl".into()]).unwrap().advantage;
        let AdvantageConfig::Gtpo(gtpo) = score else { panic!("not gtpo") };
        assert_eq!(gtpo.eps, 1e-4);
    }

    #[test]
    fn score_takes_its_keys_from_a_whole_run_file_or_from_its_own() {
        let sets = |sets: &[&str]| sets.iter().map(ToString::to_string).collect::<Vec<_>>();
        let own = load_score(None, &[], &sets(&["advantage=grpo", "shaping.alpha=0"])).unwrap();
        assert_eq!((own.advantage.name(), own.shaping.alpha), ("grpo", 0.0));
        let weights = ["reward.weights.progress=0.5"];
        let own = load_score(None, &[], &sets(&weights)).unwrap().reward.weights;
        assert_eq!((own.of("progress"), own.of("acc")), (0.5, 1.0));
        let run = ["model=m", "env=arithmetic", "reward.format_penalty=-1", weights[0]];
        assert_eq!(load_score(None, &[], &sets(&run)).unwrap().reward.weights, own);
        let error = load_score(None, &[], &sets(&["reward.weights.progress=inf"])).unwrap_err().to_string();
        let expect = "`reward.weights.progress` is inf, expected a number from -1000 to 1000";
        assert!(error.contains(expect), "{error}");
        let normalise = ["reward.normalise.progress=gdpo", "reward.correct_at=0.5"];
        let own = load_score(None, &[], &sets(&normalise)).unwrap().reward;
        assert_eq!((own.normalise["progress"], own.correct_at), (Normalise::Gdpo, 0.5));
        let run = ["model=m", "env=arithmetic", normalise[0], normalise[1]];
        assert_eq!(load_score(None, &[], &sets(&run)).unwrap().reward, own);
        let refused = |set: &str| load_score(None, &[], &sets(&[set])).unwrap_err().to_string();
        let expect = "`reward.correct_at` is 0, expected a number above 0, at most 1";
        assert!(refused("reward.correct_at=0").contains(expect));
        let error = refused("reward.normalise.progress=grup");
        assert!(
            error.contains("`reward.normalise.progress`") && error.contains("did you mean `group`?"),
            "{error}"
        );
        let error = load_score(None, &[], &sets(&["train.steps=3"])).unwrap_err().to_string();
        assert!(error.starts_with("--set train.steps=3: unknown key `train`"), "{error}");
        let error = load_score(None, &[], &sets(&["model=m", "train.stepz=3"])).unwrap_err().to_string();
        assert!(error.contains("did you mean `steps`?"), "a run file is checked as one: {error}");
    }
}
