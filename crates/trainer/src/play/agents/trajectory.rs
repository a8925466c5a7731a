//! From what happened in a session to a trajectory.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use turnwise_envs::Verdict;
use turnwise_rollout::chat::{ChatFormat, Read};
use turnwise_serve::{Reached, Said, Told, Transcript};
use turnwise_trajectory::{Branch, CallRecord, Finish, OutputStatus, Stop, ToolOutput, Trajectory, Turn};

/// Holds a trajectory of an agent before it is judged.
pub(super) struct AgentTrajectory {
    pub(super) trajectory: Trajectory,
    /// The number of each turn's call, by arrival.
    numbers: Vec<u32>,
    /// Whether the first call offered tools.
    offers_tools: bool,
    /// Whether a request gave rewards.
    pub(super) is_rewarded: bool,
    reached: Option<Reached>,
}

/// Returns the trajectory of a session. A call that continues the one before it is its next turn; another one
/// is a branch.
///
/// - `one_call`: whether the first call of a tool ends its turn
pub(super) fn trajectory(
    transcript: Transcript,
    (task, sample): (&str, u32),
    chat: &dyn ChatFormat,
    (one_call, version): (bool, u64),
) -> AgentTrajectory {
    let Transcript { calls, reached } = transcript;
    let mut played =
        Trajectory { task: task.into(), sample, prompt: vec![], turns: vec![], stop: Stop::Answer };
    let numbers = calls.iter().map(|told| told.number).collect();
    let offers = |told: &Told| told.dialogue.as_ref().is_some_and(|dialogue| !dialogue.tools().is_empty());
    let offers_tools = calls.first().is_some_and(offers);
    let mut continued = BTreeSet::new();
    for (place, told) in calls.into_iter().enumerate() {
        let mut turn = turn(&told, chat, one_call, version);
        let Told { parent, context, diverged, said, .. } = told;
        if let Some(parent) = parent.filter(|parent| continued.insert(*parent)) {
            answer(&mut played.turns[parent], said);
        }
        match place.checked_sub(1) {
            // Nothing was sampled before it.
            None => played.prompt = context,
            Some(before) if parent == Some(before) && !diverged => {
                played.turns[before].observation = context;
            }
            Some(_) => turn.branch = Some(Branch { parent, context, diverged }),
        }
        played.turns.push(turn);
    }
    played.stop = stop(&played, reached);
    let is_rewarded = played.turns.iter().any(|turn| !turn.rewards.is_empty());
    AgentTrajectory { trajectory: played, numbers, offers_tools, is_rewarded, reached }
}

/// Returns the turn of a call.
fn turn(told: &Told, chat: &dyn ChatFormat, one_call: bool, version: u64) -> Turn {
    let Read { text, calls } = match &told.dialogue {
        Some(dialogue) => dialogue.read(&told.forced, &told.tokens, told.finish, one_call),
        None => Read { text: chat.text(&told.tokens), calls: Vec::new() },
    };
    let record = |call| match call {
        Ok(call) => CallRecord::Executed { call, output: ToolOutput::of(OutputStatus::Ok) },
        Err(malformed) => CallRecord::Malformed(malformed),
    };
    Turn {
        tokens: told.tokens.clone(),
        logprobs: told.logprobs.clone(),
        text,
        finish: told.finish,
        calls: calls.into_iter().map(record).collect(),
        version,
        rewards: told.rewards.clone(),
        ..Turn::default()
    }
}

/// Adds what the agent answered to a turn: outputs of its calls, and a message.
fn answer(turn: &mut Turn, said: Said) {
    let Said { outputs, reply } = said;
    // An agent may answer malformed calls as well.
    let all = outputs.len() >= turn.calls.len();
    let mut outputs = outputs.into_iter();
    for call in &mut turn.calls {
        match call {
            CallRecord::Executed { output, .. } => {
                if let Some(text) = outputs.next() {
                    *output = ToolOutput::says(text);
                }
            }
            CallRecord::Malformed(_) if all => drop(outputs.next()),
            CallRecord::Malformed(_) => {}
        }
    }
    turn.reply = reply;
}

