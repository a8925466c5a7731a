#![expect(unreachable_pub, dead_code, reason = "choice! declares items for other crates")]

use serde::Deserialize;

use super::*;
use crate::{Conflict, Within, choice};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    model: PathBuf,
    #[serde(default)]
    optimizer: Optimizer,
    #[serde(default)]
    advantage: Advantage,
    env: Env,
}

impl Consistent for Run {
    fn conflict(&self) -> Option<Conflict> {
        let message = || format!("is {}, below warmup = {}", self.optimizer.steps, self.optimizer.warmup);
        (self.optimizer.steps < self.optimizer.warmup).then(|| Conflict::new("optimizer.steps", message()))
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Optimizer {
    lr: f64,
    warmup: usize,
    steps: usize,
    weight_decay: f64,
    clip_norm: f64,
}

impl Default for Optimizer {
    fn default() -> Self {
        Self { lr: 1e-6, warmup: 10, steps: 100, weight_decay: 0.0, clip_norm: 1.0 }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Estimator {
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    gamma: f64,
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    ddof: u8,
    eps: f64,
}

choice! {
    /// Names the estimator.
    pub enum Advantage {
        "gtpo" => Gtpo(Estimator),
        "grpo" => Grpo(Estimator),
        "grpo_min" => GrpoMin(Estimator),
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Env {
    Arithmetic(Arithmetic),
    Qa(Qa),
    /// Holds another choice.
    Flaky(Box<Flaky>),
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

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Flaky {
    env: Env,
}

const FILE: &str = "model = \"models/tiny\"\n[advantage.gtpo]\ngamma = 0.5\n[env.arithmetic]\nsums = true\n";

fn presets() -> Presets<'static> {
    let text = &|name: &str, layers: &Layers| {
        let advantage = layers.variant("advantage").unwrap_or_else(|| "gtpo".into());
        format!("[advantage.{advantage}]\neps = {}\n", if name == "trl" { 1e-4 } else { 1e-9 })
    };
    Presets { key: "preset", names: vec!["trl", "verl", "openrlhf"], text }
}

/// Loads `files` (the run file, then overlays) and `sets` in a temporary folder.
fn read(files: &[&str], sets: &[&str]) -> Result<Run, String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let paths: Vec<PathBuf> = (0..files.len()).map(|i| folder.path().join(format!("{i}.toml"))).collect();
    for (path, text) in paths.iter().zip(files) {
        std::fs::write(path, text).expect("a file");
    }
    let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
    let shown = format!("{}/", folder.path().display());
    let (first, overlays) = paths.split_first().map_or((None, &[][..]), |(first, rest)| (Some(first), rest));
    let layers = Layers::read(first.map(PathBuf::as_path), overlays, &sets);
    let found = layers.and_then(|layers| layers.over(&presets())?.resolve());
    found.map_err(|error: ConfigError| error.to_string().replace(&shown, ""))
}

fn check(text: &str, sets: &[&str], expect: &str) {
    assert_eq!(read(&[text], sets).expect_err("a broken config"), expect);
}

#[test]
fn layers_are_merged_in_their_order() {
    let overlay = "[optimizer]\nlr = 1\nwarmup = 3\n[env.arithmetic]\nlevels = [2, 3]\n";
    let sets = ["optimizer.lr=2e-3", "model=models/other", "advantage.gtpo.ddof=1"];
    let run = read(&[FILE, overlay], &sets).unwrap();
    assert_eq!(run.model, Path::new("models/other"), "a bare word is a string");
    let quoted = read(&[FILE], &["\"optimizer\".'lr'=2e-3"]).unwrap();
    assert_eq!(quoted.optimizer.lr, 2e-3, "keys are quoted as in TOML");
    assert_eq!((run.optimizer.lr, run.optimizer.warmup), (2e-3, 3));
    assert_eq!(run.env, Env::Arithmetic(Arithmetic { levels: vec![2, 3], sums: true }));
    let merged = Advantage::Gtpo(Estimator { gamma: 0.5, ddof: 1, eps: 0.0 });
    assert_eq!(run.advantage, merged, "keys of one variant are merged");
    assert_eq!(read(&[], &["model=m", "env=arithmetic"]).unwrap().model, Path::new("m"));
}

#[test]
fn another_variant_replaces_the_first() {
    let advantage = |sets: &[&str]| read(&[FILE], sets).unwrap().advantage;
    let gtpo = |gamma, ddof| Advantage::Gtpo(Estimator { gamma, ddof, eps: 0.0 });
    assert_eq!(advantage(&["advantage=grpo_min"]), Advantage::GrpoMin(Estimator::default()));
    assert!(matches!(advantage(&["advantage.grpo.ddof=0"]), Advantage::Grpo(_)));
    assert_eq!(advantage(&["advantage=grpo_min", "advantage.gtpo.ddof=1"]), gtpo(0.0, 1));
    assert_eq!(advantage(&["advantage=gtpo"]), gtpo(0.5, 0), "naming the same one changes nothing");
    assert_eq!(advantage(&["advantage=gtpo", "advantage.gtpo.ddof=1"]), gtpo(0.5, 1));
    assert_eq!(
        read(&[FILE], &["env=arithmetic"]).unwrap().env,
        Env::Arithmetic(Arithmetic { levels: vec![1], sums: true })
    );
    let bare = read(&["model = \"m\"\nenv = \"arithmetic\"\n"], &[]).unwrap();
    assert_eq!(bare.env, Env::Arithmetic(Arithmetic::default()), "a name alone has its defaults");
    let run = read(&[FILE], &["env.qa.path=data/gsm8k.jsonl"]).unwrap();
    assert_eq!(run.env, Env::Qa(Qa { path: "data/gsm8k.jsonl".into() }));
}

#[test]
fn a_choice_inside_a_choice_is_one_too() {
    let env =
        |sets: &[&str]| match read(&["model = \"m\"\n[env.flaky.env.qa]\npath = \"p\"\n"], sets).unwrap().env
        {
            Env::Flaky(flaky) => flaky.env,
            other => other,
        };
    assert_eq!(env(&[]), Env::Qa(Qa { path: "p".into() }));
    assert_eq!(env(&["env.flaky.env=arithmetic"]), Env::Arithmetic(Arithmetic::default()));
    let sums = Env::Arithmetic(Arithmetic { levels: vec![1], sums: true });
    assert_eq!(env(&["env.flaky.env.arithmetic.sums=true"]), sums);
}

#[test]
fn a_preset_lies_under_every_key_that_is_set() {
    let eps = |files: &[&str], sets: &[&str]| match read(files, sets).unwrap().advantage {
        Advantage::Gtpo(held) | Advantage::Grpo(held) | Advantage::GrpoMin(held) => (held.gamma, held.eps),
    };
    let preset = format!("preset = \"trl\"\n{FILE}");
    assert_eq!(eps(&[&preset], &[]), (0.5, 1e-4));
    assert_eq!(eps(&[FILE], &["preset=openrlhf"]), (0.5, 1e-9));
    assert_eq!(eps(&[&preset], &["advantage.gtpo.eps=0"]), (0.5, 0.0));
    assert_eq!(eps(&[&preset], &["advantage=grpo"]), (0.0, 1e-4));
    let known = "known here are trl, verl, openrlhf";
    check("\npreset = \"verll\"\n", &[], "0.toml:2: unknown preset `verll`\n  hint: did you mean `verl`?");
    check("preset = 3\n", &[], &format!("0.toml:1: `preset` is not a name\n  hint: {known}"));
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
        "0.toml:1: unknown key `lr`\n  hint: known here are model, optimizer, advantage, env",
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
        "0.toml:2: unknown choice `chess` for `env`\n  hint: one of arithmetic, qa, flaky",
    );
    check(
        &format!("{FILE}[env.qa]\npath = \"p\"\n"),
        &[],
        "0.toml:4: `env`: arithmetic and qa are both chosen: keep one",
    );
    check(
        &format!("{FILE}[advantage.grpo]\n"),
        &[],
        "0.toml:2: `advantage`: `grpo` and `gtpo` are both chosen: keep one",
    );
}

#[test]
fn a_wrong_value_has_its_line_its_key_and_what_is_wanted() {
    let file = format!("{FILE}[optimizer]\nlr = 1\nwarmup = \"ten\"\n");
    check(&file, &[], "0.toml:8: `optimizer.warmup` is string \"ten\", expected a whole number, 0 or more");
    check(
        FILE,
        &["optimizer.warmup=-3"],
        "--set optimizer.warmup=-3: `optimizer.warmup` is integer `-3`, expected a whole number, 0 or more",
    );
    check(
        &FILE.replace("0.5", "1.5"),
        &[],
        "0.toml:3: `advantage.gtpo.gamma` is 1.5, expected a number from 0 to 1",
    );
    check(
        FILE,
        &["optimizer=3"],
        "--set optimizer=3: `optimizer` is integer `3`, expected a table with keys",
    );
    check(FILE, &["env=3"], "--set env=3: `env`: wanted string or table");
    check(
        FILE,
        &["env.arithmetic.levels=[1,\"x\"]"],
        "--set env.arithmetic.levels=[1,\"x\"]: `env.arithmetic.levels` is string \"x\", \
         expected a whole number, 0 or more",
    );
    check(
        FILE,
        &["env.arithmetic.levels=2 3"],
        "--set env.arithmetic.levels=2 3: `env.arithmetic.levels` is string \"2 3\", expected an array\n  \
         hint: for example [2, 3]",
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
    check("model = \"m\"\nenv = \"qa\"\n", &[], "0.toml:2: missing key `path` in [env.qa]");
}

#[test]
fn keys_that_do_not_go_together_have_the_place_of_the_one_to_change() {
    let file = format!("{FILE}[optimizer]\nsteps = 3\n");
    check(&file, &[], "0.toml:7: `optimizer.steps` is 3, below warmup = 10");
    check(FILE, &["optimizer.steps=3"], "--set optimizer.steps=3: `optimizer.steps` is 3, below warmup = 10");
    check(
        &format!("{FILE}\n[optimizer]\nlr = 1\n"),
        &["optimizer.warmup=200"],
        "0.toml:7: `optimizer.steps` is 100, below warmup = 200",
    );
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
        ("optimizer.\"lr=3", "`optimizer.\"lr` is not a key"),
        ("\"optimizer\"lr=3", "`\"optimizer\"lr` is not a key"),
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
    let error = Layers::read(Some(&path), &[], &[]).unwrap_err();
    assert_eq!(error.place, path.display().to_string());
    assert!(error.message.starts_with("cannot read: No such file"), "{error}");
    let near = folder.path().join("tiny.toml").display().to_string();
    assert_eq!(error.hint, Some(format!("did you mean {near}?")));
}
