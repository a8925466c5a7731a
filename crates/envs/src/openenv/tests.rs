use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Map, json};
use turnwise_tools::Cause;
use turnwise_tools::executor::Echo;
use turnwise_trajectory::{CallRecord, OutputStatus, ToolCall, ToolOutput, Turn};

use super::*;
use crate::determinism::difference;
use crate::session::{Session, Step};

/// Makes a server in Python whose answers a test writes.
const ODD: &str = include_str!("../../tests/openenv/odd.py");

fn command(script: &str) -> Vec<String> {
    vec!["python3".into(), "-u".into(), "-c".into(), format!("{ODD}\n{script}")]
}

fn open(script: &str, change: impl FnOnce(&mut OpenEnvConfig)) -> Result<OpenEnv, EnvError> {
    let mut config = OpenEnvConfig { timeout_seconds: 10.0, ..OpenEnvConfig::started_by(command(script)) };
    change(&mut config);
    OpenEnv::new(&config)
}

fn session<'a>(env: &'a OpenEnv, task: &'a Task) -> Result<Box<dyn Session + 'a>, Fault> {
    Ok(env.session(Start::first(task, &Echo))?.session)
}

fn says(session: &mut dyn Session, text: &str) -> Result<Step, Fault> {
    session.step(&Turn { text: text.into(), ..Turn::default() }, &[])
}

fn look(n: i64) -> CallRecord {
    let arguments: Map<_, _> = json!({"n": n}).as_object().unwrap().clone();
    let call = ToolCall { name: "look".into(), arguments, span: 0..0 };
    CallRecord::Executed { call, output: ToolOutput::of(OutputStatus::Rejected) }
}

fn reward(step: &Step) -> f64 {
    step.rewards.get("reward")
}

#[test]
fn a_task_is_a_seed_and_no_two_splits_share_one() {
    let env = open("serve()", |config| {
        (config.train, config.held_out, config.instruction) = (3, 2, "Listen.".into());
    });
    let env = env.unwrap();
    assert_eq!((env.count(TaskSplit::Train), env.count(TaskSplit::HeldOut)), (3, 2));
    let task = |split, index| env.task(split, index).unwrap();
    let tasks: Vec<Task> = (0..3)
        .map(|index| task(TaskSplit::Train, index))
        .chain((0..2).map(|index| task(TaskSplit::HeldOut, index)))
        .collect();
    for (seed, task) in tasks.iter().enumerate() {
        assert_eq!(task.id, format!("seed/{seed}"));
        let told = Message::new(Role::System, "Listen.");
        assert_eq!(task.messages, [told, Message::new(Role::User, format!("seed {seed}"))]);
    }
}

#[test]
fn a_text_is_the_action_and_what_is_observed_the_next_message() {
    let script = r#"
def handle(session, message):
    answer = json.loads(usual(session, message))
    if message["type"] == "step" and session.steps == 3: answer["data"]["done"] = True
    return json.dumps(answer)
serve(handle)"#;
    let env = open(script, |config| config.right_from = 6.0 / 64.0).unwrap();
    assert!(env.tools().is_empty());
    let task = env.task(TaskSplit::Train, 0).unwrap();
    let mut session = session(&env, &task).unwrap();
    for (n, text) in ["one", "two", "three"].iter().enumerate() {
        let step = says(&mut *session, text).unwrap();
        assert_eq!(step.message.as_ref().unwrap(), &format!("heard {text}"));
        assert_eq!((reward(&step), step.done), ((n + 1) as f64 / 64.0, n == 2));
    }
    // Messages after the end aren't sent.
    let after = says(&mut *session, "four").unwrap();
    assert!(after.done && after.message.is_none() && after.rewards.is_empty());
    assert_eq!(session.close().unwrap().correct, Some(true), "the sum is 6/64");
}

#[test]
fn a_turn_that_calls_a_tool_of_others_is_no_move() {
    let env = open("serve()", |_| ()).unwrap();
    let task = env.task(TaskSplit::Train, 0).unwrap();
    let opened = |tools_beside| {
        let start = Start { tools_beside, ..Start::first(&task, &Echo) };
        env.session(start).unwrap().session
    };
    let malformed = CallRecord::Malformed(turnwise_trajectory::MalformedCall {
        kind: turnwise_trajectory::ViolationKind::WrongType,
        message: String::new(),
        span: 0..0,
    });
    let calls =
        |call: &CallRecord| Turn { text: "I look.".into(), calls: vec![call.clone()], ..Turn::default() };
    let (mut session, mut plain) = (opened(true), opened(false));
    let first = says(&mut *plain, "hello").unwrap();
    for call in [&look(1), &malformed] {
        let step = session.step(&calls(call), &[]).unwrap();
        assert_eq!(step, Step::default(), "the server isn't told");
    }
    // The move is the first that the server hears.
    assert_eq!(says(&mut *session, "hello").unwrap(), first);
    // Without tools on offer, what looks like a call is a text.
    assert!(opened(false).step(&calls(&malformed), &[]).unwrap().message.is_some());
}