/// Returns the reason for the end of a trajectory. A cut turn ends its sequence, and the trajectory if that
/// has no other.
fn stop(played: &Trajectory, reached: Option<Reached>) -> Stop {
    match (played.turns.last(), reached) {
        (_, Some(Reached::Calls)) => Stop::TurnLimit,
        (_, Some(Reached::Context)) => Stop::ContextLimit,
        (Some(last), None) if last.finish == Finish::Length && played.sequences().len() == 1 => {
            Stop::Truncated
        }
        (Some(last), None) if !last.calls.is_empty() => Stop::Done,
        _ => Stop::Answer,
    }
}

impl AgentTrajectory {
    /// Returns whether tools were on offer, and the first turn neither calls one nor gets a user's reply.
    pub(super) fn lacks_first_call(&self) -> bool {
        let says_only = |turn: &Turn| turn.calls.is_empty() && turn.reply.is_none();
        self.offers_tools && self.trajectory.turns.first().is_some_and(says_only)
    }

    /// Returns why a limit of the run refused a call, as the end of a message; empty where none did.
    pub(super) fn refusal(&self) -> &'static str {
        match self.reached {
            Some(Reached::Calls) => ": the run's rollout.max_turns had been reached",
            Some(Reached::Context) => {
                ": its prompt doesn't fit into rollout.max_tokens or the model's context; hint: shorter tools and \
                 messages, or rollout.describe_tools = false"
            }
            None => "",
        }
    }

    /// Returns whether a limit of the run refused a call, or cut off the last turn. A program's own
    /// `max_tokens` is no limit of the run: it ends a turn as [`Finish::Asked`].
    pub(super) fn is_cut_off(&self) -> bool {
        let last = self.trajectory.turns.last();
        self.reached.is_some() || last.is_some_and(|last| last.finish == Finish::Length)
    }

    /// Adds the rewards of a verdict. Those of turns belong to the answered calls, in the order in which they
    /// asked: a program doesn't know of calls that its client gave up and made again.
    ///
    /// # Errors
    /// If it has rewards for more calls, or sums that no turn can hold.
    pub(super) fn reward(&mut self, verdict: Verdict) -> Result<(), String> {
        let Verdict { rewards, turn_rewards, correct } = verdict;
        let mut places: Vec<usize> = (0..self.numbers.len()).collect();
        places.sort_unstable_by_key(|place| self.numbers[*place]);
        for (nth, rewards) in turn_rewards.iter().enumerate().filter(|(_, rewards)| !rewards.is_empty()) {
            let beyond = || format!("turn_rewards[{nth}]: the answered calls are {}", places.len());
            let place = places.get(nth).ok_or_else(beyond)?;
            self.trajectory.turns[*place].rewards.extend(rewards);
        }
        if let Some(last) = self.trajectory.turns.last_mut() {
            last.rewards.extend(&rewards);
            last.correct = correct;
        }
        self.trajectory.turns.iter().find_map(|turn| turn.rewards.overfull()).map_or(Ok(()), Err)
    }

    /// Returns the calls for a check, in a session of this name.
    pub(super) fn session(&self, name: &str) -> Value {
        let calls: Vec<Value> = self
            .trajectory
            .turns
            .iter()
            .zip(&self.numbers)
            .enumerate()
            .map(|(place, (turn, number))| {
                let before = place.checked_sub(1);
                let parent = turn.branch.as_ref().map_or(before, |branch| branch.parent);
                let tools: Vec<Value> = turn
                    .calls
                    .iter()
                    .filter_map(|call| match call {
                        CallRecord::Executed { call, .. } => {
                            Some(json!({"name": call.name, "arguments": call.arguments}))
                        }
                        CallRecord::Malformed(_) => None,
                    })
                    .collect();
                json!({
                    "call": number,
                    "parent": parent.map(|parent| self.numbers[parent]),
                    "text": turn.text,
                    "tool_calls": tools,
                    "token_ids": turn.tokens,
                    "rewards": turn.rewards,
                })
            })
            .collect();
        json!({"session": name, "calls": calls})
    }
}

