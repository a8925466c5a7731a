mod faults;
mod numbers;
mod sharing;
mod times;

use serde_json::json;
use turnwise_tools::executor::Echo;
use turnwise_trajectory::{CallRecord, OutputStatus, Stop, ToolCall, ToolOutput, Trajectory, Turn};

use super::*;
use crate::flaky::{Failures, Flaky};
use crate::reward::{RewardConfig, score};
use crate::session::{Closing, Session, Start};

/// Reads requests and answers each by `answer(request)`, a line at a time. `after` delays an answer.
const PRELUDE: &str = r#"
import json, os, random, sys, threading, time
lock = threading.Lock()
def say(text):
    with lock:
        print(text, flush=True)
def result(request, value):
    say(json.dumps({"id": request["id"], "result": value}))
def after(seconds, request, value):
    threading.Timer(seconds, result, (request, value)).start()
TOOL = {"name": "look", "description": "", "parameters": {"type": "object", "properties": {}}}
def usual(request):
    method = request["method"]
    if method == "describe":
        return {"train": 100, "held_out": 10, "tools": [TOOL], "builtin": ["python"], "system": "Look."}
    if method == "reset":
        place = request["split"] + "/" + str(request["index"])
        sessions[request["session"]] = [request["index"], 0]
        messages = [{"role": "user", "content": place + " " + str(request["seed"])}]
        return {"task": place, "level": 3, "messages": messages}
    if method == "step":
        session = sessions[request["session"]]
        session[1] += 1
        outputs = ["look " + str(session[0])] * len(request["calls"])
        return {"outputs": outputs, "rewards": {"place": session[0] + session[1] / 64}, "done": False}
    return {}
sessions = {}
def main(answer):
    for line in sys.stdin:
        answer(json.loads(line))
"#;

fn open(script: &str, change: impl FnOnce(&mut ProcessConfig)) -> Result<Process, EnvError> {
    let command = ["python3".into(), "-u".into(), "-c".into(), format!("{PRELUDE}\n{script}")].to_vec();
    let mut config = ProcessConfig { timeout_seconds: 10.0, ..ProcessConfig::of(command) };
    change(&mut config);
    Process::new(&config)
}

const USUAL: &str = "main(lambda request: result(request, usual(request)))";

fn call(name: &str, output: &str) -> CallRecord {
    let call = ToolCall { name: name.into(), arguments: serde_json::Map::new(), span: 0..0 };
    let status = if output.is_empty() { OutputStatus::Rejected } else { OutputStatus::Ok };
    CallRecord::Executed { call, output: ToolOutput { stdout: output.into(), ..ToolOutput::of(status) } }
}

/// Returns a turn that calls `look`, at position 0.
fn looks() -> Turn {
    Turn { text: "I look.".into(), calls: vec![call("look", "")], ..Turn::default() }
}

fn session<'a>(env: &'a Process, task: &'a Task) -> Result<Box<dyn Session + 'a>, Fault> {
    Ok(env.session(Start::first(task, &Echo))?.session)
}

#[test]
fn a_task_is_what_its_reset_says_and_the_same_for_all_samples() {
    let env = open(USUAL, |_| ()).unwrap();
    assert_eq!((env.count(TaskSplit::Train), env.count(TaskSplit::HeldOut)), (100, 10));
    let names: Vec<&str> = env.tools().iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["look", "python"]);
    let task = env.task(TaskSplit::HeldOut, 7).unwrap();
    assert_eq!((task.id.as_str(), task.level), ("held_out/7", 3));
    assert_eq!(task.messages[0], Message::new(Role::System, "Look."));
    for sample in 0..3 {
        let opened = env.session(Start { sample, ..Start::first(&task, &Echo) }).unwrap();
        assert!(opened.messages.is_none(), "those of the task");
        assert!(opened.tool("python").is_some() && opened.tool("look").is_none());
    }
    assert_ne!(env.task(TaskSplit::Train, 7).unwrap().messages[1], task.messages[1], "another seed");
}

#[test]
fn tasks_are_there_behind_tools_that_fail_on_purpose() {
    let failures = Failures { timeouts: 1.0, errors: 0.0, seed: 0 };
    let env = Flaky::new(Box::new(open(USUAL, |_| ()).unwrap()), failures);
    assert_eq!((env.count(TaskSplit::Train), env.count(TaskSplit::HeldOut)), (100, 10));
    let task = env.task(TaskSplit::HeldOut, 7).unwrap();
    assert_eq!(task.id, "held_out/7");
    let mut session = env.session(Start::first(&task, &Echo)).unwrap().session;
    assert_eq!(session.step(&looks(), &[0]).unwrap().outputs[0].status, OutputStatus::Timeout);
}

