//! Runs on a real vLLM on the CPU (`just test-vllm`): the contract as the engine keeps it, and its traps.
//! Without an installation the tests say that they are skipped.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use turnwise_model::{family_of, load as load_model, save};
use turnwise_tests::{device, model_folder};
use turnwise_trainer::config::{RunConfig, load};
use turnwise_trainer::progress::Silent;
use turnwise_trainer::{Finished, RunOptions, ServerCheck, check_servers, train};

use crate::place;

/// Says that a test wasn't made: vLLM is too large to install for every run of the tests.
fn skip(test: &str) {
    let reason = "TURNWISE_VLLM names no Python with vLLM; just test-vllm installs one";
    println!("{test} skipped: {reason}");
}

/// A server that ends with the value.
struct Server {
    child: Child,
    url: String,
    /// The file of its output.
    log: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read(&self.log).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let lines: Vec<&str> = log.lines().collect();
            println!("the end of its log:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
        // Its workers end with it.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let start = Instant::now();
        while self.child.try_wait().ok().flatten().is_none() && start.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Serves a folder; none without an installation.
    fn start(test: &str, folder: &Path, more: &[&str]) -> Option<Self> {
        let Some(python) = std::env::var_os("TURNWISE_VLLM").filter(|python| !python.is_empty()) else {
            skip(test);
            return None;
        };
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address");
        let port = free.port().to_string();
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scripts/vllm.sh");
        let mut command = Command::new(script);
        command.arg("serve").arg(folder).arg(&port).args(more).env("TURNWISE_VLLM", python);
        let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}.log"));
        let file = std::fs::File::create(&log).expect("a log");
        let more = file.try_clone().expect("a log");
        let child = command.stdin(Stdio::null()).stdout(file).stderr(more).spawn();
        let url = format!("http://127.0.0.1:{port}");
        let mut server = Self { child: child.expect("the script"), url, log };
        let start = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", free.port())).is_err() {
            assert!(server.child.try_wait().expect("a child").is_none(), "vLLM has ended");
            assert!(start.elapsed() < Duration::from_mins(10), "vLLM doesn't listen");
            std::thread::sleep(Duration::from_millis(500));
        }
        Some(server)
    }
}

/// The committed model with a separate head, which vLLM on the CPU needs.
fn untied(parent: &Path) -> PathBuf {
    let (like, folder) = (model_folder("tiny"), parent.join("untied"));
    let model = load_model(&like, &device()).expect("the committed model").untied();
    save(&model, family_of(&like).expect("a family"), Some(&like), &folder).expect("a folder");
    folder
}

fn config(url: &str, weights: &Path, sets: &[&str]) -> RunConfig {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../configs/tiny.toml");
    let own = [
        format!("model={:?}", model_folder("tiny").display().to_string()),
        "rollout.server.engine=vllm".into(),
        format!("rollout.server.urls=[{url:?}]"),
        format!("rollout.server.weights={:?}", weights.display().to_string()),
    ];
    let sets = sets.iter().map(ToString::to_string).chain(own).collect::<Vec<_>>();
    load(Some(&file), &[], &sets).expect("the shipped configuration")
}

fn run(url: &str, parent: &Path, name: &str, sets: &[&str]) -> Result<(Finished, Vec<Value>), String> {
    let (folder, config) = (parent.join(name), config(url, &parent.join("weights"), sets));
    let finished = train(&config, &place(), &folder, RunOptions::default(), &mut Silent);
    let finished = finished.map_err(|error| error.to_string())?;
    let metrics = std::fs::read_to_string(folder.join("metrics.jsonl")).expect("metrics");
    let metrics = metrics.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    Ok((finished, metrics))
}

/// Returns the tokens of all turns that a run has sampled, in order.
fn sampled(run: &Path) -> Vec<Vec<u32>> {
    let mut turns = Vec::new();
    for step in 0.. {
        let Ok(groups) = std::fs::read_to_string(run.join(format!("rollouts/step_{step:05}.jsonl"))) else {
            break;
        };
        for group in groups.lines() {
            let group: Value = serde_json::from_str(group).expect("a group");
            for trajectory in group["trajectories"].as_array().expect("trajectories") {
                let tokens = |turn: &Value| serde_json::from_value(turn["tokens"].clone()).expect("tokens");
                turns.extend(trajectory["played"]["turns"].as_array().expect("turns").iter().map(tokens));
            }
        }
    }
    turns
}

