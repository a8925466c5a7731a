mod sharing;

use serde_json::json;
use turnwise_tools::executor::Echo;
use turnwise_trajectory::{CallRecord, OutputStatus, Stop, ToolCall, ToolOutput, Trajectory, Turn};

use super::*;
use crate::flaky::{Failures, Flaky};
use crate::reward::{RewardConfig, score};
use crate::session::{Closing, Session, Start};

mod numbers;

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
fn answers_in_any_order_reach_their_sessions() {
    let slow = "main(lambda request: after(random.random() * 0.01, request, usual(request)))";
    for workers in [1, 3] {
        let env = open(slow, |config| config.workers = workers).unwrap();
        let tasks: Vec<Task> = (0..24).map(|index| env.task(TaskSplit::Train, index).unwrap()).collect();
        std::thread::scope(|scope| {
            for (index, task) in tasks.iter().enumerate() {
                let env = &env;
                scope.spawn(move || {
                    let mut session = session(env, task).unwrap();
                    for turn in 1..6 {
                        let step = session.step(&looks(), &[0]).unwrap();
                        assert_eq!(step.outputs, [ToolOutput::says(format!("look {index}"))]);
                        assert_eq!(step.rewards.get("place"), index as f64 + f64::from(turn) / 64.0);
                    }
                    assert_eq!(session.close().unwrap().correct, None);
                });
            }
        });
    }
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

#[test]
fn what_a_process_gets_wrong_costs_the_sessions_that_it_holds() {
    let odd = r#"
def answer(request):
    index = sessions[request["session"]][0] if request["method"] == "step" else 99
    if index == 0: return
    if index == 1: return say("Traceback")
    if index == 2: os._exit(3)
    value = usual(request)
    if index == 3: value["outputs"].append("one too many")
    rewarded = '{"id": %d, "result": {"outputs": ["x"], "rewards": {"a": %s}}}'
    if index == 4: return say(rewarded % (request["id"], "NaN"))
    if index == 5: return say(json.dumps({"id": request["id"], "error": {"message": "no such game"}}))
    if index == 6: return say(json.dumps({"id": 10 ** 9, "result": {}}))
    if index == 7: value["reward"] = 1
    if index == 8: return say(json.dumps({"id": request["id"], "result": {"rewards": {"a": "much"}}}))
    if index == 9: return say(rewarded % (request["id"], "1e999"))
    if index == 10: return (result(request, value), result(request, value))
    if index == 12: return say('"' + "x" * (17 << 20) + '"')
    if index == 13: os.kill(os.getpid(), 9)
    if index == 14: print("first\x1b[2J\nlast", file=sys.stderr, flush=True); os._exit(4)
    if index == 15: os.close(1); time.sleep(60)
    result(request, value)
main(answer)"#;
    let env = open(odd, |config| config.timeout_seconds = 1.5).unwrap();
    let tasks: Vec<Task> = (0..17).map(|index| env.task(TaskSplit::Train, index).unwrap()).collect();
    for (index, expect, process_ends) in [
        (0, "no answer for 1.5 s", true),
        (1, "it wrote \"Traceback\", which is no answer", true),
        (2, "the process has ended (exit status: 3)", true),
        (3, "2 outputs for 1 calls", true),
        (4, "which is no answer", true),
        (5, "no such game", false),
        (6, "it answered the request 1000000000, which waits for no answer", true),
        (7, "unknown field `reward`", true),
        (8, "an answer that makes no sense", true),
        (9, "which is no answer", true),
        (12, "it wrote a line of more than 16 MiB: \"\\\"xxx", true),
        (13, "the process has ended (signal: 9 (SIGKILL))", true),
        (14, "(exit status: 4); the end of its stderr: first\\u{1b}[2J | last", true),
        (15, "the process has closed its stdout", true),
    ] {
        let mut beside = session(&env, &tasks[11]).unwrap();
        assert!(beside.step(&looks(), &[0]).is_ok(), "{index}");
        let mut odd = session(&env, &tasks[index]).unwrap();
        let fault = odd.step(&looks(), &[0]).unwrap_err().to_string();
        assert!(fault.starts_with("env.process: ") && fault.contains(expect), "{index}: {fault}");
        let after = beside.step(&looks(), &[0]);
        assert_eq!(after.is_err(), process_ends, "{index}: {after:?}");
    }
    // An answer that comes twice belongs to no request.
    let mut twice = session(&env, &tasks[10]).unwrap();
    let second = twice.step(&looks(), &[0]).and_then(|_| twice.step(&looks(), &[0]));
    assert!(second.unwrap_err().to_string().contains("which waits for no answer"));
    // The process that replaces it has none of its sessions.
    let mut last = session(&env, &tasks[16]).unwrap();
    assert_eq!(last.step(&looks(), &[0]).unwrap().rewards.get("place"), 16.0 + 1.0 / 64.0);
    assert!(env.check().is_ok());
    let log = env.take_log();
    for line in ["env.process 1: first\\u{1b}[2J", "env.process 1: last"] {
        assert!(log.iter().any(|said| said == line), "{log:?}");
    }
}

#[test]
fn three_failures_in_a_row_end_everything_in_one_line() {
    let dies = r#"
def answer(request):
    if request["method"] == "step": sys.exit("no module named game")
    result(request, usual(request))
main(answer)"#;
    let env = open(dies, |config| config.workers = 2).unwrap();
    // Resets are answered between the failures, and don't prove that it works.
    let tasks: Vec<Task> = (0..6).map(|index| env.task(TaskSplit::Train, index).unwrap()).collect();
    let task = &tasks[0];
    env.close_openings();
    let faults: Vec<String> = tasks
        .iter()
        .filter_map(|task| session(&env, task).and_then(|mut session| session.step(&looks(), &[0])).err())
        .map(|fault| fault.message)
        .collect();
    let expect = "the process has ended (exit status: 1); the end of its stderr: no module named game";
    assert_eq!(&faults[..5], [expect; 5]);
    let error = env.check().unwrap_err().to_string();
    assert!(error.starts_with("env.process: command = [\"python3\", "), "{error}");
    assert!(error.lines().next().unwrap().len() < 600, "{error}");
    let (line, hint) = error.rsplit_once('\n').unwrap();
    let worker = |number: u32| format!(", worker {number}: failed 3 times in a row: {expect}");
    assert!(line.ends_with(&worker(1)) || line.ends_with(&worker(2)), "{error}");
    assert!(hint.starts_with("  hint: ") && faults[5].contains("failed 3 times in a row"), "{hint}");
    assert!(session(&env, task).is_err(), "the other worker asks no more either");
    assert_eq!(env.task(TaskSplit::Train, 7).unwrap_err().to_string(), error);
}

#[test]
fn a_task_is_asked_for_again_after_a_fault() {
    // The first process dies of any reset, and the second one refuses the first.
    let folder = tempfile::tempdir().unwrap();
    let script = r#"
second = os.path.exists(FLAG)
open(FLAG, "w")
first = [True]
def answer(request):
    if request["method"] == "reset" and first:
        first.clear()
        if not second: os._exit(1)
        return say(json.dumps({"id": request["id"], "error": {"message": "not yet"}}))
    result(request, usual(request))
main(answer)"#;
    let script = script.replace("FLAG", &format!("{:?}", folder.path().join("born")));
    let env = open(&script, |_| ()).unwrap();
    assert_eq!(env.task(TaskSplit::Train, 4).unwrap().id, "train/4");
    let never = r#"
def answer(request):
    if request["method"] == "describe": return result(request, usual(request))
    say(json.dumps({"id": request["id"], "error": {"message": "no\nsuch task"}}))
main(answer)"#;
    assert_eq!(unopened(never, TaskSplit::HeldOut, 4), "reset of held_out 4: no\\nsuch task");
}

/// Returns why a task can't be played. Its trajectories are lost by it, and no others.
fn unopened(script: &str, split: TaskSplit, index: usize) -> String {
    let env = open(script, |_| ()).unwrap();
    let task = env.task(split, index).unwrap();
    let Err(fault) = session(&env, &task) else { panic!("it is played") };
    fault.message
}

#[test]
fn a_process_that_answers_one_after_the_other_is_in_time_if_each_is() {
    let slow = r#"
def answer(request):
    if request["method"] == "step": time.sleep(0.4)
    result(request, usual(request))
main(answer)"#;
    let env = open(slow, |config| config.timeout_seconds = 1.0).unwrap();
    let task = env.task(TaskSplit::Train, 0).unwrap();
    std::thread::scope(|scope| {
        let steps: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| session(&env, &task).unwrap().step(&looks(), &[0]).map(drop)))
            .collect();
        for step in steps {
            step.join().unwrap().unwrap();
        }
    });
}

