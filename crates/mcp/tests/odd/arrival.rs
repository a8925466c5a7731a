//! Every output arrives at the right call of the right trajectory, whatever the server does.

use std::path::Path;

use proptest::prelude::*;
use serde_json::json;
use turnwise_envs::{Env, EnvConfig};
use turnwise_mcp::{McpConfig, Per, Server, WithTools};
use turnwise_rollout::chat::ChatFormat;
use turnwise_rollout::remote::Transcript;
use turnwise_rollout::{Completion, Game, Limits, Played, Policy, PolicyError, TurnEnd, Turns, play};
use turnwise_tools::executor::{Echo, ExecutorConfig};
use turnwise_tools::{CallFormat, FormatName};
use turnwise_trajectory::{CallRecord, Message, OutputStatus, Role, Stop, ToolCall};

use crate::odd;

/// A call: its tool, and what the server does.
#[derive(Debug, Clone)]
struct Call {
    tool: &'static str,
    how: &'static str,
    /// The server does it in the first play only.
    once: bool,
}

impl Call {
    fn is_fault(&self) -> bool {
        HOWS[8..].contains(&self.how)
    }
}

/// Everything that a server may do. The first eight are answers.
const HOWS: [&str; 13] = [
    "ok", "ok", "ok", "ok", "fails", "refused", "slow", "chats", "dies", "lies", "nonsense", "neither",
    "closes",
];

/// Turns of one trajectory, and their calls.
type Script = Vec<Vec<Call>>;

fn place(sample: usize, turn: usize, position: usize) -> String {
    format!("{sample}/{turn}/{position}")
}

/// Speaks the scripts: an answer follows the last turn with calls.
struct Speaker<'a> {
    transcript: Transcript,
    format: Box<dyn CallFormat>,
    scripts: &'a [Script],
    /// The folder in which faults that happen once leave their marks.
    marks: &'a Path,
}

impl Speaker<'_> {
    fn says(&self, sample: usize, turn: usize) -> String {
        let Some(calls) = self.scripts[sample].get(turn) else { return "Answer: 1".into() };
        let call = |(position, call): (usize, &Call)| {
            let mark = self.marks.join(format!("{sample}-{turn}-{position}"));
            let how = if call.once { format!("{} {}", call.how, mark.display()) } else { call.how.into() };
            let arguments = json!({"place": place(sample, turn, position), "how": how});
            let arguments = arguments.as_object().expect("an object").clone();
            self.format.render(&ToolCall { name: call.tool.into(), arguments, span: 0..0 })
        };
        calls.iter().enumerate().map(call).collect::<Vec<_>>().join("\n")
    }
}

impl Policy for Speaker<'_> {
    fn serve(&mut self, turns: &Turns<'_>, _: &TurnEnd<'_>) -> Result<(), PolicyError> {
        while let Some(context) = turns.take() {
            let text = self.says(context.sample as usize, context.turn);
            let tokens =
                self.transcript.follow(&[Message::new(Role::Assistant, text)], true).expect("messages");
            let logprobs = vec![0.0; tokens.len()];
            turns.answer(context.index, Completion { tokens, logprobs, ..Completion::default() });
        }
        Ok(())
    }
}

fn played(scripts: &[Script], config: &McpConfig) -> Played {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let env: EnvConfig = serde_json::from_value(json!({"arithmetic": {"train_tasks": 1}})).expect("an env");
    let env = env.open(&ExecutorConfig::default()).expect("arithmetic opens");
    let servers = vec![Server::open("odd", config).unwrap_or_else(|error| panic!("{error}"))];
    let env = WithTools::new(env, servers).expect("other names");
    let (transcript, format) = (Transcript::default(), FormatName::Hermes.build());
    let limits = Limits { turns: 8, turn_tokens: 200, tokens: 2000, observation_tokens: 200, turn_calls: 8 };
    let game = Game {
        env: &env,
        chat: &transcript,
        format: &*format,
        executor: &Echo,
        limits,
        describe_tools: true,
        stop_at_call: false,
        keep_state: false,
    };
    let format = FormatName::Hermes.build();
    let mut speaker = Speaker { transcript: transcript.clone(), format, scripts, marks: folder.path() };
    play(&game, &[&env.train()[0]], scripts.len() as u32, &mut speaker, &mut |_, _| {})
        .expect("a script speaks")
}