fn gap(line: &Value) -> f64 {
    line["logprob_gap"].as_f64().expect("a gap")
}

#[test]
fn a_run_on_vllm_is_checked_learns_and_is_repeated() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let served = untied(parent.path());
    let Some(server) = Server::start("a_run_on_vllm_is_checked_learns_and_is_repeated", &served, &[]) else {
        return;
    };
    let head = "rollout.server.untied_head=true";
    let checked = config(&server.url, &parent.path().join("weights"), &[head]);
    let mut failed = Vec::new();
    let mut tell = |check: ServerCheck| {
        println!("{}: {:?}: {}", check.name, check.ok, check.found);
        failed.extend((check.ok == Some(false)).then_some(check));
    };
    check_servers(&checked, &place(), &mut tell).expect("the model opens");
    assert!(failed.is_empty(), "{failed:?}");

    let learns = [head, "train.steps=12", "rollout.groups=8", "eval.tasks=128", "optimizer.warmup=2"];
    let (finished, metrics) = run(&server.url, parent.path(), "learns", &learns).expect("a run");
    assert!(gap(&metrics[0]) < 1e-4, "step 1: log-probabilities differ by {}", gap(&metrics[0]));
    let gain = finished.after.accuracy - finished.before.accuracy;
    let told = format!("from {} to {}", finished.before.accuracy, finished.after.accuracy);
    println!("held-out accuracy went {told}");
    assert!(gain >= 0.05, "held-out accuracy went {told}");

    let small = [head, "train.steps=2", "rollout.groups=2", "eval.tasks=4"];
    let [once, again] = ["once", "again"].map(|name| {
        run(&server.url, parent.path(), name, &small).expect("a run");
        sampled(&parent.path().join(name))
    });
    // Its log-probabilities differ by rounding, because batches are put together as requests arrive.
    assert_eq!(once, again, "vLLM on the CPU repeats its samples in f32");
    assert!(once.iter().flatten().count() > 100, "two steps have tokens");
}

#[test]
fn a_tied_head_that_vllm_keeps_is_found_before_the_first_step() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let test = "a_tied_head_that_vllm_keeps_is_found_before_the_first_step";
    let Some(server) = Server::start(test, &model_folder("tiny"), &[]) else { return };
    let refused = run(&server.url, parent.path(), "tied", &[]).expect_err("it is refused");
    assert!(refused.contains("untied_head=true"), "{refused}");
}

#[test]
fn raw_log_probabilities_of_vllm_are_refused() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let (test, raw) = ("raw_log_probabilities_of_vllm_are_refused", ["--logprobs-mode", "raw_logprobs"]);
    let Some(server) = Server::start(test, &untied(parent.path()), &raw) else { return };
    let sets = ["rollout.server.untied_head=true", "rollout.sampling.temperature=0.7"];
    let refused = run(&server.url, parent.path(), "raw", &sets).expect_err("it is refused");
    assert!(refused.contains("--logprobs-mode processed_logprobs"), "{refused}");
}

#[test]
fn an_adapter_alone_reaches_vllm() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let (test, lora) = ("an_adapter_alone_reaches_vllm", ["--enable-lora", "--max-lora-rank", "8"]);
    let Some(server) = Server::start(test, &untied(parent.path()), &lora) else { return };
    let sets = [
        "rollout.server.adapter=true",
        "optimizer.lora.rank=4",
        "optimizer.lora.alpha=8",
        "train.steps=3",
        "rollout.groups=2",
        "eval.tasks=4",
    ];
    let (_, metrics) = run(&server.url, parent.path(), "adapter", &sets).expect("a run");
    assert!(metrics.iter().all(|line| line["logprob_gap"].is_null() || gap(line) < 1e-4), "{metrics:?}");
}