#[test]
fn an_answer_that_never_comes_is_missed_though_others_do() {
    let deaf = r#"
def answer(request):
    if request["method"] == "step" and sessions[request["session"]][0] == 0: return
    result(request, usual(request))
main(answer)"#;
    let env = open(deaf, |config| config.timeout_seconds = 1.0).unwrap();
    let tasks: Vec<Task> = (0..2).map(|index| env.task(TaskSplit::Train, index).unwrap()).collect();
    let ended = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut busy = session(&env, &tasks[1]).unwrap();
            let mut answered = 0_u64;
            while !ended.load(Ordering::Relaxed) && busy.step(&looks(), &[0]).is_ok() {
                answered += 1;
            }
            assert!(answered > 0);
        });
        let fault = session(&env, &tasks[0]).unwrap().step(&looks(), &[0]).unwrap_err();
        ended.store(true, Ordering::Relaxed);
        assert!(fault.message.starts_with("no answer for 1 s"), "{fault}");
    });
}

#[test]
fn two_resets_that_give_two_tasks_are_a_fault() {
    let odd = r#"
def answer(request):
    value = usual(request)
    if request["method"] == "reset": value["messages"][0]["content"] += request["session"]
    result(request, value)
main(answer)"#;
    let env = open(odd, |_| ()).unwrap();
    let task = env.task(TaskSplit::Train, 2).unwrap();
    let first = session(&env, &task).unwrap();
    let fault = session(&env, &task).err().unwrap().message;
    drop(first);
    assert!(fault.starts_with("two resets of train 2 give two tasks: "), "{fault}");
    let (a, b) = ("s0\\\"", "s1\\\"");
    assert!(fault.contains(a) && fault.contains(b) && fault.contains("\n  hint: equal seeds"), "{fault}");
}