#[test]
fn calls_of_a_turn_are_steps_in_their_order_and_their_rewards_add_up() {
    let script = r#"
def handle(session, message):
    answer = json.loads(usual(session, message))
    if message["type"] == "step" and session.steps == 3: answer["data"]["done"] = True
    return json.dumps(answer)
serve(handle, CALLS)"#;
    let env = open(script, |_| ()).unwrap();
    assert_eq!(env.tools()[0].name, "look");
    let task = env.task(TaskSplit::Train, 2).unwrap();
    let mut session = session(&env, &task).unwrap();
    let turn = Turn { calls: vec![look(7), look(8)], ..Turn::default() };
    let step = session.step(&turn, &[0, 1]).unwrap();
    assert_eq!(step.outputs, [ToolOutput::says("look 2 7"), ToolOutput::says("look 2 8")]);
    assert_eq!((reward(&step), step.done, &step.message), (4.0 + 3.0 / 64.0, false, &None));
    // A turn without a call sends nothing to the server.
    let quiet = session.step(&Turn { text: "I think.".into(), ..Turn::default() }, &[]).unwrap();
    assert_eq!(quiet, Step::default());
    let last = session.step(&turn, &[0, 1]).unwrap();
    assert_eq!((last.outputs[1].status, last.done), (OutputStatus::Rejected, true));
    assert_eq!(reward(&last), 2.0 + 3.0 / 64.0);
    assert_eq!(session.close().unwrap().correct, Some(true));
}

#[test]
fn what_a_session_gets_wrong_costs_its_trajectory_only() {
    let odd = r#"
def handle(session, message):
    value = usual(session, message)
    if message["type"] != "step": return value
    seed = session.seed
    if seed == 0: return time.sleep(60)
    if seed == 1: return "Traceback"
    if seed == 2: return json.dumps({"type": "observation", "data": {"reward": 1.0}})
    if seed == 3: return session.close()
    if seed == 4: return session.sock.shutdown(2)
    if seed == 5: return session.refuse("EXECUTION_ERROR", "no such\nmove \x1b[2J")
    if seed == 6: return value.replace('"reward": 6.015625', '"reward": NaN')
    if seed == 7: return value.replace('"reward": 7.015625', '"reward": 1e999')
    if seed == 8: return session.sock.sendall(frame(2, value.encode()))
    if seed == 9: return '"' + "x" * (17 << 20) + '"'
    if seed == 10: return json.dumps({"type": "state", "data": {}})
    if seed == 11: return session.refuse("VALIDATION_ERROR", "Invalid message", errors=[{"msg": "too short"}])
    if seed == 12: return session.sock.sendall(b"\xff" * 20)
    if seed == 14:
        for byte in frame(1, value.encode()): session.sock.sendall(bytes([byte])); time.sleep(0.05)
        return
    if seed == 15: return session.say(value, value)
    return value
serve(handle)"#;
    let env = open(odd, |config| config.timeout_seconds = 1.0).unwrap();
    let tasks: Vec<Task> = (0..16).map(|index| env.task(TaskSplit::Train, index).unwrap()).collect();
    let mut beside = session(&env, &tasks[13]).unwrap();
    for (seed, expect) in [
        (0, "no answer for 1 s"),
        (1, "it said \"Traceback\", which is no answer"),
        (2, "which is no answer: data: missing field `observation`"),
        (3, "the server has closed the session (1011 gone)"),
        (4, "the connection is lost"),
        (5, "EXECUTION_ERROR: no such move \\u{1b}[2J"),
        (6, "which is no answer"),
        (7, "which is no answer"),
        (8, "it said bytes instead of a text"),
        (9, "Space limit exceeded"),
        (10, "it told its state, and a step was asked for"),
        (12, "WebSocket protocol error"),
        (14, "no answer for 1 s"),
    ] {
        let mut odd = session(&env, &tasks[seed]).unwrap();
        let fault = says(&mut *odd, "hello").unwrap_err().to_string();
        assert!(fault.starts_with("env.openenv: ") && fault.contains(expect), "{seed}: {fault}");
        assert!(!fault.contains('\n'), "{fault}");
        assert!(says(&mut *beside, "hello").is_ok(), "{seed}");
        assert!(env.check().is_ok(), "a turn was answered between the failures");
    }
    // An action that the environment refuses is the policy's mistake.
    let mut refused = session(&env, &tasks[11]).unwrap();
    let step = says(&mut *refused, "").unwrap();
    assert_eq!((step.message.as_deref(), step.done), (Some("Invalid message: too short"), false));
    assert!(step.rewards.is_empty());
    // An answer that comes twice would be taken for the next one's.
    for close in [false, true] {
        let mut twice = session(&env, &tasks[15]).unwrap();
        assert_eq!(reward(&says(&mut *twice, "hello").unwrap()), 15.0 + 1.0 / 64.0);
        let fault = if close { twice.close().map(drop) } else { says(&mut *twice, "hello").map(drop) };
        assert!(fault.unwrap_err().message.contains("which nothing asked for"));
    }
}

