//! Reads conversations that `turnwise rollout` wrote. Turns are shown as text, because no tokenizer is named
//! with them.

use std::borrow::Cow;

use serde::Deserialize;
use turnwise_credit::ScoredTrajectory;
use turnwise_run::{GroupRecord, TrajectoryRecord};
use turnwise_trajectory::{Message, Rewards, Role, Trajectory};

/// Beginning of a line of an older version; no group's line has it.
const BEGINS: &[u8] = b"{\"task\":";

/// Holds a line of an older version: a trajectory without a group.
#[derive(Deserialize)]
struct Conversation {
    task: String,
    level: u32,
    correct: bool,
    rewards: Vec<Rewards>,
    #[serde(default)]
    violations: Vec<bool>,
    messages: Vec<Message>,
    played: Trajectory,
}

/// Converts a line of an older version into one of a group; other lines stay.
pub(crate) fn group_line(line: &[u8]) -> Cow<'_, [u8]> {
    if !line.starts_with(BEGINS) {
        return Cow::Borrowed(line);
    }
    let group = serde_json::from_slice::<Conversation>(line).ok().map(Conversation::group);
    group.map_or(Cow::Borrowed(line), |group| {
        Cow::Owned(serde_json::to_vec(&group).expect("a record holds plain values"))
    })
}

/// Returns the messages before the first answer; none where tokens hold them.
pub(crate) fn opening(messages: &[Message]) -> Option<String> {
    let before = messages.iter().take_while(|message| message.role != Role::Assistant);
    let said: Vec<&str> = before.map(|message| message.content.as_str()).collect();
    (!messages.is_empty()).then(|| said.join("\n\n"))
}

/// Removes the tokens of a conversation, which have no tokenizer: its turns have their texts.
pub(crate) fn without_tokens(mut group: GroupRecord) -> GroupRecord {
    if !group.messages.is_empty() {
        for trajectory in &mut group.trajectories {
            trajectory.played.prompt.clear();
            for turn in &mut trajectory.played.turns {
                (turn.tokens, turn.logprobs, turn.observation) = (Vec::new(), Vec::new(), Vec::new());
            }
        }
    }
    group
}

impl Conversation {
    fn group(self) -> GroupRecord {
        let Self { task, level, correct, rewards, violations, messages, played } = self;
        let scored = ScoredTrajectory { turns: rewards, violations, correct, ..ScoredTrajectory::default() };
        GroupRecord {
            group: task,
            level,
            rewards: vec![scored.turns.iter().map(|reward| reward.acc() + reward.fmt()).collect()],
            dropped: vec![None],
            trajectories: vec![TrajectoryRecord { scored, played, log_ratios: None }],
            messages,
            ..GroupRecord::default()
        }
    }
}
