//! Rollouts of an earlier run, read back: what `replay` trains on instead of playing.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use turnwise_model::ModelConfig;
use turnwise_rollout::Played;
use turnwise_trajectory::{Group, ScoredTrajectory, Trajectory};

use crate::error::TrainError;

/// The rollouts of one step, with the turn rewards that they earned then.
#[derive(Debug, Clone)]
pub struct StepRollouts {
    /// Level of each group's task.
    pub levels: Vec<u32>,
    /// Right answer of each group's task; empty where a record lacks it.
    pub answers: Vec<String>,
    /// Trajectories by group.
    pub played: Played,
    /// Their turn rewards, before shaping.
    pub groups: Vec<Group>,
}

/// What `replay` needs of a line of `rollouts/step_*.jsonl`.
#[derive(Deserialize)]
struct GroupLine {
    group: String,
    trajectories: Vec<TrajectoryLine>,
    #[serde(default)]
    level: u32,
    #[serde(default)]
    expected: String,
}

#[derive(Deserialize)]
struct TrajectoryLine {
    #[serde(flatten)]
    scored: ScoredTrajectory,
    played: Trajectory,
}

/// The rollouts that a run directory holds.
#[derive(Debug, Clone)]
pub struct Recorded {
    folder: PathBuf,
}

impl Recorded {
    /// The rollouts of a run. Fails if the first step's are not there.
    pub fn open(run: &Path) -> Result<Self, TrainError> {
        let recorded = Self { folder: run.join("rollouts") };
        if recorded.steps() == 0 {
            let first = recorded.path(0);
            return Err(TrainError::Input(format!(
                "{}: there are no rollouts to replay\n  hint: name the directory of a run that has made a step",
                first.display()
            )));
        }
        Ok(recorded)
    }

    /// The directory of the run.
    pub(crate) fn run(&self) -> &Path {
        self.folder.parent().unwrap_or(&self.folder)
    }

    /// How many steps are there, from the first on without a gap.
    pub fn steps(&self) -> usize {
        let mut steps = 0;
        while self.path(steps).is_file() {
            steps += 1;
        }
        steps
    }

    fn path(&self, step: usize) -> PathBuf {
        self.folder.join(format!("step_{step:05}.jsonl"))
    }

    /// The rollouts of a step. A model of this configuration must be able to read them.
    pub fn step(&self, step: usize, model: &ModelConfig) -> Result<StepRollouts, TrainError> {
        let path = self.path(step);
        let text = turnwise_files::read_to_string(&path, turnwise_files::TEXT)
            .map_err(|e| TrainError::Input(format!("{}: cannot read: {e}", path.display())))?;
        let mut all = StepRollouts {
            levels: Vec::new(),
            answers: Vec::new(),
            played: Played::default(),
            groups: Vec::new(),
        };
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let bad =
                |message: String| TrainError::Input(format!("{}:{}: {message}", path.display(), at + 1));
            let line: GroupLine = serde_json::from_str(line)
                .map_err(|e| bad(format!("not a group of recorded rollouts: {e}")))?;
            let (mut scored, mut played) = (Vec::new(), Vec::new());
            for trajectory in line.trajectories {
                check(&trajectory, model).map_err(bad)?;
                // Records of earlier versions have another idea of what is truncated.
                let truncated = trajectory.played.stop.is_truncated();
                scored.push(ScoredTrajectory { kl: Vec::new(), truncated, ..trajectory.scored });
                played.push(trajectory.played);
            }
            all.levels.push(line.level);
            all.answers.push(line.expected);
            all.played.groups.push(played);
            all.groups.push(Group { group: line.group, trajectories: scored });
        }
        Ok(all)
    }
}