/// Returns status and text of each call of each turn.
fn outputs(played: &Played, at: usize) -> Vec<Vec<(OutputStatus, String)>> {
    let output = |call: &CallRecord| match call {
        CallRecord::Executed { output, .. } => (output.status, output.stdout.clone()),
        CallRecord::Malformed(call) => panic!("{call:?}"),
    };
    let turns = &played.groups[0][at].turns;
    turns.iter().map(|turn| turn.calls.iter().map(output).collect()).collect()
}

fn script(hows: &'static [&'static str], once: bool) -> impl Strategy<Value = Script> {
    let tool = prop_oneof![Just("left"), Just("right")];
    let call = (tool, proptest::sample::select(hows), any::<bool>());
    let call = call.prop_map(move |(tool, how, drawn)| Call { tool, how, once: once && drawn });
    proptest::collection::vec(proptest::collection::vec(call, 1..4), 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(8) })]

    /// A server per trajectory sees its calls alone and in order; a fault costs its trajectory a second play,
    /// and another fault costs the trajectory.
    #[test]
    fn a_trajectory_has_its_server_to_itself(
        scripts in proptest::collection::vec(
            script(&HOWS, true),
            1..5,
        ),
        at_once in 1_usize..4,
    ) {
        let played = played(&scripts, &McpConfig { at_once, ..odd(&[]) });
        let lost = |script: &Script| {
            let faults: Vec<&Call> = script.iter().flatten().filter(|call| call.is_fault()).collect();
            faults.len() > 1 || faults.iter().any(|call| !call.once)
        };
        let expect: Vec<u32> = (0..scripts.len() as u32).filter(|&at| lost(&scripts[at as usize])).collect();
        prop_assert_eq!(played.lost.iter().map(|lost| lost.sample).collect::<Vec<_>>(), expect);
        for (at, trajectory) in played.groups[0].iter().enumerate() {
            prop_assert_eq!(trajectory.stop, Stop::Answer);
            let (sample, mut number) = (trajectory.sample as usize, 0);
            let mut expect = Vec::new();
            for (turn, calls) in scripts[sample].iter().enumerate() {
                expect.push(Vec::new());
                for (position, call) in calls.iter().enumerate() {
                    number += 1;
                    let said = format!("{} {number} {}", call.tool, place(sample, turn, position));
                    // The effect of a mark on the first play isn't known here.
                    let again = call.once && scripts[sample].iter().flatten().any(Call::is_fault);
                    let fails = ["fails", "refused"].contains(&call.how);
                    let either = if fails && !again { OutputStatus::Error } else { OutputStatus::Ok };
                    expect[turn].push((either, said, fails && again));
                }
            }
            expect.push(Vec::new());
            let found = outputs(&played, at);
            prop_assert_eq!(found.len(), expect.len());
            for (found, expect) in found.into_iter().flatten().zip(expect.into_iter().flatten()) {
                prop_assert_eq!(&found.1, &expect.1);
                prop_assert!(found.0 == expect.0 || expect.2, "{:?} {:?}", found, expect);
            }
        }
    }

    /// A server for all trajectories may answer in any order.
    #[test]
    fn a_runs_server_answers_each_call_with_its_place(
        scripts in proptest::collection::vec(script(&HOWS[3..8], false), 1..6),
    ) {
        let played = played(&scripts, &McpConfig { per: Per::Run, ..odd(&["--workers"]) });
        prop_assert!(played.lost.is_empty(), "{:?}", played.lost);
        for (at, script) in scripts.iter().enumerate() {
            let found = outputs(&played, at);
            prop_assert_eq!(found.len(), script.len() + 1);
            for (turn, calls) in script.iter().enumerate() {
                prop_assert_eq!(found[turn].len(), calls.len());
                for (position, call) in calls.iter().enumerate() {
                    let said = &found[turn][position].1;
                    let words: Vec<&str> = said.split(' ').collect();
                    let expect = place(at, turn, position);
                    prop_assert_eq!((words[0], words[2]), (call.tool, expect.as_str()));
                }
            }
        }
    }
}
