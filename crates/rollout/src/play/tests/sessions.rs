//! Sessions with a state: their outputs reach the right turn, and their faults cost only their trajectory.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use proptest::prelude::*;
use turnwise_envs::{Closing, Env, EnvError, Opened, RewardConfig, Session, Start, Step, Task, Tasks, score};
use turnwise_tools::executor::Scripted;
use turnwise_tools::{CallFormat, Fault, FormatName, PythonTool, ToolSpec};
use turnwise_trajectory::{
    CallRecord, Completion, Finish, Message, OutputStatus, Rewards, Role, Stop, ToolOutput, Turn,
};

use super::{LIMITS, Speaker, spoken};
use crate::chat::{ChatFormat, ChatMl};
use crate::play::*;
use crate::testing::chat;

/// Names the action of one turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// Calls the session's own tool, and Python.
    Call,
    /// Asks the simulated user.
    Ask,
    /// Answers.
    Answer,
}

/// Describes the turns of one trajectory, and how its sessions fail.
#[derive(Debug, Clone)]
struct Script {
    turns: Vec<Event>,
    /// How many sessions fail, from the first on.
    failing: u32,
    /// The turn at which they fail; beyond the last one, they fail at their end.
    fails_at: usize,
    /// The kind of failure: a fault, too many outputs, a NaN reward, or at the end too many names.
    how: u32,
    /// Milliseconds that a step takes.
    slow: u64,
}

/// Behaves by a script for each sample.
struct Odd {
    tasks: Tasks,
    scripts: Vec<Script>,
    /// Sessions opened so far, by sample.
    opened: Mutex<BTreeMap<u32, u32>>,
    waits: bool,
}

impl Odd {
    fn new(scripts: Vec<Script>, waits: bool) -> Self {
        let messages = vec![Message::new(Role::User, "the task's own opening")];
        let task = Task { id: "odd/0".into(), level: 1, messages, answer: String::new() };
        let parameters = serde_json::json!({"type": "object", "properties": {}});
        let tools = vec![ToolSpec::new("look", "Looks.", parameters), ToolSpec::python()];
        let tasks = Tasks { train: vec![task], held_out: vec![], tools };
        Self { tasks, scripts, opened: Mutex::default(), waits }
    }
}

struct OddSession<'a> {
    script: &'a Script,
    sample: u32,
    turn: usize,
    fails: bool,
}

impl OddSession<'_> {
    /// Returns the reward of a turn, different from any other's.
    fn reward(sample: u32, turn: usize) -> f64 {
        f64::from(sample) + turn as f64 / 64.0
    }
}

impl Session for OddSession<'_> {
    fn step(&mut self, turn: &Turn, own: &[usize]) -> Result<Step, Fault> {
        std::thread::sleep(Duration::from_millis(self.script.slow));
        let at = self.turn;
        self.turn += 1;
        let mut outputs: Vec<ToolOutput> =
            own.iter().map(|position| ToolOutput::says(format!("seen {position} of {at}"))).collect();
        let mut rewards = [("progress", Self::reward(self.sample, at))].into_iter().collect();
        if self.fails && at == self.script.fails_at {
            match self.script.how {
                0 => return Err(Fault::new("odd", "gone")),
                1 => outputs.push(ToolOutput::says("one too many")),
                _ => rewards = [("progress", f64::NAN)].into_iter().collect(),
            }
        }
        let asks = self.script.turns[at] == Event::Ask;
        assert_eq!(asks, turn.calls.is_empty() && turn.text.contains("Which"), "{turn:?}");
        let message = asks.then(|| format!("the user's reply {at}"));
        Ok(Step { outputs, rewards, message, ..Step::default() })
    }

    fn close(&mut self) -> Result<Closing, Fault> {
        if self.fails && self.turn <= self.script.fails_at {
            if self.script.how == 3 {
                // Each answer is right, and the last turn can't hold both.
                let rewards = (0..Rewards::NAMES).map(|name| (name.to_string(), 1.0)).collect();
                return Ok(Closing { rewards, correct: None });
            }
            return Err(Fault::new("odd", "gone at the end"));
        }
        let rewards = [("progress", 0.25), ("late", 1.0)].into_iter().collect();
        Ok(Closing { rewards, correct: Some(self.sample.is_multiple_of(2)) })
    }
}