/// What the rest of a step takes for granted of a trajectory.
fn check(line: &TrajectoryLine, model: &ModelConfig) -> Result<(), String> {
    let (scored, played) = (&line.scored, &line.played);
    let name = format!("trajectory {} of {}", played.sample, played.task);
    if scored.turns.len() != played.turns.len() {
        return Err(format!(
            "{name} has {} turn rewards for {} turns",
            scored.turns.len(),
            played.turns.len()
        ));
    }
    if !(scored.violations.is_empty() || scored.violations.len() == played.turns.len()) {
        return Err(format!(
            "{name} has {} violation flags for {} turns",
            scored.violations.len(),
            played.turns.len()
        ));
    }
    for (j, turn) in played.turns.iter().enumerate() {
        if turn.tokens.len() != turn.logprobs.len() {
            return Err(format!(
                "{name}, turn {j}: {} log-probabilities for {} tokens",
                turn.logprobs.len(),
                turn.tokens.len()
            ));
        }
    }
    let (size, context) = (model.vocab_size, model.context());
    if played.len() > context {
        return Err(format!("{name} has {} tokens, the model's context ends at {context}", played.len()));
    }
    match played.tokens().into_iter().find(|&token| token as usize >= size) {
        Some(token) => Err(format!("{name}: token {token} is not in the model's vocabulary of {size}")),
        None if played.prompt.is_empty() => Err(format!("{name} has no prompt")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use turnwise_model::{Heads, RopeConfig};

    use super::*;

    fn model() -> ModelConfig {
        let heads = Heads {
            query: 1,
            key_value: 1,
            dim: 8,
            qkv_bias: false,
            output_bias: false,
            qk_norm: false,
            sliding_window: None,
        };
        ModelConfig {
            vocab_size: 16,
            hidden_size: 8,
            intermediate_size: 8,
            num_layers: 1,
            heads,
            max_position: 8,
            norm_eps: 1e-6,
            rope: RopeConfig { theta: 10_000.0, scaling: None },
            tied_embeddings: true,
            mlp_bias: false,
        }
    }

    const LINE: &str = r#"{"group":"g","trajectories":[{"turns":[{"acc":1.0,"fmt":0.0}],"correct":true,"kl":[0.5],"played":{"task":"t","sample":2,"prompt":[1,2],"turns":[{"tokens":[3,4],"logprobs":[-0.5,-1.25],"text":"x","finish":"end_of_turn","calls":[],"observation":[]}],"stop":"answer"}}],"step":0,"level":3,"advantages":[[0.0]]}"#;

    fn read(lines: &str) -> Result<StepRollouts, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("rollouts")).unwrap();
        std::fs::write(folder.path().join("rollouts/step_00000.jsonl"), lines).unwrap();
        let recorded = Recorded::open(folder.path()).unwrap();
        assert_eq!(recorded.steps(), 1);
        let shown = format!("{}/", folder.path().join("rollouts").display());
        recorded.step(0, &model()).map_err(|error| error.to_string().replace(&shown, ""))
    }

    #[test]
    fn a_group_is_what_was_played_and_what_it_earned_then() {
        let read = read(&format!("{LINE}\n\n{LINE}\n")).unwrap();
        assert_eq!((read.levels, read.groups.len(), read.played.groups.len()), (vec![3, 3], 2, 2));
        let (scored, played) = (&read.groups[0].trajectories[0], &read.played.groups[0][0]);
        assert_eq!((scored.turns[0].acc, played.turns[0].logprobs[1]), (1.0, -1.25));
        assert!(scored.kl.is_empty(), "the reference of that run isn't ours");
    }

    #[test]
    fn words_of_an_older_record_mean_what_they_mean_now() {
        // Without flags a negative format reward is a violation, and a limit of turns is a truncation.
        let old = LINE.replace(r#""fmt":0.0"#, r#""fmt":-0.1"#).replace(r#""answer""#, r#""turn_limit""#);
        let scored = read(&old).unwrap().groups.remove(0).trajectories.remove(0);
        assert!(scored.violates(0) && scored.truncated);
        let flagged = old.replace(r#""correct""#, r#""violations":[false],"correct""#);
        assert!(!read(&flagged).unwrap().groups[0].trajectories[0].violates(0));
    }

    #[test]
    fn a_broken_recording_has_its_line_and_what_is_wrong() {
        let check = |from: &str, to: &str, expect: &str| {
            let broken = LINE.replace(from, to);
            assert_ne!(broken, LINE, "{from}");
            let error = read(&format!("{LINE}\n{broken}\n")).unwrap_err();
            let expect = format!("step_00000.jsonl:2: {expect}");
            assert!(error.starts_with(&expect), "{error}\n{expect}");
        };
        let name = "trajectory 2 of t";
        check("[-0.5,-1.25]", "[-0.5]", &format!("{name}, turn 0: 1 log-probabilities for 2 tokens"));
        check(r#"[{"acc":1.0,"fmt":0.0}]"#, "[]", &format!("{name} has 0 turn rewards for 1 turns"));
        let flags = r#""violations":[true,false],"correct""#;
        check(r#""correct""#, flags, &format!("{name} has 2 violation flags for 1 turns"));
        check("[3,4]", "[3,16]", &format!("{name}: token 16 is not in the model's vocabulary of 16"));
        check("[1,2]", "[]", &format!("{name} has no prompt"));
        check("[1,2]", "[1,2,1,2,1,2,1]", &format!("{name} has 9 tokens, the model's context ends at 8"));
        check("[-0.5,-1.25]", "[null,-1.25]", "not a group of recorded rollouts: invalid type: null");
        check(r#""level":3"#, "", "not a group of recorded rollouts: ");
    }

    #[test]
    fn a_run_without_rollouts_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let error = Recorded::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("step_00000.jsonl: there are no rollouts to replay\n  hint: "), "{error}");
    }
}
