//! Checks whether an environment is deterministic: its first tasks are played several times with the same
//! turns.
//!
//! ```text
//! the first opening    task after task
//! the second opening   task after task from the last one on; then all tasks twice at the same time
//! ```
//! A run that is killed and resumed plays a step again in other processes, and in another order. It leaves
//! the same bytes only if equal seeds and equal turns get equal answers there, whatever other sessions do.

use std::panic::resume_unwind;
use std::sync::mpsc::{Sender, channel};
use std::sync::{PoisonError, RwLock};
use std::thread::scope;
use std::time::Duration;

use serde_json::{Map, Value, json};
use turnwise_tools::{CallContext, Executor, Fault, Tool, ToolSpec, observation};
use turnwise_trajectory::{CallRecord, OutputStatus, Rewards, ToolCall, ToolOutput, Turn};

use crate::env::Env;
use crate::opening::{around, opening};
use crate::session::{Session, Start};
use crate::tasks::{Task, TaskSplit};

/// Compared tasks of each split.
const TASKS: usize = 2;
/// Turns without a call at the end of a play.
const ANSWERS: usize = 3;
/// Sessions of each task that play at the same time.
const COPIES: u32 = 2;
/// Time in which a further session opens, if there is room for it.
const PATIENCE: Duration = Duration::from_secs(3);
/// Advice for an environment whose sessions change each other's answers.
const SHARED: &str = "sessions share something that changes answers, such as a random generator; give each session its \
                      own, or set env.process.at_once = 1 where a process can hold one session";

/// The place of an answer, and the answer.
type Said = (String, String);

/// Plays the first tasks in both openings with the same turns: a call of each tool, then answers. The second
/// opening plays them in another order, and then at the same time.
///
/// It returns the first difference, or none. A second line is a hint.
///
/// # Errors
/// If the environment can't be played, with the reason.
pub fn difference(one: &dyn Env, other: &dyn Env, executor: &dyn Executor) -> Result<Option<String>, String> {
    let again = "and the second time";
    let (first, second) = (offered(one, false)?, offered(other, true)?);
    if let Some(found) = compared(&first.1, &second.1, again) {
        return Ok(Some(found));
    }
    let tasks = first.0;
    let expect = tasks.iter().map(|task| alone(one, task, executor)).collect::<Result<Vec<_>, _>>()?;
    let reversed = tasks.iter().rev().map(|task| alone(other, task, executor));
    let reversed = reversed.collect::<Result<Vec<_>, _>>();
    let reversed = reversed.map_err(|why| format!("the second time only: {why}"))?;
    let found = expect.iter().zip(reversed.iter().rev()).find_map(|(a, b)| compared(a, b, again));
    if found.is_some() {
        return Ok(found);
    }
    if other.sessions_at_once() < 2 {
        return Ok(None);
    }
    let places: Vec<usize> = (0..tasks.len()).flat_map(|at| [at; COPIES as usize]).collect();
    for beside in places.chunks(other.sessions_at_once().min(places.len().max(1))) {
        let said = together(other, &tasks, beside, executor);
        let said = said.map_err(|why| format!("beside other sessions only: {why}"))?;
        for (&at, said) in beside.iter().zip(&said) {
            if let Some(found) = compared(&expect[at], said, "and beside other sessions") {
                return Ok(Some(format!("{found}\n  hint: {SHARED}")));
            }
        }
    }
    Ok(None)
}

/// Returns the first difference of two plays in a line.
fn compared(first: &[Said], second: &[Said], again: &str) -> Option<String> {
    let differs = first.iter().zip(second).find(|(a, b)| a != b);
    match differs {
        Some(((place, a), (_, b))) => {
            let (a, b) = around(a, b);
            Some(format!("{place}: {a:?}, {again} {b:?}"))
        }
        None if first.len() != second.len() => {
            let ended = &first.get(second.len()).or(second.get(first.len())).expect("one is longer").0;
            Some(format!("{ended}: one play of it has ended there, the other goes on"))
        }
        None => None,
    }
}

/// The name of a task in messages, and the task.
type Named = (String, Task);

/// Returns the first tasks of an environment, and its answers before any play. `reversed`: it is asked for
/// the last of them first.
fn offered(env: &dyn Env, reversed: bool) -> Result<(Vec<Named>, Vec<Said>), String> {
    let tools = serde_json::to_string(env.tools()).expect("a schema is JSON");
    let counts = [TaskSplit::Train, TaskSplit::HeldOut].map(|split| env.count(split));
    let mut said = vec![("tools".into(), tools), ("numbers of tasks".into(), format!("{counts:?}"))];
    let first = |split| (0..env.count(split).min(TASKS)).map(move |index| (split, index));
    let mut places: Vec<_> = [TaskSplit::Train, TaskSplit::HeldOut].into_iter().flat_map(first).collect();
    if reversed {
        places.reverse();
    }
    let mut tasks = Vec::new();
    for (split, index) in places {
        let task = env.task(split, index).map_err(|error| error.to_string())?;
        tasks.push((format!("{} {index}", split.name()), task));
    }
    if reversed {
        tasks.reverse();
    }
    // Every play has its own reset.
    env.close_openings();
    said.extend(tasks.iter().map(|(name, task)| (format!("{name}, the opening"), opening(task))));
    Ok((tasks, said))
}