#[test]
fn a_seed_that_cannot_be_opened_costs_its_trajectories_until_it_can() {
    let odd = r#"
refused = []
def handle(session, message):
    if message["type"] == "reset" and len(refused) < 3:
        refused.append(1)
        return session.refuse("EXECUTION_ERROR", "bad seed")
    return usual(session, message)
serve(handle)"#;
    let env = open(odd, |_| ()).unwrap();
    let task = || env.task(TaskSplit::Train, 2).unwrap();
    let Err(fault) = session(&env, &task()) else { panic!("it was opened") };
    assert!(fault.message.contains("reset of seed 2: EXECUTION_ERROR: bad seed"), "{}", fault.message);
    assert!(env.check().is_ok(), "others can be played");
    let task = task();
    assert!(says(&mut *session(&env, &task).unwrap(), "hello").is_ok(), "its next draw asks again");
}

#[test]
fn a_server_that_ends_is_started_again() {
    let dies = r#"
def handle(session, message):
    if message["type"] == "step" and session.seed == 1:
        print("out of cheese"); os._exit(7)
    return usual(session, message)
serve(handle)"#;
    let env = open(dies, |_| ()).unwrap();
    let tasks: Vec<Task> = (0..2).map(|index| env.task(TaskSplit::Train, index).unwrap()).collect();
    for _ in 0..3 {
        let mut beside = session(&env, &tasks[0]).unwrap();
        let mut dying = session(&env, &tasks[1]).unwrap();
        assert!(says(&mut *beside, "hello").is_ok());
        let fault = says(&mut *dying, "hello").unwrap_err();
        let expect = "the server has ended (exit status: 7); the end of its stderr: out of cheese";
        assert_eq!((fault.message.as_str(), fault.cause), (expect, Cause::Shared));
        // Its session has ended with the server, and it wasn't to blame.
        assert_eq!(says(&mut *beside, "hello").unwrap_err().cause, Cause::Other);
    }
    let mut last = session(&env, &tasks[0]).unwrap();
    assert_eq!(reward(&says(&mut *last, "hello").unwrap()), 1.0 / 64.0);
    assert!(env.check().is_ok());
    let log = env.take_log();
    assert_eq!(log, ["env.openenv: out of cheese"; 3]);
}

#[test]
fn three_failures_in_a_row_end_everything_in_one_line() {
    let dies = r#"
def handle(session, message):
    if message["type"] == "step": os._exit(7)
    return usual(session, message)
serve(handle)"#;
    let env = open(dies, |_| ()).unwrap();
    let task = env.task(TaskSplit::Train, 0).unwrap();
    for index in [0, 0, 0, 0, 1, 2] {
        // Four failures of one task may be the task's.
        assert!(env.check().is_ok());
        let task = env.task(TaskSplit::Train, index).unwrap();
        env.close_openings();
        assert!(session(&env, &task).and_then(|mut session| says(&mut *session, "hello")).is_err());
    }
    let error = env.check().unwrap_err().to_string();
    let (line, hint) = error.split_once('\n').unwrap();
    assert!(line.starts_with("env.openenv: command = [\"python3\", \"-u\", \"-c\", "), "{error}");
    assert!(line.ends_with("failed 6 times in a row: the server has ended (exit status: 7)"), "{error}");
    assert!(hint.starts_with("  hint: ") && line.len() < 400, "{error}");
    assert!(session(&env, &task).is_err());
    assert_eq!(env.task(TaskSplit::Train, 3).unwrap_err().to_string(), error);
}

