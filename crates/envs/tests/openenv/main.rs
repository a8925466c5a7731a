//! Servers made with the library of OpenEnv: our example, and the environment that `openenv init` writes.

#[path = "../process/installed.rs"]
mod installed;
mod library;
#[cfg(feature = "https")]
mod tls;

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use turnwise_envs::{Env, OpenEnv, OpenEnvConfig, Session, Start, Step, Task, TaskSplit, difference};
use turnwise_tools::executor::Echo;
use turnwise_trajectory::{CallRecord, OutputStatus, ToolCall, ToolOutput, Turn};

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn path(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name).display().to_string()
}

fn started(python: &str, script: &str) -> OpenEnvConfig {
    let config = OpenEnvConfig::started_by(vec![python.into(), path(script)]);
    // The library takes long to load on a machine with other work.
    OpenEnvConfig { start_seconds: 240.0, timeout_seconds: 60.0, ..config }
}

fn session<'a>(env: &'a OpenEnv, task: &'a Task) -> Box<dyn Session + 'a> {
    env.session(Start::first(task, &Echo)).unwrap().session
}

/// Returns a turn with one guess.
fn guesses(n: &Value) -> Turn {
    let arguments = json!({"n": n}).as_object().unwrap().clone();
    let call = ToolCall { name: "guess".into(), arguments, span: 0..0 };
    let output = ToolOutput::of(OutputStatus::Rejected);
    Turn { calls: vec![CallRecord::Executed { call, output }], ..Turn::default() }
}

fn guess(session: &mut dyn Session, n: &Value) -> Step {
    session.step(&guesses(n), &[0]).unwrap()
}

fn says(session: &mut dyn Session, text: &str) -> Step {
    session.step(&Turn { text: text.into(), ..Turn::default() }, &[]).unwrap()
}

/// Returns the guesses that halve the range, and what is said to each.
fn halved(session: &mut dyn Session) -> Vec<(i64, Step)> {
    let (mut low, mut high, mut played) = (0, 99, Vec::new());
    loop {
        let n = i64::midpoint(low, high);
        let step = guess(session, &json!(n));
        match step.outputs[0].stdout.as_str() {
            "higher" => low = n + 1,
            "lower" => high = n - 1,
            said => assert_eq!((said, step.done), ("right", true)),
        }
        let done = step.done;
        played.push((n, step));
        if done {
            return played;
        }
    }
}

#[test]
fn an_environment_with_tools_is_played_as_the_librarys_own_client_plays_it() {
    let Some(python) = library::python() else { return };
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let _server = listening(&python, port);
    let env = OpenEnv::new(&OpenEnvConfig { timeout_seconds: 60.0, ..OpenEnvConfig::at(&url) }).unwrap();
    let [tool] = env.tools() else { panic!("{:?}", env.tools()) };
    assert_eq!((tool.name.as_str(), &tool.parameters["required"]), ("guess", &json!(["n"])));
    let task = env.task(TaskSplit::Train, 7).unwrap();
    // Two at a time: each has its number.
    let other = env.task(TaskSplit::HeldOut, 1).unwrap();
    let (mut ours, mut beside) = (session(&env, &task), session(&env, &other));
    guess(&mut *beside, &json!(99));
    let played = halved(&mut *ours);
    assert_eq!(ours.close().unwrap().correct, Some(true));
    assert!(beside.close().unwrap().correct == Some(false));
    let mut client = Command::new(&python);
    client.args([path("tests/openenv/client.py"), url, "7".into()]);
    let output = client.args(played.iter().map(|(n, _)| n.to_string())).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout).unwrap();
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told[0]["prompt"], task.messages[0].content);
    for (theirs, (_, step)) in told[1..].iter().zip(&played) {
        let ours = (step.outputs[0].stdout.as_str(), step.rewards.get("reward"), step.done);
        let said = theirs["said"].as_str().unwrap();
        assert_eq!(ours, (said, theirs["reward"].as_f64().unwrap(), theirs["done"].as_bool().unwrap()));
    }
    assert_eq!(told.len(), played.len() + 1);
    // Arguments of a wrong type are the model's mistake, without a reward.
    let mut again = session(&env, &task);
    let wrong = guess(&mut *again, &json!("many"));
    assert_eq!((wrong.outputs[0].status, wrong.rewards.is_empty()), (OutputStatus::Error, true));
    assert!(wrong.outputs[0].error.as_ref().unwrap().contains("valid integer"), "{wrong:?}");
}

