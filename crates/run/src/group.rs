//! A line of `rollouts/step_*.jsonl`: one group of trajectories with its credit.
//!
//! Lines of `rollouts/replaced_*.jsonl` are the same, of groups that other ones replaced. Nothing is learnt
//! from those.
//!
//! `turnwise score` reads the first two keys and the step, `replay` also the trajectories, and the viewer all
//! of it. `turnwise rollout` writes the same lines with one trajectory each, without credit.

use serde::{Deserialize, Serialize};
use turnwise_credit::ScoredTrajectory;
use turnwise_trajectory::{Message, Trajectory};

/// Holds a group and its credit. Only the first two keys are in every line.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct GroupRecord {
    /// Name of the group, usually the task's id.
    pub group: String,
    /// The trajectories.
    pub trajectories: Vec<TrajectoryRecord>,
    /// The step that played it, counted from 0.
    #[serde(default)]
    pub step: usize,
    /// Difficulty of the task, as its environment defines it.
    #[serde(default)]
    pub level: u32,
    /// Number of the task in its split, in runs whose draw of tasks depends on outcomes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// The right answer, for a reader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The advantage estimator; empty in lines of `turnwise rollout`.
    #[serde(default)]
    pub estimator: String,
    /// The set over which the estimator normalises.
    #[serde(default)]
    pub norm_scope: String,
    /// `[trajectory][turn]`: rewards after shaping and normalisation.
    #[serde(default)]
    pub rewards: Vec<Vec<f64>>,
    /// `[trajectory][turn]`: discounted returns.
    #[serde(default)]
    pub returns: Vec<Vec<f64>>,
    /// `[trajectory][turn]`: advantages.
    #[serde(default)]
    pub advantages: Vec<Vec<f64>>,
    /// The filter that took each trajectory out of the loss, if one did.
    #[serde(default)]
    pub dropped: Vec<Option<String>>,
    /// Why another group took this one's place, in lines of `rollouts/replaced_*.jsonl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Replaced>,
    /// The only trajectory as a chat, in lines of `turnwise rollout`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Message>,
    /// The tools on offer in that chat, in OpenAI's form.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<serde_json::Value>,
}

/// Says when and why a group was replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// The round of the step that played the group, counted from 0.
    pub round: usize,
    /// Why it had no signal: `all_right`, `all_wrong`, `equal`, `filtered` or `lost`.
    pub reason: String,
}

/// Holds one trajectory of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrajectoryRecord {
    /// Rewards before shaping, and other inputs of estimators and filters.
    #[serde(flatten)]
    pub scored: ScoredTrajectory,
    /// Tokens, texts and calls.
    pub played: Trajectory,
    /// `[turn][token]`: the trainer's log-probability minus the sampler's when the token was trained on.
    ///
    /// Rounded to five places. Its exponential is the ratio of the loss. None for a dropped trajectory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_ratios: Option<Vec<Vec<f64>>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of a run, with a turn without calls.
    const LINE: &str = concat!(
        r#"{"group":"g","trajectories":[{"turns":[{"acc":1.0,"fmt":-0.1}],"correct":true,"code":"x","#,
        r#""violations":[true],"truncated":false,"void_turn":false,"states":["s"],"calls":[""],"#,
        r#""played":{"task":"g","sample":0,"prompt":[1],"turns":[{"tokens":[2,3],"logprobs":[-0.5,-1.25],"#,
        r#""text":"Answer: 4","finish":"end_of_turn","calls":[],"observation":[],"version":0}],"stop":"answer"},"#,
        r#""log_ratios":[[0.00012,-0.5]]}],"step":7,"level":2,"expected":"4","estimator":"gtpo","#,
        r#""norm_scope":"pooled","rewards":[[0.9]],"returns":[[0.9]],"advantages":[[0.0]],"#,
        r#""dropped":["zero_variance"]}"#
    );

    #[test]
    fn a_line_is_read_and_written_to_the_byte() {
        let record: GroupRecord = serde_json::from_str(LINE).unwrap();
        assert_eq!(serde_json::to_string(&record).unwrap(), LINE);
    }

    #[test]
    fn a_replaced_group_says_why() {
        let line = LINE.replace(r#""level":2"#, r#""level":2,"index":5"#);
        let line = format!(r#"{},"replaced":{{"round":1,"reason":"all_wrong"}}}}"#, &line[..line.len() - 1]);
        let record: GroupRecord = serde_json::from_str(&line).unwrap();
        assert_eq!(record.replaced, Some(Replaced { round: 1, reason: "all_wrong".into() }));
        assert_eq!(serde_json::to_string(&record).unwrap(), line);
    }

    #[test]
    fn a_line_needs_no_more_than_its_trajectories() {
        let start = LINE.find(r#","log_ratios""#).unwrap();
        let record: GroupRecord = serde_json::from_str(&format!("{}}}]}}", &LINE[..start])).unwrap();
        assert_eq!((record.step, record.level, record.expected.as_deref()), (0, 0, None));
        assert!(record.rewards.is_empty() && record.trajectories[0].log_ratios.is_none());
    }
}
