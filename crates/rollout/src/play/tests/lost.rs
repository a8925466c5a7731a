//! A fault of one trajectory costs that one, and the size of a turn has a limit.

use std::collections::BTreeSet;

use turnwise_envs::Env;
use turnwise_tools::executor::Scripted;
use turnwise_trajectory::{CallRecord, Completion, Message, OutputStatus, Role, Stop, TokenId, ToolOutput};

use super::{LIMITS, Speaker, arithmetic, fenced, game, program, spoken};
use crate::chat::{ChatError, ChatFormat};
use crate::context::Context;
use crate::limits::{Limits, TURN_BYTES};
use crate::play::*;
use crate::testing::chat;
use crate::turn_end::TurnEnd;

/// Refuses conversations that contain a word.
struct Picky<'a>(&'a dyn ChatFormat, &'a str);

impl Picky<'_> {
    fn look(&self, messages: &[Message]) -> Result<(), ChatError> {
        let refused = messages.iter().any(|message| message.content.contains(self.1));
        if refused { Err(ChatError::Refused("no such word".into())) } else { Ok(()) }
    }
}

impl ChatFormat for Picky<'_> {
    fn open(&self, messages: &[Message]) -> Result<Vec<TokenId>, ChatError> {
        self.look(messages)?;
        self.0.open(messages)
    }

    fn follow(&self, messages: &[Message], closed: bool) -> Result<Vec<TokenId>, ChatError> {
        self.look(messages)?;
        self.0.follow(messages, closed)
    }

    fn stop_tokens(&self) -> &[TokenId] {
        self.0.stop_tokens()
    }

    fn text(&self, tokens: &[TokenId]) -> String {
        self.0.text(tokens)
    }

    fn bytes(&self, token: TokenId) -> Vec<u8> {
        self.0.bytes(token)
    }

    fn tokens(&self, text: &str) -> Vec<TokenId> {
        self.0.tokens(text)
    }
}

/// Gives up the turns of one sample, and takes the others from a function.
struct GivesUp<'a>(u32, &'a dyn Fn(&Context<'_>) -> Completion);

impl Policy for GivesUp<'_> {
    fn serve(&mut self, turns: &Turns<'_>, _: &TurnEnd<'_>) -> Result<(), PolicyError> {
        while let Some(context) = turns.take() {
            if context.sample == self.0 {
                turns.lose(context.index, "the server has no answer".into());
            } else {
                turns.answer(context.index, self.1(&context));
            }
        }
        Ok(())
    }
}

fn samples(played: &Played) -> Vec<Vec<u32>> {
    played.groups.iter().map(|group| group.iter().map(|t| t.sample).collect()).collect()
}

#[test]
fn a_conversation_that_the_template_refuses_costs_its_trajectory() {
    let (env, chat, fenced) = (arithmetic(), chat(), fenced());
    let call = |sample: u32| format!("```python\nprint({sample}+1)\n```");
    let says = |_: &str, sample: u32, turn| {
        let first = call(sample);
        spoken(&chat, if turn == 0 { &first } else { "Answer: 1" })
    };
    // An observation of sample 1 alone.
    let odd = fenced.parse(&call(1)).remove(0).unwrap();
    let executor = Scripted::new().prints(&program(&env, &odd), "forbidden");
    let picky = Picky(&chat, "forbidden");
    let game = Game { chat: &picky, ..game(&env, &chat, &*fenced, &executor) };
    let tasks = [&env.train()[0], &env.train()[1]];
    let mut ended = Vec::new();
    let mut tell = |done, all| ended.push((done, all));
    let played = play(&game, &tasks, 3, &mut Speaker::new(&says), &mut tell).unwrap();
    assert_eq!(samples(&played), [[0, 2], [0, 2]]);
    let lost: Vec<(&str, u32)> = played.lost.iter().map(|lost| (lost.task.as_str(), lost.sample)).collect();
    assert_eq!(lost, [(tasks[0].id.as_str(), 1), (tasks[1].id.as_str(), 1)]);
    assert!(played.lost[0].reason.contains("the chat template refuses"), "{}", played.lost[0]);
    assert_eq!(ended.last(), Some(&(6, 6)));
}

#[test]
fn a_prompt_that_the_template_refuses_costs_its_task() {
    let (env, chat, fenced, nothing) = (arithmetic(), chat(), fenced(), Scripted::new());
    let mut odd = env.train()[0].clone();
    odd.id = "odd".into();
    odd.messages[0].content += " forbidden";
    let picky = Picky(&chat, "forbidden");
    let game = Game { chat: &picky, ..game(&env, &chat, &*fenced, &nothing) };
    let says = |_: &str, _, _| spoken(&chat, "Answer: 1");
    let tasks = [&odd, &env.train()[1]];
    let played = play(&game, &tasks, 2, &mut Speaker::new(&says), &mut |_, _| {}).unwrap();
    assert_eq!(samples(&played), [vec![], vec![0, 1]]);
    assert!(played.lost.iter().all(|lost| lost.task == "odd") && played.lost.len() == 2);
}

