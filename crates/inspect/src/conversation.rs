//! A line that `turnwise rollout` wrote, as a group of one: so that conversations can be read where runs are read.
//! Nothing was learnt from it, so there are rewards and neither returns nor advantages; a server gives no tokens, so
//! turns are text.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, json};
use turnwise_trajectory::{Message, Role, TurnReward};

/// How such a line begins, and no record of a run does.
const BEGINS: &[u8] = b"{\"task\":";

#[derive(Deserialize)]
struct Conversation {
    task: String,
    level: u32,
    correct: bool,
    rewards: Vec<TurnReward>,
    #[serde(default)]
    violations: Vec<bool>,
    messages: Vec<Message>,
    played: Value,
}

/// A line of a rollout file as that of a group record; one that is a group record already, or broken, as it is.
pub(crate) fn group_line(line: &[u8]) -> Cow<'_, [u8]> {
    if !line.starts_with(BEGINS) {
        return Cow::Borrowed(line);
    }
    let group = serde_json::from_slice::<Conversation>(line).ok().and_then(Conversation::group);
    group.map_or(Cow::Borrowed(line), |group| Cow::Owned(group.to_string().into_bytes()))
}

impl Conversation {
    /// The record of a group, unless what was played isn't an object with a list of turns.
    fn group(mut self) -> Option<Value> {
        let opening: Vec<String> = self
            .messages
            .into_iter()
            .take_while(|message| message.role != Role::Assistant)
            .map(|message| message.content)
            .collect();
        // Which tokenizer they belong to isn't written down.
        let played = self.played.as_object_mut()?;
        played.insert("prompt".into(), json!([]));
        for turn in played.get_mut("turns")?.as_array_mut()? {
            let turn = turn.as_object_mut()?;
            for tokens in ["tokens", "logprobs", "observation"] {
                turn.insert(tokens.into(), json!([]));
            }
        }
        let rewards: Vec<f64> = self.rewards.iter().map(|reward| reward.acc + reward.fmt).collect();
        Some(json!({
            "group": self.task, "step": 0, "level": self.level, "estimator": "", "norm_scope": "",
            "rewards": [rewards], "returns": [], "advantages": [], "dropped": [null],
            "trajectories": [{
                "turns": self.rewards, "violations": self.violations, "correct": self.correct, "played": self.played,
                "opening": opening.join("\n\n"),
            }],
        }))
    }
}