/// A process that ends with the value.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts our example beside the run, as its user would.
fn listening(python: &str, port: u16) -> Ends {
    let mut server = Command::new(python);
    server.arg(path("examples/openenv/guess.py")).env("PORT", port.to_string()).stdin(Stdio::null());
    serving(&mut server, port)
}

/// Starts a server and waits until it listens.
fn serving(server: &mut Command, port: u16) -> Ends {
    let (mut server, start) = (Ends(server.spawn().unwrap()), Instant::now());
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(server.0.try_wait().unwrap().is_none(), "it has ended");
        assert!(start.elapsed() < Duration::from_mins(4), "it doesn't listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    server
}

#[test]
fn a_server_of_ours_is_started_deterministic_and_started_again() {
    let Some(python) = library::python() else { return };
    let mut config = started(&python, "examples/openenv/guess.py");
    let (one, other) = (OpenEnv::new(&config).unwrap(), OpenEnv::new(&config).unwrap());
    assert_eq!(difference(&one, &other, &Echo), Ok(None));
    drop((one, other));
    // Killed in the middle of a trajectory.
    let command = config.command.take().unwrap().join(" ");
    config.command = Some(vec!["sh".into(), "-c".into(), format!("echo $$; exec {command}")]);
    let env = OpenEnv::new(&config).unwrap();
    let task = env.task(TaskSplit::Train, 0).unwrap();
    let mut lost = session(&env, &task);
    let first = guess(&mut *lost, &json!(50));
    let number = env.take_log().remove(0).split_off("env.openenv: ".len());
    assert!(Command::new("kill").args(["-9", &number]).status().unwrap().success());
    let fault = lost.step(&guesses(&json!(1)), &[0]).unwrap_err();
    assert!(fault.message.starts_with("the server has ended (signal: 9 (SIGKILL))"), "{fault}");
    let mut again = session(&env, &task);
    assert_eq!(guess(&mut *again, &json!(50)), first);
}

#[test]
fn the_environment_of_openenv_init_hears_texts_one_session_at_a_time() {
    let Some(python) = library::python() else { return };
    let env = OpenEnv::new(&started(&python, "tests/openenv/template.py")).unwrap();
    assert!(env.tools().is_empty());
    let task = env.task(TaskSplit::Train, 0).unwrap();
    let begun: Value = serde_json::from_str(&task.messages[0].content).unwrap();
    assert_eq!(begun, json!({"echoed_message": "Echo environment ready!", "message_length": 0}));
    let mut first = session(&env, &task);
    std::thread::scope(|scope| {
        let (env, task) = (&env, &task);
        let second = scope.spawn(move || {
            // There is room for one: it waits for the end of the other.
            let mut second = session(env, task);
            says(&mut *second, "ab").rewards.get("reward")
        });
        let heard = says(&mut *first, "hello");
        assert_eq!((heard.rewards.get("reward"), heard.done), (0.5, false));
        let observed: Value = serde_json::from_str(&heard.message.unwrap()).unwrap();
        assert_eq!((&observed["echoed_message"], &observed["message_length"]), (&json!("hello"), &json!(5)));
        // Longer than the server waits for a pong.
        std::thread::sleep(Duration::from_secs(5));
        assert!(!second.is_finished());
        assert_eq!(says(&mut *first, "a long text of the policy").rewards.get("reward"), 1.0);
        assert_eq!(first.close().unwrap().correct, Some(true));
        drop(first);
        assert!((second.join().unwrap() - 0.2).abs() < 1e-9);
    });
}
