//! Play with scripted policies, a real tokenizer and, where it matters, real Python.

mod lost;
mod notebook;
mod openenv;
mod process;
mod sessions;

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use turnwise_envs::{Arithmetic, ArithmeticConfig, Demonstration, Env, RewardConfig, Start, score};
use turnwise_tools::executor::{Echo, PythonConfig, PythonExecutor, Scripted};
use turnwise_tools::format::FormatName;
use turnwise_tools::{CallContext, CallFormat, Executor, ExecutorFault};
use turnwise_trajectory::{Completion, Finish, Message, Role, Stop, TokenId, ToolCall, ToolOutput};

use super::*;
use crate::chat::{ChatFormat, ChatMl};
use crate::limits::Limits;
use crate::messages::opening;
use crate::testing::chat;
use crate::turn_end::TurnEnd;

/// Returns the format that writes a call as a block of Python.
pub(super) fn fenced() -> Box<dyn CallFormat> {
    FormatName::FencedPython.build()
}

pub(super) const LIMITS: Limits =
    Limits { turns: 8, turn_tokens: 200, tokens: 2000, observation_tokens: 50, turn_calls: 8 };

/// Samples a function's text of task, sample and turn, and records the contexts.
pub(super) struct Speaker<'a> {
    says: &'a dyn Fn(&str, u32, usize) -> Completion,
    /// Whether a trajectory may restart.
    again: bool,
    shown: BTreeMap<(String, u32, usize), Vec<TokenId>>,
    indices: HashMap<usize, (String, u32)>,
}

impl<'a> Speaker<'a> {
    pub(super) fn new(says: &'a dyn Fn(&str, u32, usize) -> Completion) -> Self {
        Self { says, again: false, shown: BTreeMap::new(), indices: HashMap::new() }
    }

    pub(super) fn again(says: &'a dyn Fn(&str, u32, usize) -> Completion) -> Self {
        Self { again: true, ..Self::new(says) }
    }
}

impl Policy for Speaker<'_> {
    fn serve(&mut self, turns: &Turns<'_>, _: &TurnEnd<'_>) -> Result<(), PolicyError> {
        while let Some(context) = turns.take() {
            let owner = (context.task.to_string(), context.sample);
            assert_eq!(self.indices.entry(context.index).or_insert(owner.clone()), &owner, "an index moved");
            let mut completion = (self.says)(context.task, context.sample, context.turn);
            let key = (owner.0, owner.1, context.turn);
            let before = self.shown.insert(key, context.tokens);
            assert!(self.again || before.is_none(), "a turn was asked for twice");
            if completion.tokens.len() > context.max_new {
                completion.tokens.truncate(context.max_new);
                completion.logprobs.truncate(context.max_new);
                completion.finish = Finish::Length;
            }
            turns.answer(context.index, completion);
        }
        Ok(())
    }
}

pub(super) fn spoken(chat: &ChatMl, text: &str) -> Completion {
    let mut tokens = chat.tokens(text);
    tokens.push(chat.stop_tokens()[0]);
    Completion { logprobs: vec![-0.25; tokens.len()], tokens, ..Completion::default() }
}

/// Returns the program that a call runs.
pub(super) fn program(env: &dyn Env, call: &ToolCall) -> String {
    let opened = env.session(Start::first(&env.train()[0], &Echo)).unwrap();
    opened.tool(&call.name).unwrap().call(&call.arguments, CallContext::default()).unwrap().stdout
}

pub(super) fn arithmetic() -> Arithmetic {
    Arithmetic::new(ArithmeticConfig { train_tasks: 8, held_out_tasks: 8, ..Default::default() }).unwrap()
}

pub(super) fn game<'a>(
    env: &'a Arithmetic,
    chat: &'a ChatMl,
    format: &'a dyn CallFormat,
    executor: &'a dyn Executor,
) -> Game<'a> {
    Game {
        env,
        chat,
        format,
        executor,
        limits: LIMITS,
        describe_tools: false,
        stop_at_call: false,
        keep_state: false,
    }
}

