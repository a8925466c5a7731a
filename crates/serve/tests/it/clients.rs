//! Agents of others: the packages that people write them with, from PyPI and npm, against the endpoint. Each
//! plays a conversation with a tool, and its history comes back as the package sends it.

use std::fs::{File, create_dir_all};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::scene::Scene;

const OPENAI: &str = "openai==3.57.0";
const ANTHROPIC: &str = "anthropic==2.14.0";
const AI: [&str; 2] = ["ai@7.0.173", "@ai-sdk/openai-compatible@3.0.92"];

const CALL: &str =
    "Let me see.\n<tool_call>\n{\"name\": \"double\", \"arguments\": {\"x\": 2}}\n</tool_call>";
const ANSWER: &str = "It is 4.";

/// Returns a folder of `target/tools` that `install` has filled, now or before.
fn installed(name: &str, install: impl FnOnce(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools");
    let folder = tools.join(name);
    create_dir_all(&folder).map_err(|error| error.to_string())?;
    let lock = File::create(tools.join(format!("{name}.lock"))).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    let done = folder.join("installed");
    if !done.exists() {
        install(&folder)?;
        File::create(done).map_err(|error| error.to_string())?;
    }
    Ok(folder)
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(format!("{}: {stderr}", command.get_program().display()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns a Python that has a package.
fn python(package: &str) -> Result<PathBuf, String> {
    let folder = installed(&package.replace("==", "-"), |folder| {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
        run(Command::new(folder.join("bin/python")).args(["-m", "pip", "install", "--quiet", package]))
            .map(drop)
    })?;
    Ok(folder.join("bin/python"))
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// Says that a test is left out, or fails if that isn't allowed.
fn skip(test: &str, reason: &str) {
    assert!(std::env::var_os("TURNWISE_TEST_NO_SKIPS").is_none(), "{test} is left out: {reason}");
    eprintln!("{test} is left out: {reason}");
}

/// Runs an agent whose sessions are `sessions`: each calls the tool, and answers. Returns what it prints.
fn play(scene: &mut Scene, sessions: &[&str], agent: &mut Command) -> String {
    for _ in sessions {
        scene.script.says(CALL).says(ANSWER);
    }
    let said = run(agent).expect("the agent runs");
    let counts = scene.end();
    assert_eq!((counts.sessions, counts.calls, counts.diverged), (sessions.len(), 2 * sessions.len(), 0));
    let lines = scene.lines();
    for session in sessions {
        let line = lines.iter().find(|line| line["session"] == *session).expect("a line of each session");
        let calls = line["calls"].as_array().unwrap();
        assert_eq!([&calls[0]["parent"], &calls[1]["parent"]], [&Value::Null, &json!(0)], "{session}");
    }
    said
}

#[test]
fn an_agent_with_the_openai_package_continues_its_exact_tokens() {
    let python = match python(OPENAI) {
        Ok(python) => python,
        Err(reason) => return skip("the agent with the openai package", &reason),
    };
    let mut scene = Scene::new();
    let mut agent = Command::new(python);
    agent.arg(script("openai_agent.py")).arg(&scene.url);
    let sessions = ["chat", "chat-streamed", "responses", "responses-streamed"];
    let said = play(&mut scene, &sessions, &mut agent);
    let last = "unsupported presence_penalty";
    assert_eq!(said.lines().collect::<Vec<_>>(), ["tiny", ANSWER, ANSWER, ANSWER, ANSWER, last]);
}

#[test]
fn an_agent_with_the_anthropic_package_continues_its_exact_tokens() {
    let python = match python(ANTHROPIC) {
        Ok(python) => python,
        Err(reason) => return skip("the agent with the anthropic package", &reason),
    };
    let mut scene = Scene::new();
    let mut agent = Command::new(python);
    agent.arg(script("anthropic_agent.py")).arg(scene.url.strip_suffix("/v1").unwrap());
    let said = play(&mut scene, &["messages", "messages-streamed"], &mut agent);
    assert_eq!(said.lines().collect::<Vec<_>>(), [ANSWER, ANSWER, "invalid_request_error"]);
}

#[test]
fn an_agent_with_the_ai_package_continues_its_exact_tokens() {
    let packages = installed("ai-7.0.173-3.0.92", |folder| {
        let npm = ["install", "--silent", "--no-save", "--prefix"];
        run(Command::new("npm").args(npm).arg(folder).args(AI)).map(drop)
    });
    let folder = match packages {
        Ok(folder) => folder,
        Err(reason) => return skip("the agent with the ai package", &reason),
    };
    // Node looks for packages beside the program.
    std::fs::copy(script("ai_agent.mjs"), folder.join("ai_agent.mjs")).expect("a copy");
    let mut scene = Scene::new();
    let mut agent = Command::new("node");
    agent.arg(folder.join("ai_agent.mjs")).arg(&scene.url);
    let said = play(&mut scene, &["ai", "ai-streamed"], &mut agent);
    assert_eq!(said.lines().collect::<Vec<_>>(), [ANSWER, ANSWER]);
}