#[test]
fn a_server_without_room_is_waited_for() {
    let env = open("serve(room=1)", |config| config.at_once = 4).unwrap();
    let tasks: Vec<Task> = (0..4).map(|index| env.task(TaskSplit::Train, index).unwrap()).collect();
    let first = session(&env, &tasks[0]).unwrap();
    let begun = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let played: Vec<_> = tasks[1..]
            .iter()
            .map(|task| {
                let (env, begun) = (&env, &begun);
                scope.spawn(move || {
                    let mut session = session(env, task).unwrap();
                    assert!(begun.load(Ordering::Acquire), "there was no room");
                    let reward = reward(&says(&mut *session, "hello").unwrap());
                    assert!(session.close().is_ok());
                    reward
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(200));
        begun.store(true, Ordering::Release);
        drop(first);
        for (seed, reward) in played.into_iter().enumerate() {
            assert_eq!(reward.join().unwrap(), (seed + 1) as f64 + 1.0 / 64.0);
        }
    });
    assert!(env.check().is_ok());
}

#[test]
fn room_that_somebody_else_keeps_is_waited_for_until_the_time_is_over() {
    let others = "serve(room=0)";
    let error = open(others, |config| config.start_seconds = 3.0).err().unwrap().to_string();
    assert!(error.contains("no room for a session for 3 s (CAPACITY_REACHED)"), "{error}");
}

#[test]
fn a_silent_session_answers_pings_and_hears_the_end() {
    // A server that pings, and waits for the pong before it answers anything.
    let pings = r#"
def handle(session, message):
    if message["type"] == "reset":
        session.say(usual(session, message))
        session.sock.sendall(frame(9, b"there?"))
        first, size = session.exactly(2)
        session.exactly(4 + (size & 127))
        if first & 15 != 10: return session.close()
        print("pong")
        return None
    return usual(session, message)
serve(handle)"#;
    let env = open(pings, |_| ()).unwrap();
    let task = env.task(TaskSplit::Train, 0).unwrap();
    let mut session = session(&env, &task).unwrap();
    let start = Instant::now();
    // No question is open meanwhile.
    while !env.take_log().iter().any(|line| line == "env.openenv: pong") {
        assert!(start.elapsed() < Duration::from_secs(20), "no pong");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(says(&mut *session, "hello").is_ok());
}

#[test]
fn a_session_whose_reset_gives_another_task_is_a_fault() {
    let odd = r#"
count = [0]
def handle(session, message):
    if message["type"] != "reset": return usual(session, message)
    count[0] += 1
    return session.observe({"prompt": f"game {count[0]}"})
serve(handle)"#;
    let env = open(odd, |_| ()).unwrap();
    let task = env.task(TaskSplit::Train, 5).unwrap();
    assert!(session(&env, &task).is_ok(), "the session that read it");
    let fault = session(&env, &task).err().unwrap().message;
    assert!(fault.starts_with("two resets of seed 5 give two tasks: "), "{fault}");
    let again = || open(odd, |_| ()).unwrap();
    let found = difference(&again(), &again(), &Echo).unwrap().unwrap();
    assert!(found.starts_with("train 0, the opening: "), "{found}");
    // A server may have room for one session, however many the run would play at a time.
    for server in ["serve(schema=CALLS)", "serve(schema=CALLS, room=1)"] {
        let same = || open(server, |_| ()).unwrap();
        assert_eq!(difference(&same(), &same(), &Echo), Ok(None), "{server}");
    }
    let random = r#"
def handle(session, message):
    answer = json.loads(usual(session, message))
    if message["type"] == "step": answer["data"]["reward"] = random.random()
    return json.dumps(answer)
serve(handle)"#;
    let random = || open(random, |_| ()).unwrap();
    let found = difference(&random(), &random(), &Echo).unwrap().unwrap();
    assert!(found.starts_with("train 0, turn 1, its rewards: "), "{found}");
}

#[test]
fn what_cannot_be_used_is_one_line_with_a_hint() {
    let action = |schema: &str| format!("serve(schema={schema})");
    let properties = |fields: &str| action(&format!("{{'title': 'A', 'properties': {{{fields}}}}}"));
    let tools = |tools: &str| {
        format!(
            "def handle(session, message):\n    if message['type'] != 'step': return usual(session, message)\n    \
             return session.observe({{'tools': {tools}}})\nserve(handle, CALLS)"
        )
    };
    let elsewhere = "def handle(session, message): return 'welcome'\nserve(handle)";
    let http = "import http.server\nhttp.server.test(http.server.SimpleHTTPRequestHandler, \
                port=int(os.environ['PORT']), bind='127.0.0.1')";
    for (script, expect) in [
        (properties("'a': {'type': 'string'}, 'b': {'type': 'string'}"), "several text fields: `a`, `b`"),
        (properties("'n': {'type': 'integer'}"), "the action has no text field among `n`"),
        (tools("[LOOK, LOOK]"), "two tools are called \"look\""),
        (tools("[]"), "list_tools: the environment offers no tools"),
        (tools("[{'name': 3}]"), "list_tools: the tool \"\" can't be offered"),
        (
            tools("[{'name': 'f', 'input_schema': {'type': 'objekt'}}]"),
            "\"objekt\" is no type of JSON schema (did you mean \"object\"?)",
        ),
        (elsewhere.into(), "it said \"welcome\", which is no answer"),
        (http.into(), "is no server of OpenEnv: GET /schema gives status 404"),
        ("sys.exit('no module named game')".into(), "the server has ended (exit status: 1)"),
        ("import no_such_module".into(), "the end of its stderr: "),
        ("time.sleep(60)".into(), "nothing listens at its PORT, "),
    ] {
        let error = open(&script, |config| config.start_seconds = 5.0).err().expect(&script).to_string();
        assert!(error.starts_with("env.openenv: ") && error.contains(expect), "{script}: {error}");
        assert!(error.lines().count() <= 2, "{error}");
    }
    let at = |url: &str| OpenEnv::new(&OpenEnvConfig::at(url)).err().unwrap().to_string();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = at(&format!("ws://127.0.0.1:{free}"));
    assert!(
        error.starts_with(&format!("env.openenv: nothing listens at ws://127.0.0.1:{free}: ")),
        "{error}"
    );
    assert!(error.contains("\n  hint: start the server before the run"), "{error}");
    assert!(at("localhost").contains("url is \"localhost\", expected an address"));
    let none = OpenEnv::new(&OpenEnvConfig { url: None, ..OpenEnvConfig::at("") }).err().unwrap();
    assert!(none.to_string().starts_with("env.openenv: url is missing, and so is `command`"), "{none}");
    let missing = OpenEnvConfig::started_by(vec!["/no/such/program".into()]);
    let error = OpenEnv::new(&missing).err().unwrap().to_string();
    assert!(error.starts_with("env.openenv: command = [\"/no/such/program\"] doesn't start: "), "{error}");
}

#[test]
fn a_server_that_runs_elsewhere_is_played_and_left_alone() {
    let env = open("serve(schema=CALLS)", |_| ()).unwrap();
    let url = env.server.address_for_tests();
    let other = OpenEnv::new(&OpenEnvConfig::at(url.replacen("ws:", "http:", 1) + "/")).unwrap();
    let task = other.task(TaskSplit::HeldOut, 0).unwrap();
    let step = |env: &OpenEnv| {
        let mut session = session(env, &task).unwrap();
        session.step(&Turn { calls: vec![look(1)], ..Turn::default() }, &[0]).unwrap()
    };
    let first = step(&other);
    drop(other);
    assert_eq!(step(&env), first);
    // Once the server is gone, the run that only connected to it ends after three tries.
    let gone = OpenEnv::new(&OpenEnvConfig::at(&url)).unwrap();
    drop(env);
    for _ in 0..3 {
        let why = session(&gone, &task).err().unwrap().message;
        assert!(why.contains(&format!("nothing listens at {url}")), "{why}");
    }
    let error = gone.check().unwrap_err().to_string();
    assert!(error.starts_with(&format!("env.openenv: url = {url:?}: failed 3 times in a row: ")), "{error}");
}

/// Returns whether a process of this number runs. One that is only not reaped yet doesn't.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[test]
fn the_server_and_what_it_started_end_with_the_environment() {
    let script = r#"
import signal, subprocess
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "600"])
print(os.getpid(), child.pid)
serve()"#;
    let env = open(script, |_| ()).unwrap();
    let start = Instant::now();
    let said = loop {
        if let Some(line) = env.take_log().pop() {
            break line;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "it told no numbers");
        std::thread::sleep(Duration::from_millis(5));
    };
    let pids: Vec<&str> = said.split(' ').skip(1).collect();
    assert!(pids.len() == 2 && pids.iter().all(|pid| lives(pid)), "{said}");
    drop(env);
    let end = Instant::now();
    while pids.iter().any(|pid| lives(pid)) {
        assert!(end.elapsed() < Duration::from_secs(5), "{said}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
