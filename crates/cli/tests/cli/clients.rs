//! Packages that people write agents with, against `turnwise serve` with the tiny model. Each plays
//! conversations with a tool, and the record says what became of their tokens.
//!
//! Those that take more than a minute to install are left out where `TURNWISE_TEST_CLIENTS` isn't set.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::binary::{Ran, arg, ran, root};
use crate::documents::clients as documents;
use crate::installed::python_with;
use crate::serve::{Served, lines};

/// Returns a Python with openai-agents and smolagents.
pub(crate) fn agents() -> Option<String> {
    let packages = ["openai-agents==0.24.0", "smolagents[openai]==1.26.0"];
    python_with("smolagents", "agents-0.24.0-1.26.0", &[&packages])
}

/// Returns a Python with litellm, anthropic and the library of OpenEnv. Releases 1.82.7, 1.82.8 and 1.107.0
/// of litellm stole keys and are withdrawn.
pub(crate) fn more_agents() -> Option<String> {
    is_wanted().then_some(())?;
    let packages = ["litellm==1.110.2", "anthropic==2.14.0", "fastapi==0.165.0", "fastmcp==3.4.11"];
    let installations: [&[&str]; 2] = [&packages, &["--no-deps", "openenv==0.10.0"]];
    python_with("openenv.core", "litellm-1.110.2-0.10.0", &installations)
}

/// Returns a Python with verifiers, and with the installer that it calls.
pub(crate) fn verifiers() -> Option<String> {
    is_wanted().then_some(())?;
    python_with("verifiers.v1", "verifiers-0.4.0", &[&["verifiers==0.4.0", "uv==0.13.9"]])
}

pub(crate) fn is_wanted() -> bool {
    let is_set = std::env::var_os("TURNWISE_TEST_CLIENTS").is_some();
    if !is_set {
        eprintln!("left out: TURNWISE_TEST_CLIENTS isn't set; `just test-clients` sets it");
    }
    is_set
}

fn scripts() -> PathBuf {
    root().join("crates/cli/tests/clients")
}