/// Returns a demonstration's turn as text in a format.
fn line(format: &dyn CallFormat, demonstration: &Demonstration, turn: usize) -> String {
    let turn = &demonstration.turns[turn];
    turn.call
        .as_ref()
        .map_or(turn.text.clone(), |(call, _)| format!("{}\n{}", turn.text, format.render(call)))
}

#[test]
fn demonstrations_played_with_real_python_are_right_in_every_format() {
    let (env, chat) = (arithmetic(), chat());
    let python = PythonExecutor::new(PythonConfig::default()).expect("python3 is installed");
    let demonstrations: Vec<Demonstration> = (0..12).map(|i| env.demonstration(i).unwrap()).collect();
    let tasks: Vec<&Task> = demonstrations.iter().map(|d| &d.task).collect();
    for format in [FormatName::Hermes.build(), fenced()] {
        let format = &*format;
        let says = |task: &str, _, turn| {
            let of_task = demonstrations.iter().find(|d| d.task.id == task).unwrap();
            spoken(&chat, &line(format, of_task, turn))
        };
        let mut speaker = Speaker::new(&says);
        let mut progress = Vec::new();
        let mut tell = |done, all| progress.push((done, all));
        let played = play(&game(&env, &chat, format, &python), &tasks, 2, &mut speaker, &mut tell).unwrap();
        assert!(played.lost.is_empty());
        assert_eq!(progress.last(), Some(&(24, 24)));
        for (demonstration, group) in demonstrations.iter().zip(&played.groups) {
            assert_eq!(group.len(), 2);
            let trajectory = &group[1];
            assert_eq!((trajectory.sample, trajectory.stop), (1, Stop::Answer));
            let scored = score(&env, &demonstration.task, trajectory, &RewardConfig::default()).unwrap();
            assert!(scored.correct && scored.turns.iter().all(|turn| turn.fmt() == 0.0));
            for (turn, demo) in trajectory.turns.iter().zip(&demonstration.turns) {
                let Some((_, output)) = &demo.call else { continue };
                let expect = format!("<|im_start|>user\n{}", format.render_output(output.output().unwrap()));
                assert!(chat.text(&turn.observation).contains(&expect), "{}", chat.text(&turn.observation));
            }
        }
    }
}

#[test]
fn limits_end_a_trajectory_as_data() {
    let (env, chat, nothing, fenced) = (arithmetic(), chat(), Scripted::new(), fenced());
    let call = "```python\nprint(1+1)\n```";
    let check = |text: &str, limits: Limits, stop: Stop, turns: usize| {
        let game = Game { limits, ..game(&env, &chat, &*fenced, &nothing) };
        let says = |_: &str, _, _| spoken(&chat, text);
        let played = play(&game, &[&env.train()[0]], 1, &mut Speaker::new(&says), &mut |_, _| {}).unwrap();
        let trajectory = &played.groups[0][0];
        assert_eq!((trajectory.stop, trajectory.turns.len()), (stop, turns), "{text} {limits:?}");
        assert!(trajectory.turns.last().is_none_or(|turn| turn.observation.is_empty()));
        assert!(trajectory.len() <= limits.tokens.max(trajectory.prompt.len()));
    };
    check("Answer: 2", LIMITS, Stop::Answer, 1);
    check(call, LIMITS, Stop::TurnLimit, 8);
    check(call, Limits { turns: 1, ..LIMITS }, Stop::TurnLimit, 1);
    check(call, Limits { turn_tokens: 5, ..LIMITS }, Stop::Truncated, 1);
    check(call, Limits { tokens: 1, ..LIMITS }, Stop::ContextLimit, 0);
    check(call, Limits { tokens: 120, ..LIMITS }, Stop::ContextLimit, 2);
    // A call that can't be parsed has an output, and play goes on.
    check("```python\nprint(", LIMITS, Stop::TurnLimit, 8);
}

