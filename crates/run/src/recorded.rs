//! Reads the rollouts of a run step by step: `replay` trains on them instead of playing.

use std::path::{Path, PathBuf};

use crate::error::RecordError;
use crate::group::{GroupRecord, TrajectoryRecord};
use crate::run_dir::{self, PLAYED, REPLACED};

/// Limits the tokens that a model can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelLimits {
    /// Size of its vocabulary.
    pub vocab_size: usize,
    /// Length of its context in tokens.
    pub context: usize,
}

/// Opens the rollouts of a run directory.
#[derive(Debug, Clone)]
pub struct Recorded {
    folder: PathBuf,
}

impl Recorded {
    /// Opens the rollouts of a run.
    ///
    /// # Errors
    /// If the rollouts of the first step don't exist.
    pub fn open(run: &Path) -> Result<Self, RecordError> {
        let recorded = Self { folder: run.join("rollouts") };
        if recorded.steps() == 0 {
            Err(RecordError::NoRollouts { path: recorded.path(PLAYED, 0) })
        } else {
            Ok(recorded)
        }
    }

    /// Returns the start of the run in seconds since 1970, if it is recorded.
    pub fn began(&self) -> Option<i64> {
        run_dir::began(self.folder.parent().unwrap_or(&self.folder))
    }

    /// Counts the steps from the first one to the first gap.
    pub fn steps(&self) -> usize {
        let mut steps = 0;
        while self.path(PLAYED, steps).is_file() {
            steps += 1;
        }
        steps
    }

    fn path(&self, kind: &str, step: usize) -> PathBuf {
        self.folder.join(run_dir::rollouts_name(kind, step))
    }

    /// Reads the groups that a step learned from.
    ///
    /// # Errors
    /// The system's, or file and line of a group that is broken or that the model can't read.
    pub fn step(&self, step: usize, model: ModelLimits) -> Result<Vec<GroupRecord>, RecordError> {
        groups(self.path(PLAYED, step), model)
    }

    /// Reads the groups of a step that others replaced: none, unless the run refilled its steps.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn replaced(&self, step: usize, model: ModelLimits) -> Result<Vec<GroupRecord>, RecordError> {
        let path = self.path(REPLACED, step);
        if path.is_file() { groups(path, model) } else { Ok(Vec::new()) }
    }
}

/// Reads the groups of a file.
fn groups(path: PathBuf, model: ModelLimits) -> Result<Vec<GroupRecord>, RecordError> {
    let text = match turnwise_files::read_to_string(&path, turnwise_files::TEXT) {
        Ok(text) => text,
        Err(source) => return Err(RecordError::Read { path, source }),
    };
    let read = |(at, line): (usize, &str)| {
        let bad = |message| RecordError::Broken { path: path.clone(), line: at + 1, message };
        let mut group: GroupRecord = turnwise_json::of_text(line)
            .map_err(|what| bad(format!("not a group of recorded rollouts: {what}")))?;
        for trajectory in &mut group.trajectories {
            check(trajectory, model).map_err(bad)?;
            // Earlier versions defined truncation differently.
            trajectory.scored.truncated = trajectory.played.stop.is_truncated();
            // That run's reference may differ from this run's.
            trajectory.scored.kl.clear();
        }
        Ok(group)
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(read).collect()
}

/// Checks the properties of a trajectory that learning relies on.
fn check(line: &TrajectoryRecord, model: ModelLimits) -> Result<(), String> {
    let (scored, played) = (&line.scored, &line.played);
    let name = format!("trajectory {} of {}", played.sample, played.task.escape_debug());
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
    let ModelLimits { vocab_size: size, context } = model;
    if !played.is_tree() {
        return Err(format!("{name} has a turn that continues a later one"));
    }
    let longest = played.sequences().iter().map(|sequence| sequence.tokens.len()).max().unwrap_or(0);
    if longest > context {
        return Err(format!("{name} has {longest} tokens, the model's context ends at {context}"));
    }
    match played.tokens().into_iter().find(|&token| token as usize >= size) {
        Some(token) => Err(format!("{name}: token {token} is not in the model's vocabulary of {size}")),
        None if played.prompt.is_empty() => Err(format!("{name} has no prompt")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: ModelLimits = ModelLimits { vocab_size: 16, context: 8 };

    const LINE: &str = concat!(
        r#"{"group":"g","trajectories":[{"turns":[{"acc":1.0,"fmt":0.0}],"correct":true,"kl":[0.5],"#,
        r#""played":{"task":"t","sample":2,"prompt":[1,2],"#,
        r#""turns":[{"tokens":[3,4],"logprobs":[-0.5,-1.25],"text":"x","#,
        r#""finish":"end_of_turn","calls":[],"observation":[]}],"stop":"answer"}}],"#,
        r#""step":0,"level":3,"advantages":[[0.0]]}"#,
    );

    fn read(lines: &str) -> Result<Vec<GroupRecord>, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("rollouts")).unwrap();
        std::fs::write(folder.path().join("rollouts/step_00000.jsonl"), lines).unwrap();
        let recorded = Recorded::open(folder.path()).unwrap();
        assert_eq!(recorded.steps(), 1);
        let shown = format!("{}/", folder.path().join("rollouts").display());
        recorded.step(0, MODEL).map_err(|error| error.to_string().replace(&shown, ""))
    }

    #[test]
    fn a_group_is_what_was_played_and_what_it_earned_then() {
        let read = read(&format!("{LINE}\n\n{LINE}\n")).unwrap();
        assert_eq!(read.iter().map(|group| group.level).collect::<Vec<_>>(), [3, 3]);
        let TrajectoryRecord { scored, played, .. } = &read[0].trajectories[0];
        assert_eq!((scored.turns[0].acc(), played.turns[0].logprobs[1]), (1.0, -1.25));
        assert!(scored.kl.is_empty(), "the reference of that run isn't ours");
    }

    #[test]
    fn words_of_an_older_record_mean_what_they_mean_now() {
        // Without flags a negative format reward is a violation, and a limit of turns is a truncation.
        let old = LINE.replace(r#""fmt":0.0"#, r#""fmt":-0.1"#).replace(r#""answer""#, r#""turn_limit""#);
        let scored = read(&old).unwrap().remove(0).trajectories.remove(0).scored;
        assert!(scored.violates(0) && scored.truncated);
        let flagged = old.replace(r#""correct""#, r#""violations":[false],"correct""#);
        assert!(!read(&flagged).unwrap()[0].trajectories[0].scored.violates(0));
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
        let branch = r#""observation":[],"branch":{"parent":0,"context":[1]}"#;
        check(r#""observation":[]"#, branch, &format!("{name} has a turn that continues a later one"));
        check("[1,2]", "[1,2,1,2,1,2,1]", &format!("{name} has 9 tokens, the model's context ends at 8"));
        check("[-0.5,-1.25]", "[null,-1.25]", "not a group of recorded rollouts: ");
        check(r#""level":3"#, "", "not a group of recorded rollouts: ");
    }

    #[test]
    fn a_run_without_rollouts_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let error = Recorded::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("step_00000.jsonl: there are no rollouts to replay\n  hint: "), "{error}");
    }
}
