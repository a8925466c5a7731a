//! Checks whether an environment is deterministic: two openings of it are played with the same turns.
//!
//! A run that is killed and resumed plays a step again in other processes. It leaves the same bytes only if
//! equal seeds and equal turns get equal answers there.

use serde_json::{Map, Value, json};
use turnwise_tools::{CallContext, Executor, Fault, ToolSpec, observation};
use turnwise_trajectory::{CallRecord, OutputStatus, Rewards, ToolCall, ToolOutput, Turn};

use crate::env::Env;
use crate::session::{Session, Start};
use crate::tasks::TaskSplit;

/// Compared tasks of each split.
const TASKS: usize = 2;
/// Turns without a call at the end of a play.
const ANSWERS: usize = 3;
/// Characters of each side of a difference.
const SHOWN: usize = 80;

/// The place of an answer, and the answer.
type Said = (String, String);

/// Plays the first tasks in both openings with the same turns: a call of each tool, then answers.
///
/// It returns the first difference in a line, or none.
///
/// # Errors
/// If the environment can't be played, with the reason.
pub fn difference(one: &dyn Env, other: &dyn Env, executor: &dyn Executor) -> Result<Option<String>, String> {
    let first = played(one, executor)?;
    let second = played(other, executor).map_err(|why| format!("the second time only: {why}"))?;
    let differs = first.iter().zip(&second).find(|(a, b)| a != b);
    Ok(match differs {
        Some(((place, a), (_, b))) => {
            let (a, b) = around(a, b);
            Some(format!("{place}: {a:?}, and the second time {b:?}"))
        }
        None if first.len() != second.len() => {
            let ended = &first.get(second.len()).or(second.get(first.len())).expect("one is longer").0;
            Some(format!("{ended}: one play of it has ended there, the other goes on"))
        }
        None => None,
    })
}

/// Returns two texts from shortly before their first difference on.
fn around(a: &str, b: &str) -> (String, String) {
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let shown = |text: &str| text.chars().skip(same.saturating_sub(SHOWN / 4)).take(SHOWN).collect();
    (shown(a), shown(b))
}

/// Returns everything that an environment says while its first tasks are played.
fn played(env: &dyn Env, executor: &dyn Executor) -> Result<Vec<Said>, String> {
    let tools = serde_json::to_string(env.tools()).expect("a schema is JSON");
    let counts = [TaskSplit::Train, TaskSplit::HeldOut].map(|split| env.count(split));
    let mut said = vec![("tools".into(), tools), ("numbers of tasks".into(), format!("{counts:?}"))];
    for split in [TaskSplit::Train, TaskSplit::HeldOut] {
        for index in 0..env.count(split).min(TASKS) {
            let task = env.task(split, index).map_err(|error| error.to_string())?;
            let place = format!("{} {index}", split.name());
            let opening = json!({"task": task.id, "level": task.level, "messages": task.messages});
            said.push((format!("{place}, the opening"), opening.to_string()));
            let start = Start::first(&task, executor);
            let turns = play(env, start, &place, &mut said);
            turns.map_err(|fault| format!("{place}: {fault}"))?;
        }
    }
    Ok(said)
}

/// Plays one task.
fn play(env: &dyn Env, start: Start<'_>, place: &str, said: &mut Vec<Said>) -> Result<(), Fault> {
    let opened = env.session(start)?;
    if let Some(messages) = &opened.messages {
        let messages = serde_json::to_string(messages).expect("messages are JSON");
        said.push((format!("{place}, the session's opening"), messages));
    }
    let calls = env.tools().iter().map(Some).chain([None; ANSWERS]);
    let (mut session, tools) = (opened.session, opened.tools);
    for (at, tool) in calls.enumerate() {
        let (mut own, mut turn) = (vec![], Turn { text: "Answer: 1".into(), ..Turn::default() });
        if let Some(tool) = tool {
            let call = ToolCall { name: tool.name.clone(), arguments: arguments(tool), span: 0..0 };
            let context = CallContext { turn: at, position: 0 };
            let answers = tools.iter().find(|known| known.spec().name == call.name);
            let output = if let Some(tool) = answers {
                tool.call(&call.arguments, context)?
            } else {
                own.push(0);
                ToolOutput::of(OutputStatus::Rejected)
            };
            let shown = observation(&output);
            said.push((format!("{place}, turn {}, the output of {:?}", at + 1, call.name), shown));
            turn.calls.push(CallRecord::Executed { call, output });
        }
        if step(&mut *session, &turn, &own, &format!("{place}, turn {}", at + 1), said)? {
            break;
        }
    }
    let closing = session.close()?;
    said.push((
        format!("{place}, the end"),
        format!("{}, correct: {:?}", named(&closing.rewards), closing.correct),
    ));
    Ok(())
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
for line in sys.stdin:
    request = json.loads(line)
    seed = request.get("seed")
    answer = {{
        "describe": lambda: {{"train": 1, "held_out": 0, "tools": [TOOL]}},
        "reset": lambda: {{"task": "t", "messages": [{{"role": "user", "content": str({opening})}}]}},
        "step": lambda: {{"outputs": [str(call["arguments"]) for call in request["calls"]], {step}}},
        "close": lambda: {{}},
    }}[request["method"]]()
    print(json.dumps({{"id": request["id"], "result": answer}}), flush=True)"#
        );
        let command = vec!["python3".into(), "-c".into(), script];
        let config = ProcessConfig { command, workers: 1, timeout_seconds: 10.0 };
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
            // The order of a set of texts depends on the process.
            ("seed", r#""message": "".join(set("abcdefghijklm"))"#, "and the second time"),
        ] {
            let found = compared(opening, step).expect(step);
            assert!(found.contains(expect), "{found}");
        }
    }

    #[test]
    fn environments_in_rust_are_deterministic() {
        let open = || Arithmetic::new(ArithmeticConfig { train_tasks: 2, ..Default::default() }).unwrap();
        assert_eq!(difference(&open(), &open(), &Echo), Ok(None));
    }
}