#[test]
fn a_fault_of_the_executor_costs_its_trajectory_and_no_other() {
    let (env, chat, fenced) = (arithmetic(), chat(), fenced());
    let says = |_: &str, sample: u32, turn| {
        let first = format!("```python\nprint({sample}+1)\n```");
        spoken(&chat, if turn == 0 { &first } else { "Answer: 1" })
    };
    let call = |sample: u32| fenced.parse(&format!("```python\nprint({sample}+1)\n```")).remove(0).unwrap();
    let broken = program(&env, &call(1));
    let fault = ExecutorFault { backend: "scripted", message: "gone".into() };
    let executor = Scripted::new().gives(&broken, Err(fault.clone()));
    let game = game(&env, &chat, &*fenced, &executor);
    // It is played once more before it is lost.
    let mut speaker = Speaker::again(&says);
    let played = play(&game, &[&env.train()[0]], 3, &mut speaker, &mut |_, _| {}).unwrap();
    assert_eq!(played.env_faults, 2);
    let lost = Lost { task: env.train()[0].id.clone(), sample: 1, reason: fault.to_string() };
    assert_eq!(played.lost, [lost]);
    assert_eq!(played.groups[0].iter().map(|t| t.sample).collect::<Vec<_>>(), [0, 2]);
}

/// Delays the calls of the first trajectory, and notes which others were answered meanwhile.
struct Slow(std::sync::Mutex<Vec<u32>>);

impl Executor for Slow {
    fn run(&self, code: &str) -> Result<ToolOutput, ExecutorFault> {
        let wait = |enough: &dyn Fn(&[u32]) -> bool| {
            let started = std::time::Instant::now();
            while !enough(&self.0.lock().unwrap()) {
                assert!(started.elapsed().as_secs() < 20, "the others never went on");
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        };
        if code.contains("0+1") {
            wait(&|spoken| spoken.iter().filter(|sample| **sample == 1).count() == 2);
        }
        Scripted::new().run(code)
    }

    fn session(&self) -> Result<Box<dyn turnwise_tools::CodeSession>, ExecutorFault> {
        Scripted::new().session()
    }

    fn describe(&self) -> turnwise_tools::ExecutorInfo {
        Scripted::new().describe()
    }
}

#[test]
fn a_trajectory_goes_on_while_the_tools_of_another_run() {
    let (env, chat, fenced) = (arithmetic(), chat(), fenced());
    let slow = Slow(std::sync::Mutex::default());
    let says = |_: &str, sample: u32, turn| {
        slow.0.lock().unwrap().push(sample);
        let call = format!("```python\nprint({sample}+1)\n```");
        spoken(&chat, if turn == 0 { &call } else { "Answer: 1" })
    };
    let game = game(&env, &chat, &*fenced, &slow);
    let played = play(&game, &[&env.train()[0]], 2, &mut Speaker::new(&says), &mut |_, _| {}).unwrap();
    assert_eq!(*slow.0.lock().unwrap(), [0, 1, 1, 0], "the second trajectory did not wait for the first");
    assert_eq!(
        played.groups[0].iter().map(|t| (t.sample, t.turns.len())).collect::<Vec<_>>(),
        [(0, 2), (1, 2)]
    );
}

/// Answers a number of turns, and then fails in its way.
struct Broken<'a>(&'a ChatMl, usize, fn() -> Result<(), PolicyError>);

impl Policy for Broken<'_> {
    fn serve(&mut self, turns: &Turns<'_>, _: &TurnEnd<'_>) -> Result<(), PolicyError> {
        for _ in 0..self.1 {
            let context = turns.take().expect("there are more turns");
            turns.answer(context.index, spoken(self.0, "```python\nprint(1+1)\n```"));
        }
        self.2()
    }
}

#[test]
fn a_policy_that_breaks_ends_the_play() {
    let (env, chat, nothing, fenced) = (arithmetic(), chat(), Scripted::new(), fenced());
    let game = game(&env, &chat, &*fenced, &nothing);
    let tasks: Vec<&Task> = env.train().iter().take(3).collect();
    let broken = |answers, how| play(&game, &tasks, 2, &mut Broken(&chat, answers, how), &mut |_, _| {});
    for answers in [0, 1, 8] {
        assert_eq!(broken(answers, || Err(PolicyError("gone".into()))).unwrap_err().to_string(), "gone");
        let panicked = std::panic::AssertUnwindSafe(|| broken(answers, || panic!("broken")));
        assert!(std::panic::catch_unwind(panicked).is_err());
    }
}