impl Env for Odd {
    fn name(&self) -> &'static str {
        "odd"
    }

    fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    fn session<'a>(&'a self, start: Start<'a>) -> Result<Opened<'a>, Fault> {
        let script = &self.scripts[start.sample as usize];
        let mut opened = self.opened.lock().unwrap();
        let before = opened.entry(start.sample).or_default();
        *before += 1;
        let fails = *before <= script.failing;
        let session = OddSession { script, sample: start.sample, turn: 0, fails };
        Ok(Opened {
            session: Box::new(session),
            tools: vec![Box::new(PythonTool::new(start.sandbox))],
            messages: Some(vec![Message::new(Role::User, format!("opening of {}", start.sample))]),
        })
    }

    fn waiting_at_once(&self) -> usize {
        if self.waits { 3 } else { 0 }
    }

    fn answer(&self, text: &str) -> Option<String> {
        Some(text.to_string())
    }

    fn is_correct(&self, _: &Task, _: &str) -> Result<bool, EnvError> {
        panic!("a session that judges leaves nothing to judge")
    }
}

fn says(chat: &ChatMl, format: &dyn CallFormat, event: Event) -> Completion {
    let call = |name: &str, arguments: serde_json::Value| {
        let arguments = arguments.as_object().unwrap().clone();
        format.render(&turnwise_trajectory::ToolCall { name: name.into(), arguments, span: 0..0 })
    };
    let python = call("python", serde_json::json!({"code": "1"}));
    let look = call("look", serde_json::json!({}));
    match event {
        Event::Call => spoken(chat, &format!("{look}\n{python}\n{look}")),
        Event::Ask => spoken(chat, "Which one?"),
        Event::Answer => spoken(chat, "That one."),
    }
}

/// Plays each script as one sample.
fn played(scripts: &[Script], waits: bool) -> Played {
    let (env, chat, format) = (Odd::new(scripts.to_vec(), waits), chat(), FormatName::Hermes.build());
    let executor = Scripted::new().prints("1", "one\n");
    let game = Game {
        env: &env,
        chat: &chat,
        format: &*format,
        executor: &executor,
        limits: crate::limits::Limits { turn_tokens: 400, tokens: 8000, ..LIMITS },
        describe_tools: false,
        stop_at_call: false,
        keep_state: false,
    };
    // A restarted trajectory samples its turns again.
    let says = |_: &str, sample: u32, turn| says(&chat, &*format, scripts[sample as usize].turns[turn]);
    let mut speaker = Speaker::again(&says);
    play(&game, &[&env.train()[0]], scripts.len() as u32, &mut speaker, &mut |_, _| {}).unwrap()
}