/// Returns whether a process of this number runs. One that is only not reaped yet doesn't.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[test]
fn processes_end_with_their_stdin_and_take_those_that_they_started_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let read = |name: &str| std::fs::read_to_string(file(name)).unwrap_or_default();
    // One cleans up after its stdin, the other ignores its end. Both have a child that does.
    let script = |ends: &str| {
        format!(
            r#"
import subprocess
child = subprocess.Popen(["sleep", "600"])
open({:?}, "w").write(f"{{os.getpid()}} {{child.pid}}")
{USUAL}
{ends}"#,
            file("pids")
        )
    };
    let cleans = script(&format!("time.sleep(0.2); open({:?}, 'w').write('clean')", file("ended")));
    for (script, clean) in [(cleans, "clean"), (script("time.sleep(600)"), "")] {
        drop(open(&script, |config| config.workers = 1).unwrap());
        assert_eq!(read("ended"), clean);
        // A signal takes a moment.
        std::thread::sleep(Duration::from_millis(100));
        let pids = read("pids");
        assert_eq!(pids.split(' ').filter(|pid| lives(pid)).count(), 0, "{pids}");
        let _ = std::fs::remove_file(file("ended"));
    }
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
fn an_id_that_every_record_would_hold_is_bounded() {
    let long = r#"
def answer(request):
    value = usual(request)
    if request["method"] == "reset": value["task"] = "x" * 4097
    result(request, value)
main(answer)"#;
    let why = unopened(long, TaskSplit::Train, 0);
    assert_eq!(why, "reset of train 0: an id of 4097 bytes, at most 4096");
}

#[test]
fn settings_that_cannot_serve_are_named() {
    let config = |command: &[&str]| {
        let command = command.iter().map(ToString::to_string).collect();
        Process::new(&ProcessConfig { timeout_seconds: 1.0, ..ProcessConfig::of(command) })
    };
    for (result, expect) in [
        (config(&[]), "command = [] names no program"),
        (config(&["no-such-command"]), "doesn't start"),
        (config(&["python3", "-c", "pass"]), "describe: the process has ended (exit status: 0)"),
        (config(&["python3", "-c", "import no_such"]), "No module named 'no_such'\n  hint: run "),
        (config(&["python3", "-c", "input(); print('{\"id\":1,\"result\":{}}')"]), "missing field `train`"),
        (config(&["python3", "-c", "print({'id': float('nan')})"]), "\n  hint: stdout is for answers"),
        (config(&["python3", "-c", "print('{\"id\": NaN}')"]), "NaN is no finite number\n  hint: "),
        (
            config(&["python3", "-c", "print('{\"id\": -Infinity}')"]),
            "Infinity is no finite number\n  hint: ",
        ),
        (config(&["sleep", "9"]), "no answer for 1 s\n  hint: env.process.timeout_seconds bounds the start"),
        (
            open(&USUAL.replace("usual(request)", "{**usual(request), 'builtin': ['bash']}"), |_| ()),
            "turnwise has the tool \"python\" only",
        ),
        (
            open(&USUAL.replace("usual(request)", "{**usual(request), 'tools': [TOOL, TOOL]}"), |_| ()),
            "two tools are called \"look\"",
        ),
        (
            open(
                &USUAL.replace(
                    "usual(request)",
                    "{**usual(request), 'tools': [{'name': 'f', 'parameters': {'type': 'objekt'}}]}",
                ),
                |_| (),
            ),
            "parameters.type: \"objekt\" is no type of JSON schema (did you mean \"object\"?)",
        ),
        (
            open(&USUAL.replace("usual(request)", "{**usual(request), 'train': 2**62}"), |_| ()),
            "train is 4611686018427387904, expected a whole number from 0 to 16777216",
        ),
    ] {
        let error = result.err().unwrap().to_string();
        assert!(error.starts_with("env.process: ") && error.contains(expect), "{error}");
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