#[test]
fn tools_are_described_in_the_system_message_or_not_at_all() {
    let (env, mut task) = (arithmetic(), arithmetic().train()[0].clone());
    let hermes = FormatName::Hermes.build();
    let offered = |describe, task: &Task| opening(&env, &*hermes, describe, task);
    assert_eq!(offered(false, &task), task.messages);
    let described = hermes.describe(env.tools());
    assert_eq!(offered(true, &task)[0], Message::new(Role::System, described.clone()));
    task.messages.insert(0, Message::new(Role::System, "Be short."));
    assert_eq!(offered(true, &task)[0].content, format!("Be short.\n\n{described}"));
    assert_eq!(offered(true, &task).len(), 2);
}

/// Samples the nonsense of an untrained policy: pieces of calls, stray tokens, broken bytes.
fn babble(chat: &ChatMl, seed: u64, task: &str, sample: u32, turn: usize) -> Completion {
    let mut state = seed ^ (u64::from(sample) << 32) ^ ((turn as u64) << 40);
    state = task.bytes().fold(state, |state, byte| state.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut next = |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut tokens = Vec::new();
    for _ in 0..next(6) {
        match next(4) {
            0 => tokens.extend(chat.tokens("```python\nprint(1+1)\n```\n")),
            1 => tokens.extend(chat.tokens("```python\nprint(")),
            2 => tokens.extend(chat.tokens("Answer: 2")),
            _ => tokens.extend((0..next(9)).map(|_| next(320) as TokenId)),
        }
    }
    let finish = [Finish::EndOfTurn, Finish::StopString][next(2) as usize];
    if finish == Finish::EndOfTurn {
        tokens.push(chat.stop_tokens()[0]);
    }
    let logprobs = tokens.iter().map(|&token| -(token as f32)).collect();
    Completion { logprobs, tokens, finish, version: seed, retries: 0 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Token in, token out: every context is exactly prompt, sampled tokens and observations.
    #[test]
    fn nothing_is_ever_tokenised_again(
        seed in any::<u64>(),
        turns in 1_usize..5,
        turn_tokens in 1_usize..60,
        tokens in 20_usize..400,
        observation_tokens in 0_usize..30,
    ) {
        let (env, chat, executor, fenced) = (arithmetic(), chat(), Scripted::new(), fenced());
        let limits = Limits { turns, turn_tokens, tokens, observation_tokens, turn_calls: 2 };
        let game = Game { limits, ..game(&env, &chat, &*fenced, &executor) };
        let says = |task: &str, sample, turn| babble(&chat, seed, task, sample, turn);
        let mut speaker = Speaker::new(&says);
        let tasks: Vec<&Task> = env.train().iter().take(3).collect();
        let played = play(&game, &tasks, 2, &mut speaker, &mut |_, _| {}).unwrap();
        for trajectory in played.groups.iter().flatten() {
            let all = trajectory.tokens();
            prop_assert!(all.len() <= tokens.max(trajectory.prompt.len()));
            prop_assert!(trajectory.turns.len() <= turns);
            for (at, (turn, span)) in trajectory.turns.iter().zip(trajectory.turn_spans()).enumerate() {
                let shown = &speaker.shown[&(trajectory.task.clone(), trajectory.sample, at)];
                prop_assert_eq!(&all[..span.start], shown.as_slice());
                let sampled = says(&trajectory.task, trajectory.sample, at);
                prop_assert!(sampled.tokens.starts_with(&turn.tokens) && turn.tokens.len() <= turn_tokens);
                prop_assert_eq!(turn.version, seed, "the version of the weights that sampled it");
                prop_assert_eq!(turn.tokens.len() == sampled.tokens.len(), turn.finish == sampled.finish);
                prop_assert_eq!(&all[span], turn.tokens.as_slice());
                prop_assert_eq!(turn.observation.is_empty(), at + 1 == trajectory.turns.len());
            }
        }
        // A trajectory doesn't depend on the others.
        let alone = play(&game, &tasks[1..2], 1, &mut Speaker::new(&says), &mut |_, _| {}).unwrap();
        prop_assert_eq!(&alone.groups[0][0], &played.groups[1][0]);
    }
}