/// Returns a script of a client, which may call what is installed beside its Python.
fn client(python: &str, name: &str) -> Command {
    let bin = PathBuf::from(python).parent().expect("a folder of programs").display().to_string();
    let path = std::env::var("PATH").expect("a PATH");
    let mut command = Command::new(python);
    command.arg(scripts().join(name)).env("PATH", format!("{bin}:{path}"));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Sessions that a client has played, by the name of each, and the count that the server says.
struct Played {
    sessions: Vec<(String, Vec<Value>)>,
    diverged: usize,
    ran: Ran,
}

/// Runs a client against a server whose calls the tiny model knows.
fn play(client: &mut Command) -> Played {
    play_in("fenced_python", client)
}

/// Runs a client against a server that writes calls in a format.
fn play_in(format: &str, client: &mut Command) -> Played {
    let folder = tempfile::tempdir().expect("a folder");
    let record = folder.path().join("record");
    let served = Served::tiny(&["--format", format, "--no-description", "--record", arg(&record)]);
    // Programs of the page are modules for them.
    documents::write_programs(folder.path());
    let modules = format!("{}:{}", scripts().display(), folder.path().display());
    client.env("PYTHONPATH", modules).env("OPENAI_BASE_URL", &served.url).current_dir(folder.path());
    let ran = ran(client, "");
    let said = served.end();
    assert_eq!(ran.code, Some(0), "{}\n{}\n{said}", ran.stdout, ran.stderr);
    let counted = said.split(" calls, ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
    let of = |line: Value| {
        let name = line["session"].as_str().expect("a name").to_string();
        (name, line["calls"].as_array().expect("calls").clone())
    };
    let sessions = lines(&record).into_iter().map(of).collect();
    Played { sessions, diverged: counted.expect("the server counts at its end"), ran }
}

fn ids(value: &Value) -> Vec<u64> {
    serde_json::from_value(value.clone()).expect("token ids")
}

/// Returns whether each call reads all that the one before it read and sampled, token by token.
fn is_unbroken(calls: &[Value]) -> bool {
    let follows = |(nth, pair): (usize, &[Value])| {
        let so_far = [ids(&pair[0]["prompt_token_ids"]), ids(&pair[0]["token_ids"])].concat();
        pair[1]["parent"] == json!(nth) && ids(&pair[1]["prompt_token_ids"]).starts_with(&so_far)
    };
    calls[0]["parent"].is_null() && calls.windows(2).enumerate().all(follows)
}

/// Counts the calls that repeat an answer in other tokens.
fn diverged(calls: &[Value]) -> usize {
    calls.iter().filter(|call| call["diverged"] == true).count()
}

impl Played {
    /// Returns the sessions of a kind, each of which has its reward: the calls of tools that the client ran.
    #[track_caller]
    fn of(&self, kind: &str) -> Vec<&[Value]> {
        let named =
            self.sessions.iter().filter(|(name, _)| name.rsplit_once('-').is_some_and(|n| n.0 == kind));
        let found: Vec<&[Value]> = named.map(|(_, calls)| calls.as_slice()).collect();
        let run = |calls: &&[Value]| calls[calls.len() - 1]["rewards"]["calls"].as_f64().expect("a reward");
        assert!(found.iter().map(run).sum::<f64>() > 0.0, "{kind}: the client has run calls: {found:?}");
        found
    }

    /// Checks that every session of a kind is one sequence, in which each turn but the last called a tool.
    #[track_caller]
    fn is_exact(&self, kind: &str, sessions: usize) {
        let found = self.of(kind);
        assert_eq!(found.len(), sessions, "{kind}");
        for calls in found {
            assert!(is_unbroken(calls) && diverged(calls) == 0, "{kind}: {calls:?}");
            let run = calls[calls.len() - 1]["rewards"]["calls"].as_f64();
            assert!(run >= Some(calls.len() as f64 - 1.0), "{kind}: {run:?} in {calls:?}");
        }
    }
}

#[test]
fn agents_of_openai_agents_continue_their_exact_tokens() {
    let Some(python) = agents() else { return };
    let played = play(&mut client(&python, "openai_agents_client.py"));
    played.is_exact("chat", 4);
    played.is_exact("responses", 4);
    assert_eq!(played.diverged, 0);
}

#[test]
fn answers_that_smolagents_rewrites_diverge_unless_its_model_sends_them_as_sampled() {
    let Some(python) = agents() else { return };
    let played = play(&mut client(&python, "smolagents_client.py"));
    let mut counted = 0;
    for kind in ["calls", "code"] {
        for calls in played.of(kind) {
            // Its memory writes "Calling tools:" after each answer.
            let rewritten = calls[1..].iter().filter(|call| call["parent"].is_null()).count();
            assert_eq!(diverged(calls), rewritten, "{kind}: {calls:?}");
            counted += rewritten;
        }
    }
    assert!(counted > 4, "{counted}");
    for calls in [played.of("exact"), played.of("exact-calls")].concat() {
        assert!(is_unbroken(calls) && diverged(calls) == 0, "{calls:?}");
    }
    assert_eq!(played.diverged, counted);
}

#[test]
fn an_agent_with_litellm_continues_its_exact_tokens() {
    let Some(python) = more_agents() else { return };
    let played = play(&mut client(&python, "litellm_client.py"));
    played.is_exact("openai", 4);
    played.is_exact("anthropic", 4);
    assert_eq!(played.diverged, 0);
}

#[test]
fn the_probe_of_openenv_finds_tokens_to_train_on() {
    let Some(python) = more_agents() else { return };
    // It offers a tool of its name.
    let played = play_in("hermes", &mut client(&python, "openenv_probe.py"));
    let report: Value = serde_json::from_str(&played.ran.stdout).expect("JSON");
    assert_eq!((&report["ok"], &report["capture_level"]), (&json!(true), &json!("tokens")), "{report}");
    assert_eq!(
        (&report["param_fixes"], &report["served_models"]),
        (&json!([]), &json!(["tiny"])),
        "{report}"
    );
    assert_ne!(report["tool_support"], "rejected", "{report}");
    // Calls of the probe are its own session.
    assert_eq!(played.sessions[0].0, "probe");
    assert_eq!(report["n_completion_ids"], json!(ids(&played.sessions[0].1[0]["token_ids"]).len()));
}

#[test]
fn an_environment_of_verifiers_is_played_from_end_to_end() {
    let Some(python) = verifiers() else { return };
    let mut client = client(&python, "verifiers_client.py");
    client.env("UV_CACHE_DIR", root().join("target/tools/uv"));
    let played = play(&mut client);
    played.is_exact("verifiers", 2);
    assert_eq!(played.diverged, 0);
}