#[test]
fn a_step_says_what_was_written_called_and_answered() {
    // The environment's answer is the request itself.
    let echo = r#"
def answer(request):
    if request["method"] != "step":
        return result(request, usual(request))
    request.pop("session")
    result(request, {"outputs": [json.dumps(request, sort_keys=True)] * len(request["calls"])})
main(answer)"#;
    let env = open(echo, |_| ()).unwrap();
    let task = env.task(TaskSplit::Train, 0).unwrap();
    let mut session = session(&env, &task).unwrap();
    let mut turn = looks();
    turn.calls.push(call("python", "4\n"));
    // A tool of a server that the run file names.
    turn.calls.push(call("read_file", "text"));
    turn.finish = turnwise_trajectory::Finish::Length;
    turn.calls.push(CallRecord::Malformed(turnwise_trajectory::MalformedCall {
        kind: turnwise_trajectory::ViolationKind::Empty,
        message: String::new(),
        span: 0..0,
    }));
    // Beyond the limit of a turn: the environment was never asked.
    turn.calls.push(call("look", ""));
    let said = session.step(&turn, &[0]).unwrap().outputs.remove(0).stdout;
    let mut said: serde_json::Value = serde_json::from_str(&said).unwrap();
    said.as_object_mut().unwrap().remove("id");
    let expect = json!({
        "method": "step", "text": "I look.", "malformed": 1, "truncated": true,
        "calls": [{"name": "look", "arguments": {}}],
        "builtin": [
            {"name": "python", "arguments": {}, "output": "4"},
            {"name": "read_file", "arguments": {}, "output": "text"},
        ],
    });
    assert_eq!(said, expect);
}

/// Returns why a task can't be played. Its trajectories are lost by it, and no others.
fn unopened(script: &str, split: TaskSplit, index: usize) -> String {
    let env = open(script, |_| ()).unwrap();
    let task = env.task(split, index).unwrap();
    let Err(fault) = session(&env, &task) else { panic!("it is played") };
    fault.message
}

#[test]
fn verdicts_and_late_rewards_follow_the_contract() {
    let judge = r#"
def answer(request):
    value = usual(request)
    if request["method"] == "step":
        index = sessions[request["session"]][0]
        value = {"rewards": {"acc": [0.5, 0.5, 0.0, 1.0][index]}, "message": "And?"}
        if index == 2: value["correct"] = True
        if index == 3: value["correct"] = False
    if request["method"] == "close":
        value = {"rewards": {"acc": [0.5, 0.25, 0.0, 0.0][sessions[request["session"]][0]]}}
    result(request, value)
main(answer)"#;
    let env = open(judge, |_| ()).unwrap();
    for (index, correct) in [(0, true), (1, false), (2, true), (3, false)] {
        let task = env.task(TaskSplit::Train, index).unwrap();
        let mut session = session(&env, &task).unwrap();
        let step = session.step(&Turn::default(), &[]).unwrap();
        assert_eq!((step.message.as_deref(), step.done), (Some("And?"), false));
        let closing = session.close().unwrap();
        let told = closing.correct.or(step.correct);
        assert_eq!(told, [None, None, Some(true), Some(false)][index], "{index}");
        let mut turn = Turn { rewards: step.rewards, correct: told, ..Turn::default() };
        turn.rewards.extend(&closing.rewards);
        let played = Trajectory {
            task: task.id.clone(),
            sample: 0,
            prompt: vec![0],
            turns: vec![turn],
            stop: Stop::Done,
        };
        let scored = score(&env, &task, &played, &RewardConfig::default()).unwrap();
        assert_eq!(scored.correct, correct, "{index}");
    }
}

#[test]
fn the_example_in_python_is_played() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/process/guess.py");
    let command = vec!["python3".to_string(), script.to_string()];
    let env = Process::new(&ProcessConfig { workers: 2, ..ProcessConfig::of(command) }).unwrap();
    let task = env.task(TaskSplit::Train, 3).unwrap();
    let mut session = session(&env, &task).unwrap();
    let guess = |session: &mut dyn Session, n: i64| {
        let arguments = json!({"n": n}).as_object().unwrap().clone();
        let call = ToolCall { name: "guess".into(), arguments, span: 0..0 };
        let output = ToolOutput::of(OutputStatus::Rejected);
        let turn = Turn { calls: vec![CallRecord::Executed { call, output }], ..Turn::default() };
        session.step(&turn, &[0]).unwrap()
    };
    let (mut low, mut high) = (0, 99);
    let last = loop {
        let middle = i64::midpoint(low, high);
        let step = guess(&mut *session, middle);
        match step.outputs[0].stdout.as_str() {
            "higher" => low = middle + 1,
            "lower" => high = middle - 1,
            _ => break step,
        }
        assert!(low <= high && !step.done && step.rewards.get("progress") > 0.0);
    };
    assert!(last.done && last.rewards.acc() == 1.0);
    assert_eq!(session.close().unwrap(), Closing::default(), "its `acc` says that it is right");
}