fn script() -> impl Strategy<Value = Script> {
    let event = prop_oneof![Just(Event::Call), Just(Event::Ask)];
    let turns = proptest::collection::vec(event, 0..5);
    (turns, 0_u32..3, 0_usize..7, 0_u32..4, 0_u64..3).prop_map(|(mut turns, failing, fails_at, how, slow)| {
        turns.push(Event::Answer);
        Script { turns, failing, fails_at, how, slow }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Under lying, crashing and slow environments each reward is on its turn, each output at its call, and a
    /// fault costs only its trajectory.
    #[test]
    fn what_a_session_says_reaches_its_turn_whatever_fails(
        scripts in proptest::collection::vec(script(), 1..6),
        waits in any::<bool>(),
    ) {
        let played = played(&scripts, waits);
        let lost: Vec<u32> = (0..scripts.len() as u32).filter(|&i| scripts[i as usize].failing > 1).collect();
        prop_assert_eq!(played.lost.iter().map(|lost| lost.sample).collect::<Vec<_>>(), lost);
        let faults: u64 = scripts.iter().map(|script| u64::from(script.failing.min(2))).sum();
        prop_assert_eq!(played.env_faults, faults);
        prop_assert_eq!(played.groups[0].len() + played.lost.len(), scripts.len());
        for trajectory in &played.groups[0] {
            let (sample, script) = (trajectory.sample, &scripts[trajectory.sample as usize]);
            prop_assert_eq!(trajectory.turns.len(), script.turns.len());
            prop_assert_eq!(trajectory.stop, Stop::Answer);
            prop_assert_eq!(trajectory.verdict(), Some(sample % 2 == 0));
            for (j, (turn, event)) in trajectory.turns.iter().zip(&script.turns).enumerate() {
                let last = j + 1 == script.turns.len();
                let expect = OddSession::reward(sample, j) + if last { 0.25 } else { 0.0 };
                prop_assert_eq!(turn.rewards.get("progress"), expect);
                prop_assert_eq!(turn.rewards.get("late"), if last { 1.0 } else { 0.0 });
                prop_assert_eq!(turn.reply.is_some(), *event == Event::Ask);
                let outputs: Vec<&str> = turn.calls.iter().map(|call| match call {
                    CallRecord::Executed { output, .. } => output.stdout.as_str(),
                    CallRecord::Malformed(_) => "malformed",
                }).collect();
                let (first, third) = (format!("seen 0 of {j}"), format!("seen 2 of {j}"));
                let called = vec![first.as_str(), "one\n", third.as_str()];
                let expect = if *event == Event::Call { called } else { vec![] };
                prop_assert_eq!(outputs, expect);
            }
        }
    }
}

#[test]
fn a_conversation_reads_as_it_was_held() {
    let turns = vec![Event::Ask, Event::Call, Event::Ask, Event::Answer];
    let script = Script { turns, failing: 0, fails_at: 9, how: 0, slow: 0 };
    let trajectory = played(&[script], false).groups.remove(0).remove(0);
    let chat = chat();
    assert!(chat.text(&trajectory.prompt).contains("opening of 0"), "the session's own opening");
    let observed: Vec<String> = trajectory.turns.iter().map(|turn| chat.text(&turn.observation)).collect();
    assert!(observed[0].contains("user\nthe user's reply 0"), "{observed:?}");
    assert!(observed[1].contains("seen 0 of 1") && observed[1].contains("seen 2 of 1"), "{observed:?}");
    assert!(observed[2].contains("the user's reply 2") && observed[3].is_empty(), "{observed:?}");
    let (env, config) = (Odd::new(vec![], false), RewardConfig::default());
    let scored = score(&env, &env.train()[0], &trajectory, &config).unwrap();
    assert!(scored.correct && !scored.violations[0] && scored.turns.iter().all(|turn| turn.acc() == 0.0));
}

/// Ends its trajectory at the first turn.
struct Once {
    tasks: Tasks,
    messages: Option<String>,
}

struct OnceSession(Option<String>);

impl Session for OnceSession {
    fn step(&mut self, _: &Turn, own: &[usize]) -> Result<Step, Fault> {
        let outputs =
            own.iter().map(|_| ToolOutput::fails(OutputStatus::Error, "the game is over")).collect();
        Ok(Step { outputs, done: true, message: self.0.clone(), ..Step::default() })
    }
}

impl Env for Once {
    fn name(&self) -> &'static str {
        "once"
    }

    fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    fn session<'a>(&'a self, _: Start<'a>) -> Result<Opened<'a>, Fault> {
        let session = Box::new(OnceSession(self.messages.clone()));
        Ok(Opened { session, tools: vec![], messages: None })
    }

    fn answer(&self, _: &str) -> Option<String> {
        None
    }

    fn is_correct(&self, _: &Task, _: &str) -> Result<bool, EnvError> {
        Ok(false)
    }
}

#[test]
fn a_session_ends_its_trajectory_when_it_is_done() {
    let (chat, format, nothing) = (chat(), FormatName::Hermes.build(), Scripted::new());
    let length = Completion { finish: Finish::Length, ..says(&chat, &*format, Event::Answer) };
    for (said, messages, stop) in [
        (says(&chat, &*format, Event::Call), None, Stop::Done),
        (says(&chat, &*format, Event::Ask), None, Stop::Answer),
        (says(&chat, &*format, Event::Ask), Some("a word that comes too late"), Stop::Answer),
        (length, None, Stop::Truncated),
    ] {
        let env = Once { tasks: Odd::new(vec![], false).tasks, messages: messages.map(str::to_string) };
        let game = Game {
            env: &env,
            chat: &chat,
            format: &*format,
            executor: &nothing,
            limits: LIMITS,
            describe_tools: false,
            stop_at_call: false,
            keep_state: false,
        };
        let says = |_: &str, _, _| said.clone();
        let mut speaker = Speaker::new(&says);
        let played = play(&game, &[&env.train()[0]], 1, &mut speaker, &mut |_, _| {}).unwrap();
        let trajectory = &played.groups[0][0];
        assert_eq!((trajectory.stop, trajectory.turns.len()), (stop, 1), "{messages:?}");
        assert!(trajectory.turns[0].observation.is_empty());
    }
}