/// Plays a task while no other session is open.
fn alone(env: &dyn Env, (name, task): &Named, executor: &dyn Executor) -> Result<Vec<Said>, String> {
    let played = || {
        let mut play = Play::open(env, name, task, 0, executor)?;
        while play.goes_on()? {}
        Ok(play.said)
    };
    played().map_err(|fault: Fault| format!("{name}: {fault}"))
}

/// Plays tasks at the same time. Their first turns wait until all are open, or [`PATIENCE`] is over: a server
/// may have room for fewer.
fn together(
    env: &dyn Env,
    tasks: &[Named],
    places: &[usize],
    executor: &dyn Executor,
) -> Result<Vec<Vec<Said>>, String> {
    let (gate, (tell, opened)) = (RwLock::new(()), channel());
    let closed = gate.write().unwrap_or_else(PoisonError::into_inner);
    let play = |copy: usize, at: usize, tell: Sender<()>| {
        let (name, task) = &tasks[at];
        let played = || {
            let mut play = Play::open(env, name, task, copy as u32 % COPIES, executor)?;
            // A late one has no listener.
            let _ = tell.send(());
            drop(gate.read());
            while play.goes_on()? {}
            Ok(play.said)
        };
        played().map_err(|fault: Fault| format!("{name}: {fault}"))
    };
    scope(|scope| {
        let begin = |(copy, &at): (usize, &usize)| {
            let tell = tell.clone();
            scope.spawn(move || play(copy, at, tell))
        };
        let plays: Vec<_> = places.iter().enumerate().map(begin).collect();
        let all = places.iter().all(|_| opened.recv_timeout(PATIENCE).is_ok());
        drop((closed, all));
        plays.into_iter().map(|play| play.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// A trajectory that calls each tool and then answers.
struct Play<'a> {
    name: &'a str,
    offer: &'a [ToolSpec],
    session: Box<dyn Session + 'a>,
    tools: Vec<Box<dyn Tool + 'a>>,
    /// Turns so far.
    turns: usize,
    ended: bool,
    said: Vec<Said>,
}

impl<'a> Play<'a> {
    fn open(
        env: &'a dyn Env,
        name: &'a str,
        task: &'a Task,
        sample: u32,
        executor: &'a dyn Executor,
    ) -> Result<Self, Fault> {
        let opened = env.session(Start { sample, ..Start::first(task, executor) })?;
        let mut said = Vec::new();
        if let Some(messages) = &opened.messages {
            let messages = serde_json::to_string(messages).expect("messages are JSON");
            said.push((format!("{name}, the session's opening"), messages));
        }
        let (session, tools) = (opened.session, opened.tools);
        Ok(Self { name, offer: env.tools(), session, tools, turns: 0, ended: false, said })
    }

    /// Plays a turn, or ends the trajectory. Returns whether there is more to play.
    fn goes_on(&mut self) -> Result<bool, Fault> {
        if self.ended {
            return Ok(false);
        }
        let at = self.turns;
        if at == self.offer.len() + ANSWERS {
            self.close()?;
            return Ok(false);
        }
        self.turns += 1;
        let (mut own, mut turn) = (vec![], Turn { text: "Answer: 1".into(), ..Turn::default() });
        if let Some(tool) = self.offer.get(at) {
            let call = ToolCall { name: tool.name.clone(), arguments: arguments(tool), span: 0..0 };
            let context = CallContext { turn: at, position: 0 };
            let answers = self.tools.iter().find(|known| known.spec().name == call.name);
            let output = if let Some(tool) = answers {
                tool.call(&call.arguments, context)?
            } else {
                own.push(0);
                ToolOutput::of(OutputStatus::Rejected)
            };
            let shown = observation(&output);
            self.said.push((format!("{}, turn {}, the output of {:?}", self.name, at + 1, call.name), shown));
            turn.calls.push(CallRecord::Executed { call, output });
        }
        let place = format!("{}, turn {}", self.name, at + 1);
        if step(&mut *self.session, &turn, &own, &place, &mut self.said)? {
            self.close()?;
        }
        Ok(!self.ended)
    }

    fn close(&mut self) -> Result<(), Fault> {
        self.ended = true;
        let closing = self.session.close()?;
        let told = format!("{}, correct: {:?}", named(&closing.rewards), closing.correct);
        self.said.push((format!("{}, the end", self.name), told));
        Ok(())
    }
}

/// Sends a turn to a session. Returns whether the trajectory ends.
fn step(
    session: &mut dyn Session,
    turn: &Turn,
    own: &[usize],
    place: &str,
    said: &mut Vec<Said>,
) -> Result<bool, Fault> {
    let step = session.step(turn, own)?;
    for output in &step.outputs {
        said.push((format!("{place}, an output"), observation(output)));
    }
    said.push((format!("{place}, its rewards"), named(&step.rewards)));
    let (reply, correct, done) = (&step.message, step.correct, step.done);
    said.push((format!("{place}, the reply"), format!("{reply:?}, correct: {correct:?}, done: {done}")));
    Ok(done || (turn.calls.is_empty() && reply.is_none()))
}

fn named(rewards: &Rewards) -> String {
    serde_json::to_string(rewards).expect("rewards are JSON")
}

/// Returns arguments of the types that a tool's schema names.
fn arguments(tool: &ToolSpec) -> Map<String, Value> {
    let properties = tool.parameters.get("properties").and_then(Value::as_object);
    let example = |schema: &Value| match (&schema["enum"][0], schema["type"].as_str()) {
        (Value::Null, Some("integer")) => json!(1),
        (Value::Null, Some("number")) => json!(0.5),
        (Value::Null, Some("boolean")) => json!(true),
        (Value::Null, Some("array")) => json!([]),
        (Value::Null, Some("object")) => json!({}),
        (Value::Null, _) => json!("1"),
        (one, _) => one.clone(),
    };
    properties.into_iter().flatten().map(|(name, schema)| (name.clone(), example(schema))).collect()
}

#[cfg(test)]
mod tests {
    use turnwise_tools::executor::Echo;

    use super::*;
    use crate::process::{Process, ProcessConfig};
    use crate::{Arithmetic, ArithmeticConfig};

    /// Plays an environment in Python twice. `opening` and `step` are its expressions for the task and the
    /// steps.
    fn compared(opening: &str, step: &str) -> Option<String> {
        let script = format!(
            r#"
import json, os, random, sys, time
TOOL = {{"name": "look", "parameters": {{"type": "object", "properties": {{"at": {{"enum": [3]}}}}}}}}
count, chance = [0], random.Random(5)
for line in sys.stdin:
    request = json.loads(line)
    seed = request.get("seed")
    count[0] += 1
    answer = {{
        "describe": lambda: {{"train": 2, "held_out": 1, "tools": [TOOL]}},
        "reset": lambda: {{"task": request["split"] + str(request["index"]),
                          "messages": [{{"role": "user", "content": str({opening})}}]}},
        "step": lambda: {{"outputs": [str(call["arguments"]) for call in request["calls"]], {step}}},
        "close": lambda: {{}},
    }}[request["method"]]()
    print(json.dumps({{"id": request["id"], "result": answer}}), flush=True)"#
        );
        let command = vec!["python3".into(), "-c".into(), script];
        let config = ProcessConfig { timeout_seconds: 10.0, ..ProcessConfig::of(command) };
        let open = || Process::new(&config).unwrap();
        difference(&open(), &open(), &Echo).unwrap()
    }

    #[test]
    fn the_first_difference_is_named() {
        assert_eq!(compared("seed", r#""rewards": {"a": 0.5}"#), None);
        for (opening, step, expect) in [
            ("os.getpid()", r#""done": True"#, "train 0, the opening: "),
            ("seed", r#""rewards": {"a": time.time()}"#, "train 0, turn 1, its rewards: \"{\\\"a\\\":"),
            ("seed", r#""message": str(random.random())"#, "train 0, turn 1, the reply: "),
            ("seed", r#""message": str(os.getpid())"#, "and the second time"),
        ] {
            let found = compared(opening, step).expect(step);
            assert!(found.contains(expect), "{found}");
        }
    }

    /// Two openings of an environment that answer alike to the same requests in the same order.
    #[test]
    fn state_that_sessions_share_is_noticed() {
        for (opening, step, expect) in [
            // A generator of the module, with a seed.
            ("seed", r#""rewards": {"a": chance.random()}"#, "train 0, turn 1, its rewards: "),
            ("chance.random()", r#""done": True"#, "train 0, the opening: "),
            ("seed", r#""message": str(count)"#, "turn 1, the reply: "),
            // Seeded at each reset: a session that plays alone is the same every time.
            ("chance.seed(seed)", r#""rewards": {"a": chance.random()}"#, "and beside other sessions "),
        ] {
            let found = compared(opening, step).expect(step);
            assert!(found.contains(expect), "{found}");
            assert_eq!(found.contains("\n  hint: sessions share"), expect.contains("beside"), "{found}");
        }
    }

    #[test]
    fn environments_in_rust_are_deterministic() {
        let open = || Arithmetic::new(ArithmeticConfig { train_tasks: 2, ..Default::default() }).unwrap();
        assert_eq!(difference(&open(), &open(), &Echo), Ok(None));
    }
}
