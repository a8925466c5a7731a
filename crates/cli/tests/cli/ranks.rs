//! Runs on several ranks, under a real `mpirun`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use turnwise_model::family::Family;
use turnwise_model::{Transformer, save};
use turnwise_ranks::HAS_MPI;
use turnwise_trainer::backend;

use crate::binary::{BINARY, Ran, arg, ran, root};
use crate::resume::Moments;
use crate::runs::{Runs, same, stderr, wait};

/// Makes the bytes of a run the same on any number of ranks, with enough groups for four of them.
const DIVIDED: [&str; 4] =
    ["optimizer.shards=4", "optimizer.micro_batch_tokens=512", "rollout.groups=5", "eval.tasks=5"];

/// Returns `mpirun`, or says that a test is left out. With `TURNWISE_TEST_NO_SKIPS` that is a failure.
fn mpirun(test: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join("mpirun")).find(|p| p.exists());
    let reason = if HAS_MPI { "there is no mpirun" } else { "the binary was built without MPI" };
    if HAS_MPI && found.is_some() {
        return found;
    }
    assert!(std::env::var_os("TURNWISE_TEST_NO_SKIPS").is_none(), "{test} must not be skipped: {reason}");
    eprintln!("skipped {test}: {reason}");
    None
}

/// Returns the command of a run on a number of ranks.
fn among(mpirun: &Path, ranks: usize, runs: &Runs, name: &str, more: &[&str]) -> Command {
    let whole = runs.command(name, more);
    let mut command = Command::new(mpirun);
    command.args(["--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "--quiet"]);
    command.args(["-n", &ranks.to_string()]).arg(whole.get_program()).args(whole.get_args());
    command.current_dir(root());
    command
}

fn sets<'a>(more: &[&'a str]) -> Vec<&'a str> {
    DIVIDED.iter().chain(more).flat_map(|set| ["--set", set]).collect()
}

#[test]
fn one_two_and_four_ranks_leave_the_same_bytes() {
    let Some(mpirun) = mpirun("one_two_and_four_ranks_leave_the_same_bytes") else { return };
    let by_success =
        ["rollout.refill=2", "rollout.curriculum=success", "advantage=grpo", "loss.clip.tis_cap=2.0"];
    let ahead = ["rollout.refill=1", "rollout.lag=1", "advantage=grpo"];
    let runs = [("full", &by_success[..]), ("lora", &["optimizer.lora.rank=2"]), ("ahead", &ahead)];
    for (name, more) in runs {
        let (runs, more) = (Runs::new(), sets(more));
        runs.finishes("alone", &more);
        for ranks in [1, 2, 4] {
            let run = format!("ranks-{ranks}");
            let ran = ran(&mut among(&mpirun, ranks, &runs, &run, &more), "");
            assert_eq!(ran.code, Some(0), "{name}, {ranks} ranks: {}", ran.stderr);
            same(&runs.path(&run), &runs.path("alone"));
            let log = std::fs::read_to_string(runs.path(&run).join("log.txt")).unwrap();
            assert_eq!(log.contains(&format!("{ranks} ranks: 0 on ")), ranks > 1, "{log}");
            assert_eq!(ran.stderr.matches("step 1/5").count(), 1, "rank 0 alone prints: {}", ran.stderr);
        }
    }
}

/// Rewards a text by its checksum, so that random weights get other rewards within a group.
const CHECKSUM: &str = r#"
import sys, zlib
sys.path.insert(0, "python")
import turnwise_env
from turnwise_env import Step, Task

class Checksum(turnwise_env.Env):
    train, held_out = 8, 2

    def reset(self, split, index, seed):
        return Task(f"checksum/{split}/{index}", "Say something.")

    def step(self, text, calls, malformed):
        return Step(rewards={"acc": float(zlib.crc32(text.encode()) % 2)}, done=True)

turnwise_env.serve(Checksum)
"#;

/// Writes random weights of 8.4 million parameters, with the tokenizer of models/tiny.
fn model_of_8_million(folder: &Path) {
    let family = Family::named("llama").expect("a family");
    let config = serde_json::json!({
        "model_type": "llama", "vocab_size": 8192, "hidden_size": 256, "intermediate_size": 768,
        "num_hidden_layers": 8, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 32,
        "max_position_embeddings": 512, "tie_word_embeddings": true, "rms_norm_eps": 1e-6,
    });
    let config = family.read(config.as_object().expect("an object")).expect("a configuration");
    let model = Transformer::random(&config, 0, &backend::device(None).expect("a device"));
    save(&model, family, Some(&root().join("models/tiny")), folder).expect("a folder");
}

