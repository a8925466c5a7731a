//! Reading a run file: layers of TOML, merged, then deserialised with every key accounted for.
//!
//! An error is one line with the place (file and line, or the `--set` that holds it) and often a second one with a hint.

mod explain;
mod layers;
mod nearest;
mod preset;

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::{DeTable, Deserializer};
use turnwise_credit::{AdvantageConfig, FilterConfig, RewardWeights, ShapingConfig};

use self::explain::{conflicting, explain};
use self::layers::{Source, merged, sources};
use super::{Consistent, RunConfig};

/// A run file that can't be used. Its text is one line, and a second one if there is a hint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}{}", hint.as_ref().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default())]
pub struct ConfigError {
    /// `file:line`, a file, or the `--set` that is wrong.
    pub place: String,
    /// What is wrong, with the value.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl ConfigError {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What `turnwise score` takes from a run file.
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

/// The part of `[reward]` that `turnwise score` takes. The other keys are about playing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScoreRewardConfig {
    /// Weights of a turn's rewards by name, whose weighted sum is its reward. A name without one weighs 1.
    pub weights: RewardWeights,
}

/// Reads a TOML file (or starts from nothing), lays the overlays over it in their order, then each `key.path=value`.
///
/// A later layer's keys replace an earlier one's, and tables are merged. Where a key holds a choice
/// (`advantage`, `loss`, …), another variant replaces the first with all its keys. The value of a `--set` is TOML;
/// what isn't, is a string. `preset = "trl"` lays the conventions of [`turnwise_credit::Preset`]
/// under everything. Relative paths inside the file are left as they are: relative to the current directory.
pub fn load<C: DeserializeOwned + Consistent>(
    path: Option<&Path>,
    overlays: &[PathBuf],
    sets: &[String],
) -> Result<C, ConfigError> {
    let sources = sources(path, overlays, sets)?;
    deserialize(&sources, &merged(&sources)?)
}

/// What [`load`] does, for `turnwise score`: a file of [`ScoreConfig`], or a whole run file, which is checked as one.
pub fn load_score(
    path: Option<&Path>,
    overlays: &[PathBuf],
    sets: &[String],
) -> Result<ScoreConfig, ConfigError> {
    let sources = sources(path, overlays, sets)?;
    let table = merged(&sources)?;
    if !table.contains_key("model") {
        return deserialize(&sources, &table);
    }
    let RunConfig { shaping, advantage, filter, reward, .. } = deserialize(&sources, &table)?;
    Ok(ScoreConfig { shaping, advantage, filter, reward: ScoreRewardConfig { weights: reward.weights } })
}

/// A resolved config as TOML that [`load`] reads back.
///
/// # Panics
/// If the config can't be written as TOML: all configs of this crate can.
pub fn to_toml(config: &impl Serialize) -> String {
    toml::to_string(config).expect("a config holds tables, arrays, strings, numbers and booleans")
}

fn deserialize<C: DeserializeOwned + Consistent>(
    sources: &[Source],
    table: &DeTable<'_>,
) -> Result<C, ConfigError> {
    // The span of the whole is that of no key, so that an error about it names no line.
    let deserializer = Deserializer::from(Spanned::new(usize::MAX..usize::MAX, table.clone()));
    let config = C::deserialize(deserializer).map_err(|error| explain(&error, sources, table))?;
    match config.conflict() {
        Some(conflict) => Err(conflicting(&conflict, sources, table)),
        None => Ok(config),
    }
}