#[test]
fn a_turn_that_the_policy_gives_up_costs_its_trajectory() {
    let (env, chat, fenced, nothing) = (arithmetic(), chat(), fenced(), Scripted::new());
    let game = game(&env, &chat, &*fenced, &nothing);
    let says = |_: &Context<'_>| spoken(&chat, "Answer: 1");
    for (gone, expect) in [(0, vec![1, 2]), (2, vec![0, 1]), (9, vec![0, 1, 2])] {
        let mut policy = GivesUp(gone, &says);
        let played = play(&game, &[&env.train()[0]], 3, &mut policy, &mut |_, _| {}).unwrap();
        assert_eq!(samples(&played), std::slice::from_ref(&expect));
        assert_eq!(played.lost.len(), 3 - expect.len());
    }
}

#[test]
fn a_task_that_is_drawn_twice_is_told_apart() {
    let (env, chat, fenced, nothing) = (arithmetic(), chat(), fenced(), Scripted::new());
    let game = game(&env, &chat, &*fenced, &nothing);
    let seen = std::sync::Mutex::new(BTreeSet::new());
    let says = |context: &Context<'_>| {
        let place = (context.task.to_string(), context.occurrence, context.sample, context.turn);
        assert!(seen.lock().unwrap().insert(place), "two turns share a random stream");
        spoken(&chat, "Answer: 1")
    };
    let (a, b) = (&env.train()[0], &env.train()[1]);
    play(&game, &[a, b, a, a], 2, &mut GivesUp(9, &says), &mut |_, _| {}).unwrap();
    let times = |task: &Task| -> BTreeSet<u32> {
        seen.lock().unwrap().iter().filter(|place| place.0 == task.id).map(|place| place.1).collect()
    };
    assert_eq!((times(a), times(b)), (BTreeSet::from([0, 1, 2]), BTreeSet::from([0])));
}

#[test]
fn calls_beyond_the_limit_of_a_turn_are_rejected_and_told() {
    let (env, chat, fenced, nothing) = (arithmetic(), chat(), fenced(), Scripted::new());
    let limits = Limits { turn_tokens: 2000, tokens: 9000, turn_calls: 3, ..LIMITS };
    let game = Game { limits, ..game(&env, &chat, &*fenced, &nothing) };
    let calls = "```python\nprint(1+1)\n```\n".repeat(8);
    let says = |_: &str, _, turn| spoken(&chat, if turn == 0 { calls.as_str() } else { "Answer: 2" });
    let played = play(&game, &[&env.train()[0]], 1, &mut Speaker::new(&says), &mut |_, _| {}).unwrap();
    let trajectory = &played.groups[0][0];
    let outputs: Vec<&ToolOutput> = trajectory.turns[0]
        .calls
        .iter()
        .map(|call| match call {
            CallRecord::Executed { output, .. } => output,
            CallRecord::Malformed(call) => panic!("{call:?}"),
        })
        .collect();
    let rejected = |output: &&&ToolOutput| output.status == OutputStatus::Rejected;
    assert_eq!((outputs.len(), outputs.iter().filter(rejected).count()), (8, 5));
    assert!(outputs[..3].iter().all(|output| output.status != OutputStatus::Rejected));
    assert_eq!(outputs[3].error.as_deref(), Some("not run: a turn runs at most 3 calls"));
    assert!(chat.text(&trajectory.turns[0].observation).contains("not run: a turn runs at most 3 calls"));
    assert_eq!(trajectory.stop, Stop::Answer);
}

#[test]
fn an_endless_reply_is_a_turn_that_was_cut_off() {
    use crate::remote::Transcript;
    let (env, fenced, nothing) = (arithmetic(), fenced(), Scripted::new());
    let transcript = Transcript::default();
    let local = chat();
    let game = Game { chat: &transcript, ..game(&env, &local, &*fenced, &nothing) };
    let text = "é".repeat(TURN_BYTES);
    let says = |_: &str, _, _| {
        let tokens = transcript.follow(&[Message::new(Role::Assistant, text.as_str())], true);
        Completion { tokens: tokens.unwrap(), logprobs: vec![0.0], ..Completion::default() }
    };
    let played = play(&game, &[&env.train()[0]], 1, &mut Speaker::new(&says), &mut |_, _| {}).unwrap();
    let trajectory = &played.groups[0][0];
    assert_eq!((trajectory.stop, trajectory.turns.len()), (Stop::Truncated, 1));
    assert!(trajectory.turns[0].text.len() <= TURN_BYTES && text.starts_with(&trajectory.turns[0].text));
}