#[cfg(test)]
mod tests {
    use turnwise_rollout::chat::ChatMl;
    use turnwise_trajectory::{Rewards, TokenId};

    use super::*;
    use crate::play::setup::tokenizer;

    fn told(number: u32, parent: Option<usize>, context: &[TokenId], tokens: &[TokenId]) -> Told {
        Told {
            number,
            parent,
            context: context.to_vec(),
            tokens: tokens.to_vec(),
            logprobs: vec![-0.5; tokens.len()],
            finish: Finish::EndOfTurn,
            diverged: false,
            rewards: Rewards::default(),
            dialogue: None,
            forced: vec![],
            said: Said::default(),
        }
    }

    fn played(calls: Vec<Told>, reached: Option<Reached>) -> AgentTrajectory {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny");
        let chat = ChatMl::new(tokenizer(&folder).unwrap()).unwrap();
        trajectory(Transcript { calls, reached }, ("t", 3), &chat, (false, 7))
    }

    #[test]
    fn a_conversation_that_grows_is_a_trajectory_without_branches() {
        let one = played(vec![told(0, None, &[1, 2], &[3]), told(1, Some(0), &[4], &[5])], None).trajectory;
        assert_eq!((one.prompt.clone(), one.tokens()), (vec![1, 2], vec![1, 2, 3, 4, 5]));
        assert_eq!(one.turns[0].observation, [4]);
        assert!(one.turns.iter().all(|turn| turn.branch.is_none() && turn.version == 7));
        assert_eq!((one.sample, one.stop), (3, Stop::Answer));
    }