#[test]
fn a_model_of_8_million_parameters_is_the_same_on_one_two_and_four_ranks() {
    let Some(mpirun) = mpirun("a_model_of_8_million_parameters_is_the_same_on_one_two_and_four_ranks") else {
        return;
    };
    let runs = Runs::new();
    let (model, script) = (runs.path("model"), runs.path("checksum.py"));
    model_of_8_million(&model);
    std::fs::write(&script, CHECKSUM).expect("a file");
    let of_it = [
        format!("model={:?}", arg(&model)),
        format!("env.process.command=[\"python3\", {:?}]", arg(&script)),
    ];
    let of_it = of_it.iter().map(String::as_str);
    let small = ["train.steps=2", "rollout.samples=4", "rollout.max_turn_tokens=16", "shaping.alpha=0.0"];
    let more: Vec<&str> = of_it.chain(small).collect();
    for lora in [None, Some("optimizer.lora.rank=2")] {
        let more = sets(&more.iter().copied().chain(lora).collect::<Vec<_>>());
        let run = |ranks: usize| {
            let name = format!("{}-{ranks}", if lora.is_some() { "lora" } else { "full" });
            let ran = ran(&mut among(&mpirun, ranks, &runs, &name, &more), "");
            assert_eq!(ran.code, Some(0), "{name}: {}", ran.stderr);
            runs.path(&name)
        };
        let alone = run(1);
        let metrics = std::fs::read_to_string(alone.join("metrics.jsonl")).expect("metrics");
        for line in metrics.lines() {
            let step: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert!(step["grad_norm"].as_f64().is_some_and(|norm| norm > 0.0), "a step learns: {line}");
        }
        same(&run(2), &alone);
        same(&run(4), &alone);
    }
}

/// Kills one rank, the way a machine loses power. Returns whether there was one.
fn kill_a_rank(job: &Child, which: usize) -> bool {
    let children = format!("/proc/{0}/task/{0}/children", job.id());
    let children = std::fs::read_to_string(children).unwrap_or_default();
    let ranks: Vec<&str> = children.split_whitespace().collect();
    let Some(rank) = ranks.get(which % ranks.len().max(1)) else { return false };
    Command::new("kill").args(["-9", rank]).status().is_ok_and(|killed| killed.success())
}

#[test]
fn a_run_that_loses_ranks_goes_on_with_any_number_of_them() {
    let Some(mpirun) = mpirun("a_run_that_loses_ranks_goes_on_with_any_number_of_them") else { return };
    // Small steps: most of the time goes into starting and ending jobs.
    let (runs, more) = (Runs::new(), sets(&["rollout.groups=2", "eval.tasks=2", "rollout.lag=1"]));
    let whole = Instant::now();
    let ran = ran(&mut among(&mpirun, 2, &runs, "reference", &more), "");
    let whole = whole.elapsed();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let (mut moments, mut kills, mut number) = (Moments(1), 0, 0);
    while kills < 10 {
        let name = format!("killed-{number}");
        number += 1;
        let mut patience = 0.6;
        for life in 0.. {
            let ranks = [2, 1, 4][life % 3];
            let err = File::create(stderr(&runs.path(&name))).unwrap();
            let mut command = among(&mpirun, ranks, &runs, &name, &more);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(err);
            let mut job = command.spawn().expect("mpirun starts");
            if kills >= 10 {
                assert!(job.wait().unwrap().success());
                break;
            }
            let (start, lifetime) = (Instant::now(), whole.mul_f64(moments.next() * patience));
            let mut ended = None;
            while ended.is_none() && start.elapsed() < lifetime {
                ended = job.try_wait().unwrap();
                std::thread::sleep(Duration::from_millis(2));
            }
            if let Some(status) = ended {
                let said = std::fs::read_to_string(stderr(&runs.path(&name))).unwrap_or_default();
                assert!(status.success(), "a life that wasn't ended from outside: {said}");
                break;
            }
            let killed = kill_a_rank(&job, life);
            let status = job.wait().expect("a job to wait for");
            assert!(killed || status.success(), "a life that wasn't ended from outside: {status}");
            // mpirun doesn't wait for the ranks that it kills.
            let lock = runs.path(&name).join("lock");
            wait("the run is free", || {
                File::open(&lock).is_ok_and(|lock| lock.try_lock().is_ok()) || !lock.exists()
            });
            kills += usize::from(killed && !status.success());
            patience += 0.05;
        }
        same(&runs.path(&name), &runs.path("reference"));
    }
}

