mod faults;
mod server;

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