#[cfg(test)]
mod tests {
    use turnwise_credit::{Grpo, WeightsConfig};
    use turnwise_loss::LossConfig;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Run {
        model: PathBuf,
        #[serde(default)]
        optimizer: Optimizer,
        #[serde(default)]
        advantage: AdvantageConfig,
        #[serde(default)]
        shaping: ShapingConfig,
        #[serde(default)]
        loss: LossConfig,
        #[serde(default)]
        weights: WeightsConfig,
        env: Env,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Optimizer {
        lr: f64,
        warmup: usize,
        weight_decay: f64,
        clip_norm: f64,
    }

    impl Consistent for Run {}

    impl Default for Optimizer {
        fn default() -> Self {
            Self { lr: 1e-6, warmup: 10, weight_decay: 0.0, clip_norm: 1.0 }
        }
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case", deny_unknown_fields)]
    enum Env {
        Arithmetic(Arithmetic),
        Qa(Qa),
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Arithmetic {
        levels: Vec<u8>,
        sums: bool,
    }

    impl Default for Arithmetic {
        fn default() -> Self {
            Self { levels: vec![1], sums: false }
        }
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Qa {
        path: PathBuf,
    }

    const FILE: &str =
        "model = \"models/tiny\"\n[advantage.gtpo]\ngamma = 0.5\n[env.arithmetic]\nsums = true\n";

    /// Loads `files` (the first is the run file, the rest are overlays) and `sets` in a folder of their own.
    fn read(files: &[&str], sets: &[&str]) -> Result<Run, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let paths: Vec<PathBuf> = (0..files.len()).map(|i| folder.path().join(format!("{i}.toml"))).collect();
        for (path, text) in paths.iter().zip(files) {
            std::fs::write(path, text).expect("a file");
        }
        let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
        let shown = format!("{}/", folder.path().display());
        load(paths.first().map(PathBuf::as_path), &paths[1..], &sets)
            .map_err(|error: ConfigError| error.to_string().replace(&shown, ""))
    }

    fn check(text: &str, sets: &[&str], expect: &str) {
        assert_eq!(read(&[text], sets).expect_err("a broken config"), expect);
    }

    #[test]
    fn layers_are_merged_in_their_order() {
        let overlay = "[optimizer]\nlr = 1\nwarmup = 3\n[env.arithmetic]\nlevels = [2, 3]\n";
        let sets = ["optimizer.lr=2e-3", "model=models/other", "advantage.gtpo.norm_scope=turn_index"];
        let run = read(&[FILE, overlay], &sets).unwrap();
        assert_eq!(run.model, Path::new("models/other"), "a bare word is a string");
        assert_eq!((run.optimizer.lr, run.optimizer.warmup), (2e-3, 3));
        assert_eq!(run.env, Env::Arithmetic(Arithmetic { levels: vec![2, 3], sums: true }));
        let AdvantageConfig::Gtpo(gtpo) = run.advantage else { panic!("{:?}", run.advantage) };
        assert_eq!(
            (gtpo.gamma, gtpo.norm_scope.name()),
            (0.5, "turn_index"),
            "keys of one variant are merged"
        );
    }

    #[test]
    fn another_variant_replaces_the_first() {
        let advantage = |sets: &[&str]| read(&[FILE], sets).unwrap().advantage;
        assert_eq!(advantage(&["advantage=grpo_min"]).name(), "grpo_min");
        assert_eq!(advantage(&["advantage.grpo.ddof=0"]).name(), "grpo");
        assert_eq!(advantage(&["advantage=grpo_min", "advantage.gtpo.ddof=0"]).name(), "gtpo");
        assert_eq!(advantage(&["advantage=gtpo"]), advantage(&[]), "naming the same one changes nothing");
        assert_eq!(
            read(&[FILE], &["env=arithmetic"]).unwrap().env,
            Env::Arithmetic(Arithmetic { levels: vec![1], sums: true })
        );
        let bare = read(&["model = \"m\"\nenv = \"arithmetic\"\n"], &[]).unwrap();
        assert_eq!(
            bare.env,
            Env::Arithmetic(Arithmetic::default()),
            "a name alone is that variant with its defaults"
        );
        let run = read(&[FILE], &["env.qa.path=data/gsm8k.jsonl"]).unwrap();
        assert_eq!(run.env, Env::Qa(Qa { path: "data/gsm8k.jsonl".into() }));
    }

    #[test]
    fn a_preset_lies_under_every_key_that_is_set() {
        let eps = |files: &[&str], sets: &[&str]| {
            let AdvantageConfig::Gtpo(gtpo) = read(files, sets).unwrap().advantage else {
                panic!("not gtpo")
            };
            (gtpo.gamma, gtpo.eps)
        };
        let preset = format!("preset = \"trl\"\n{FILE}");
        assert_eq!(eps(&[&preset], &[]), (0.5, 1e-4));
        assert_eq!(eps(&[FILE], &["preset=openrlhf"]), (0.5, 1e-9));
        assert_eq!(eps(&[&preset], &["advantage.gtpo.eps=0"]), (0.5, 0.0));
        let grpo = read(&[&preset], &["advantage=grpo"]).unwrap().advantage;
        assert_eq!(grpo, AdvantageConfig::Grpo(Grpo { eps: 1e-4, ..Grpo::default() }));
        let known = "known here are trl, verl, openrlhf, skyrl";
        check(
            "\npreset = \"verll\"\n",
            &[],
            "0.toml:2: unknown preset `verll`\n  hint: did you mean `verl`?",
        );
        check("preset = 3\n", &[], &format!("0.toml:1: `preset` is not a name\n  hint: {known}"));
        let score = |set: &str| load_score(None, &[], &[set.to_string()]).unwrap().advantage;
        let AdvantageConfig::Gtpo(gtpo) = score("preset=trl") else { panic!("not gtpo") };
        assert_eq!(gtpo.eps, 1e-4);
    }

    #[test]
    fn what_was_written_reads_back() {
        let run = read(&[FILE], &["optimizer.lr=3e-4"]).unwrap();
        assert_eq!(read(&[&to_toml(&run)], &[]).unwrap(), run);
    }

    #[test]
    fn a_typo_has_its_line_and_the_nearest_key() {
        let file = format!("{FILE}[optimizer]\nlerning_rate = 1\n");
        check(&file, &[], "0.toml:7: unknown key `lerning_rate`\n  hint: did you mean `lr`?");
        check(
            &format!("lr = 1\n{FILE}"),
            &[],
            "0.toml:1: unknown key `lr`\n  hint: known here are model, optimizer, advantage, shaping, loss, weights, env",
        );
        check(
            FILE,
            &["advantage.gtpo.gama=1"],
            "--set advantage.gtpo.gama=1: unknown key `gama`\n  hint: did you mean `gamma`?",
        );
        check(
            FILE,
            &["advantage=gtop"],
            "--set advantage=gtop: unknown choice `gtop` for `advantage`\n  hint: did you mean `gtpo`?",
        );
        check(
            "model = \"m\"\n[env.chess]\n",
            &[],
            "0.toml:2: unknown choice `chess` for `env`\n  hint: one of arithmetic, qa",
        );
        check(
            &format!("{FILE}[env.qa]\npath = \"p\"\n"),
            &[],
            "0.toml:4: `env`: arithmetic and qa are both chosen: keep one",
        );
    }

    #[test]
    fn a_wrong_value_has_its_line_its_key_and_what_is_wanted() {
        let file = format!("{FILE}[optimizer]\nlr = 1\nwarmup = \"ten\"\n");
        check(
            &file,
            &[],
            "0.toml:8: `optimizer.warmup` is string \"ten\", expected a whole number, 0 or more",
        );
        check(
            FILE,
            &["optimizer.warmup=-3"],
            "--set optimizer.warmup=-3: `optimizer.warmup` is integer `-3`, expected a whole number, 0 or more",
        );
        check(
            &format!("{FILE}[shaping]\nalpha = 1.5\n"),
            &[],
            "0.toml:7: `shaping.alpha` is 1.5, expected a number from 0 to 1",
        );
        check(
            FILE,
            &["optimizer=3"],
            "--set optimizer=3: `optimizer` is integer `3`, expected a table with keys",
        );
        check(
            FILE,
            &["model=18446744073709551616"],
            "--set model=18446744073709551616: `model` is integer `18446744073709551616`, expected a path",
        );
        check(
            FILE,
            &["advantage.gtpo.gamma=99999999999999999999"],
            "--set advantage.gtpo.gamma=99999999999999999999: \
             `advantage.gtpo.gamma` is 99999999999999999999, expected a number from 0 to 1",
        );
        check("[env.qa]\npath = \"p\"\n", &[], "0.toml: missing key `model`");
        check("model = \"m\"\n\n[env.qa]\n", &[], "0.toml:3: missing key `path` in [env.qa]");
    }

    #[test]
    fn a_broken_file_or_set_is_named() {
        check("model = \"m\n", &[], "0.toml:1: invalid basic string, expected `\"`");
        check("model = \"m\"\n[env.qa\n", &[], "0.toml:2: unclosed table, expected `]`");
        check("model = \"m\"\nmodel = \"n\"\n", &[], "0.toml:2: duplicate key");
        let how = "\n  hint: write --set key.path=value, for example --set advantage.gtpo.gamma=1.0";
        for (set, reason) in [
            ("advantage", "no `=`"),
            ("=3", "`` is not a key"),
            ("optimizer..lr=3", "`optimizer..lr` is not a key"),
            ("optimizer.lr=", "no value"),
        ] {
            check(FILE, &[set], &format!("--set {set}: {reason}{how}"));
        }
        check(
            FILE,
            &["env.arithmetic.levels=[2"],
            "--set env.arithmetic.levels=[2: unclosed array, expected `]`",
        );
    }

    #[test]
    fn a_missing_file_is_named_and_so_is_its_neighbour() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tiny.toml"), FILE).unwrap();
        let path = folder.path().join("tny.toml");
        let error = load::<Run>(Some(&path), &[], &[]).unwrap_err();
        assert_eq!(error.place, path.display().to_string());
        assert!(error.message.starts_with("cannot read: No such file"), "{error}");
        let near = folder.path().join("tiny.toml").display().to_string();
        assert_eq!(error.hint, Some(format!("did you mean {near}?")));
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
        let error = load_score(None, &[], &sets(&["train.steps=3"])).unwrap_err().to_string();
        assert!(error.starts_with("--set train.steps=3: unknown key `train`"), "{error}");
        let error = load_score(None, &[], &sets(&["model=m", "train.stepz=3"])).unwrap_err().to_string();
        assert!(error.contains("did you mean `steps`?"), "a run file is checked as one: {error}");
    }
}