    #[test]
    fn other_calls_are_branches_and_each_is_a_sequence_of_the_trajectory() {
        let mut calls = vec![
            told(0, None, &[1, 2], &[3]),
            told(2, None, &[8], &[9]),
            told(1, Some(0), &[4], &[5]),
            told(3, Some(2), &[6], &[7]),
        ];
        calls[3].diverged = true;
        let tree = played(calls, None).trajectory;
        let sequences = tree.sequences();
        assert_eq!(sequences[0].tokens, [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!((sequences[1].tokens.clone(), sequences.len()), (vec![8, 9], 2));
        assert!(sequences[0].diverged && !sequences[1].diverged);
    }

    #[test]
    fn rewards_are_on_the_calls_that_they_name() {
        let three = || {
            let calls =
                vec![told(0, None, &[1], &[2]), told(3, None, &[1], &[2]), told(1, Some(0), &[1], &[2])];
            played(calls, None)
        };
        let mut tree = three();
        let turn_rewards = ["a", "b", "c"].map(|name| {
            let rewards: Rewards = [(name, 0.5)].into_iter().collect();
            rewards
        });
        let rewards: Rewards = [("acc", 1.0)].into_iter().collect();
        let verdict = Verdict { rewards, turn_rewards: turn_rewards.to_vec(), correct: Some(true) };
        tree.reward(verdict.clone()).unwrap();
        let names = |turn: &Turn| turn.rewards.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>();
        assert_eq!(
            tree.trajectory.turns.iter().map(names).collect::<Vec<_>>(),
            [vec!["a"], vec!["c"], vec!["acc", "b"]]
        );
        assert_eq!(tree.trajectory.verdict(), Some(true));
        let mut beyond = vec![Rewards::default(); 3];
        three().reward(Verdict { turn_rewards: beyond.clone(), ..Verdict::default() }).unwrap();
        beyond.push([("p", 0.5)].into_iter().collect());
        let error = three().reward(Verdict { turn_rewards: beyond, ..verdict }).unwrap_err();
        assert_eq!(error, "turn_rewards[3]: the answered calls are 3");
        // Each half may be given, and their sum with what was posted may not.
        let mut posted = three();
        posted.trajectory.turns[2].rewards.add("acc", 1e100);
        let verdict = Verdict { rewards: [("acc", 5e99)].into_iter().collect(), ..Verdict::default() };
        assert!(posted.reward(verdict).unwrap_err().contains("a sum of rewards is above 1e100"));
        let calls = three().session("key")["calls"].clone();
        assert_eq!([&calls[1]["call"], &calls[2]["parent"]], [&json!(3), &json!(0)]);
    }

    #[test]
    fn a_limit_ends_a_trajectory_as_in_this_process() {
        let stops = |finish: Finish, reached: Option<Reached>| {
            let call = Told { finish, ..told(0, None, &[1], &[2]) };
            played(vec![call], reached).trajectory.stop
        };
        assert_eq!(stops(Finish::EndOfTurn, None), Stop::Answer);
        assert_eq!(stops(Finish::Length, None), Stop::Truncated);
        assert_eq!(stops(Finish::Asked, None), Stop::Answer, "the program's max_tokens");
        assert_eq!(stops(Finish::Length, Some(Reached::Calls)), Stop::TurnLimit);
        assert_eq!(stops(Finish::EndOfTurn, Some(Reached::Context)), Stop::ContextLimit);
    }

    #[test]
    fn a_turn_is_cut_off_by_the_runs_limits_and_not_by_the_programs() {
        let is_cut_off = |finish: Finish| {
            let call = Told { finish, ..told(0, None, &[1], &[2, 2]) };
            played(vec![call], None).is_cut_off()
        };
        assert!(is_cut_off(Finish::Length), "a limit of the run");
        assert!(!is_cut_off(Finish::Asked), "the program's max_tokens");
        assert!(!is_cut_off(Finish::EndOfTurn));
        assert!(played(vec![told(0, None, &[1], &[2])], Some(Reached::Calls)).is_cut_off());
    }

    #[test]
    fn a_cut_sequence_is_dropped_alone_wherever_it_stands() {
        use turnwise_credit::{FilterConfig, Masked};
        let filter = FilterConfig { truncated: true, ..FilterConfig::default() };
        let masked = |finishes: [Finish; 2]| {
            let calls = [told(0, None, &[1], &[2]), told(1, None, &[3], &[4])];
            let calls = calls.into_iter().zip(finishes).map(|(call, finish)| Told { finish, ..call });
            let one = played(calls.collect(), None).trajectory;
            let masks = |sequence| filter.masks(&one, &sequence);
            (one.stop.is_truncated(), one.sequences().into_iter().map(masks).collect::<Vec<_>>())
        };
        let (end, cut, asked) = (Finish::EndOfTurn, Finish::Length, Finish::Asked);
        assert_eq!(masked([end, cut]), (false, vec![None, Some(Masked::Cut)]), "the last one");
        assert_eq!(masked([cut, end]), (false, vec![Some(Masked::Cut), None]));
        assert_eq!(masked([end, asked]), (false, vec![None, None]), "the program's max_tokens");
    }

    #[test]
    fn outputs_are_those_of_the_calls_in_order() {
        let call = |text: &str| {
            let call = turnwise_trajectory::ToolCall {
                name: text.into(),
                arguments: serde_json::Map::new(),
                span: 0..0,
            };
            CallRecord::Executed { call, output: ToolOutput::of(OutputStatus::Ok) }
        };
        let malformed = || {
            CallRecord::Malformed(turnwise_trajectory::MalformedCall {
                kind: turnwise_trajectory::ViolationKind::InvalidJson,
                message: String::new(),
                span: 0..0,
            })
        };
        let outputs = |calls: Vec<CallRecord>, said: &[&str]| {
            let mut turn = Turn { calls, ..Turn::default() };
            let outputs = said.iter().map(ToString::to_string).collect();
            answer(&mut turn, Said { outputs, reply: Some("and?".into()) });
            assert_eq!(turn.reply.as_deref(), Some("and?"));
            let text = |call: &CallRecord| match call {
                CallRecord::Executed { output, .. } => output.stdout.clone(),
                CallRecord::Malformed(_) => "-".into(),
            };
            turn.calls.iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(outputs(vec![malformed(), call("a"), call("b")], &["1", "2"]), ["-", "1", "2"]);
        assert_eq!(outputs(vec![malformed(), call("a"), call("b")], &["0", "1", "2"]), ["-", "1", "2"]);
        assert_eq!(outputs(vec![call("a"), call("b")], &["1"]), ["1", ""]);
    }
}