#[test]
fn what_ranks_cannot_divide_is_refused_in_a_line() {
    let Some(mpirun) = mpirun("what_ranks_cannot_divide_is_refused_in_a_line") else { return };
    let runs = Runs::new();
    let check = |ranks: usize, set: &[&str], parts: &[&str]| {
        let set: Vec<&str> = set.iter().flat_map(|set| ["--set", *set]).collect();
        let refused = ran(&mut among(&mpirun, ranks, &runs, "refused", &set), "");
        // mpirun adds its own words.
        let ours = |line: &&str| parts.iter().any(|part| line.contains(part));
        let lines: Vec<&str> = refused.stderr.lines().filter(ours).collect();
        assert_ne!(refused.code, Some(0));
        assert_eq!(lines.len(), parts.len(), "each once: {}", refused.stderr);
        assert!(!runs.path("refused").exists());
    };
    check(2, &[], &["optimizer.shards: is not set, and 2 ranks divide shards", "--set optimizer.shards=8"]);
    check(3, &["optimizer.shards=4"], &["optimizer.shards: is 4, and 3 ranks can't have equal parts"]);
    check(2, &["optimizer.shards=4", "model=nowhere"], &["nowhere"]);
}

#[test]
fn ranks_of_different_commands_or_programs_are_refused() {
    let test = "ranks_of_different_commands_or_programs_are_refused";
    let Some(mpirun) = mpirun(test) else { return };
    let runs = Runs::new();
    let set = sets(&[]);
    let copy = runs.path("turnwise");
    // Another file of the same program.
    std::fs::copy(BINARY, &copy).unwrap();
    std::fs::OpenOptions::new().append(true).open(&copy).unwrap().write_all(b"\n").unwrap();
    let other = runs.command("other", &set);
    let same = runs.command("run", &set);
    for (second, part) in [
        ((other.get_program(), &other), "rank 1: its --run differs from that of rank 0"),
        ((copy.as_os_str(), &same), "rank 1: its program differs from that of rank 0"),
    ] {
        let mut command = among(&mpirun, 1, &runs, "run", &set);
        command.args([":", "-n", "1"]).arg(second.0).args(second.1.get_args());
        let refused = ran(&mut command, "");
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        assert_eq!(refused.stderr.matches(part).count(), 1, "{}", refused.stderr);
        assert!(!runs.path("run").exists() && !runs.path("other").exists());
    }
}

/// Refuses every request; returns the address, and the number of requests so far.
fn refusing() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    // The thread ends with the process.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            refuse(&stream, &count);
        }
    });
    (url, asked)
}

/// Reads a request and refuses it.
fn refuse(mut stream: &TcpStream, count: &AtomicUsize) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    reader.read_exact(&mut vec![0; length]).ok()?;
    count.fetch_add(1, Ordering::Relaxed);
    stream.write_all(b"HTTP/1.1 400 x\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno").ok()
}

#[test]
fn one_rank_asks_for_embeddings_and_all_see_its_error() {
    let Some(mpirun) = mpirun("one_rank_asks_for_embeddings_and_all_see_its_error") else { return };
    let (runs, (url, asked)) = (Runs::new(), refusing());
    let url = format!("shaping.similarity.endpoint.url={url:?}");
    // Enough samples for a group with a right and a wrong one.
    let more = sets(&["shaping.similarity=endpoint", &url, "rollout.samples=16", "rollout.max_turns=6"]);
    let failed = ran(&mut among(&mpirun, 2, &runs, "a", &more), "");
    assert_ne!(failed.code, Some(0));
    let told = "similarity `endpoint`: ";
    assert_eq!(failed.stderr.matches(told).count(), 1, "rank 0 alone tells: {}", failed.stderr);
    assert_eq!(asked.load(Ordering::Relaxed), 1, "one rank asks");
}

/// Runs a command as if a launcher without this MPI had started it.
fn launched(arguments: &[&str]) -> Ran {
    let mut command = Command::new(BINARY);
    ran(command.args(arguments).env("PMI_SIZE", "2").env("PMI_RANK", "0").current_dir(root()), "")
}

#[test]
fn one_of_several_processes_that_cannot_talk_is_refused() {
    let why = if HAS_MPI { "but MPI counts 1" } else { "was built without MPI" };
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let refused = launched(&["train", "configs/tiny.toml", "--run", run.to_str().unwrap()]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("PMI_SIZE = 2") && refused.stderr.contains(why), "{}", refused.stderr);
    assert!(!run.exists());
    launched(&["eval", "--model", "models/tiny", "--config", "configs/tiny.toml"])
        .fails(2, &["`turnwise eval` works in one", "\n  hint: "]);
}
