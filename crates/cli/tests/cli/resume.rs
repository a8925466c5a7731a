//! Runs that are killed, stopped, damaged or continued, through the binary.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::binary::{ran, root};
use crate::runs::{Runs, record, same, stderr, steps, wait};

/// A sequence of numbers between 0 and 1 (SplitMix64): the moments of death differ, and are the same in every
/// test.
pub(crate) struct Moments(pub(crate) u64);

impl Moments {
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Lets a run live for a while and kills it. With `at_checkpoint` it dies while a checkpoint is being
/// written, if one is written in its life. Returns whether it was killed; if not, it had finished.
fn live(mut child: Child, run: &Path, lifetime: Duration, at_checkpoint: bool) -> bool {
    let start = Instant::now();
    let writing = || {
        let entries = std::fs::read_dir(run.join("checkpoints")).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| entry.file_name().to_string_lossy().ends_with(".partial"))
    };
    let limit = if at_checkpoint { Duration::from_mins(1) } else { lifetime };
    while start.elapsed() < limit {
        if let Some(status) = child.try_wait().expect("a child to wait for") {
            let said = || std::fs::read_to_string(stderr(run)).unwrap_or_default();
            assert!(status.success(), "a life that wasn't ended from outside: {status}: {}", said());
            return false;
        }
        if at_checkpoint && writing() {
            // Writing one takes a few milliseconds here.
            std::thread::sleep(lifetime / 200);
            break;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    child.kill().expect("SIGKILL");
    child.wait().expect("a child to wait for");
    true
}

/// Lets runs of these settings die until `least` of them did, and compares what is left with a whole run.
pub(crate) fn dies_and_is_the_same(runs: &Runs, more: &[&str], least: usize) {
    let whole = Instant::now();
    runs.finishes("reference", more);
    let whole = whole.elapsed();
    let (mut moments, mut kills, mut number) = (Moments(1), 0, 0);
    while kills < least {
        let name = format!("killed-{number}");
        number += 1;
        // A run whose every life is short would never end: lives get longer.
        let mut patience = 0.5;
        loop {
            // Enough deaths: the last life is left alone.
            let lifetime =
                if kills < least { whole.mul_f64(moments.next() * patience) } else { Duration::MAX };
            let child = runs.start(&name, more);
            if !live(child, &runs.path(&name), lifetime, kills < least && moments.next() < 0.3) {
                break;
            }
            kills += 1;
            patience += 0.05;
        }
        same(&runs.path(&name), &runs.path("reference"));
    }
}

#[test]
fn fifty_kills_change_nothing() {
    dies_and_is_the_same(&Runs::new(), &[], 50);
}

#[test]
fn ten_kills_change_nothing_where_the_environment_is_a_process() {
    let command = r#"env.process.command=["python3", "crates/envs/examples/process/steps.py"]"#;
    dies_and_is_the_same(&Runs::new(), &["--set", command, "--set", "env.process.workers=2"], 10);
}

#[test]
fn ten_kills_change_nothing_where_groups_are_replaced_and_tasks_drawn_by_success() {
    let runs = Runs::new();
    let more = ["rollout.refill=2", "rollout.curriculum=success", "advantage=grpo", "rollout.samples=3"];
    let more: Vec<&str> = more.iter().flat_map(|set| ["--set", set]).collect();
    dies_and_is_the_same(&runs, &more, 10);
    assert!(runs.path("reference/checkpoints/step_00005/tasks.json").exists());
    let kept = std::fs::read_dir(runs.path("reference/rollouts")).unwrap().count();
    assert!(kept > 5, "no group was replaced");
}

#[test]
fn ten_kills_change_nothing_where_plays_are_ahead() {
    let runs = Runs::new();
    let more = ["rollout.lag=1", "rollout.refill=1", "rollout.curriculum=success", "rollout.samples=3"];
    let more: Vec<&str> = more.iter().flat_map(|set| ["--set", set]).collect();
    dies_and_is_the_same(&runs, &more, 10);
    let ahead = |step: usize| runs.path(&format!("reference/checkpoints/step_{step:05}/ahead.json")).exists();
    assert!(ahead(4) && !ahead(5), "the last step plays nothing ahead");
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_is_taken() {
    let runs = Runs::new();
    runs.finishes("reference", &[]);
    runs.finishes("a", &["--set", "train.steps=4"]);
    let weights = runs.path("a/checkpoints/step_00004/model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let ran = runs.finishes("a", &[]);
    let told = |part: &str| assert!(ran.stderr.contains(part), "{part:?} is not in:\n{}", ran.stderr);
    told("step_00004: damaged, model.safetensors is not what was written");
    told("goes on after step 2 of 5");
    let aside = runs.path("a/checkpoints/step_00004.damaged");
    assert!(aside.exists(), "what is damaged is kept");
    std::fs::remove_dir_all(aside).unwrap();
    std::fs::remove_file(runs.path("a/config.until_step_00002.toml")).unwrap();
    std::fs::remove_file(runs.path("a/evaluation.until_step_00004.json")).unwrap();
    same(&runs.path("a"), &runs.path("reference"));

    for step in [2, 4, 5] {
        std::fs::remove_file(runs.path(&format!("a/checkpoints/step_{step:05}/manifest.json"))).unwrap();
    }
    std::fs::remove_file(runs.path("a/evaluation.json")).unwrap();
    assert!(runs.finishes("a", &[]).stderr.contains("goes on after step 0 of 5"));
}

#[test]
fn a_finished_run_says_so_and_can_be_made_longer() {
    let runs = Runs::new();
    runs.finishes("reference", &[]);
    runs.finishes("a", &["--set", "train.steps=2"]);
    let before = record(&runs.path("a"));
    let again = runs.finishes("a", &["--set", "train.steps=2"]);
    assert!(
        again.stderr.contains("finished already, with all of its 2 steps\n  hint: --run "),
        "{}",
        again.stderr
    );
    assert!(again.stderr.contains("held-out accuracy"), "{}", again.stderr);
    assert!(record(&runs.path("a")) == before, "nothing is touched");
    let evaluation = std::fs::read(runs.path("a/evaluation.json")).unwrap();
    let longer = runs.finishes("a", &[]);
    assert!(longer.stderr.contains("goes on after step 2 of 5"), "{}", longer.stderr);
    std::fs::remove_file(runs.path("a/config.until_step_00002.toml")).unwrap();
    let earlier = runs.path("a/evaluation.until_step_00002.json");
    assert!(std::fs::read(&earlier).unwrap() == evaluation, "that of the earlier end has its step");
    std::fs::remove_file(earlier).unwrap();
    same(&runs.path("a"), &runs.path("reference"));
}

#[test]
fn a_changed_config_is_refused_with_what_differs() {
    let runs = Runs::new();
    runs.finishes("a", &["--set", "train.steps=2"]);
    let before = record(&runs.path("a"));
    let changed = ["--set", "optimizer.lr=0.5", "--set", "rollout.groups=3"];
    let refused = runs.train("a", &changed);
    assert_eq!(refused.code, Some(1));
    let expect = "  optimizer.lr: 0.0001 → 0.5\n  rollout.groups: 2 → 3\n  hint: --allow-changes";
    assert!(refused.stderr.contains(expect), "{}", refused.stderr);
    assert!(record(&runs.path("a")) == before, "nothing is touched");
    runs.finishes("a", &[&changed[..], &["--allow-changes"]].concat());
    assert_eq!(steps(&runs.path("a")), 5);
    let old = std::fs::read_to_string(runs.path("a/config.until_step_00002.toml")).unwrap();
    assert!(old.contains("lr = 0.0001"), "the old config is kept");
    let tasks = runs.train("b", &["--set", "train.steps=2"]);
    assert_eq!(tasks.code, Some(0));
}

#[test]
fn a_run_is_never_made_shorter_than_it_is() {
    let runs = Runs::new();
    runs.finishes("a", &["--set", "train.steps=3"]);
    let before = record(&runs.path("a"));
    let said = [
        "has done 3 steps, and train.steps is 1",
        "hint: a run can be made longer, not shorter: --set train.steps=3 or more; or another --run",
    ];
    for more in [&[][..], &["--allow-changes"], &["--allow-changes", "--set", "optimizer.lr=0.5"]] {
        runs.train("a", &[&["--set", "train.steps=1"], more].concat()).fails(2, &said);
        assert!(record(&runs.path("a")) == before, "nothing is touched");
    }
    // A run that hasn't ended has done what its newest checkpoint has.
    std::fs::remove_file(runs.path("a/evaluation.json")).unwrap();
    runs.train("a", &["--set", "train.steps=1", "--allow-changes"]).fails(2, &said);
    let ended = runs.finishes("a", &["--set", "train.steps=3"]);
    assert!(ended.stderr.contains("goes on after step 3 of 3"), "{}", ended.stderr);
    // An end that hasn't been reached may come earlier.
    let runs = Runs::new();
    runs.finishes("a", &["--set", "train.steps=3"]);
    std::fs::remove_file(runs.path("a/evaluation.json")).unwrap();
    std::fs::remove_dir_all(runs.path("a/checkpoints/step_00003")).unwrap();
    let refused = runs.train("a", &["--set", "train.steps=2"]);
    assert!(refused.stderr.contains("train.steps: 3 → 2"), "{}", refused.stderr);
    let ended = runs.finishes("a", &["--set", "train.steps=2", "--allow-changes"]);
    assert!(ended.stderr.contains("goes on after step 2 of 2"), "{}", ended.stderr);
}

#[test]
fn ctrl_c_finishes_the_step_saves_and_says_how_to_go_on() {
    let runs = Runs::new();
    runs.finishes("reference", &["--set", "train.checkpoint_every=100"]);
    let more = ["--set", "train.checkpoint_every=100"];
    let mut command = runs.command("a", &more);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the binary starts");
    wait("a first step", || steps(&runs.path("a")) > 0);
    signal(&child, "INT");
    let output = child.wait_with_output().expect("the binary ends");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("stopping after this step, with a checkpoint; once more stops at once\n"),
        "{stderr}"
    );
    let done = steps(&runs.path("a"));
    assert!(
        stderr.contains(&format!("stopped after step {done} of 5, nothing is lost\n  hint: ")),
        "{stderr}"
    );
    let saved = format!("checkpoints/step_{done:05}");
    assert!(runs.path("a").join(&saved).join("manifest.json").exists());
    let on = runs.finishes("a", &more);
    assert!(on.stderr.contains(&format!("goes on after step {done} of 5")), "{}", on.stderr);
    if done < 5 {
        std::fs::remove_dir_all(runs.path("a").join(saved)).unwrap();
    }
    same(&runs.path("a"), &runs.path("reference"));
}

#[test]
fn a_second_signal_stops_at_once_and_a_second_process_is_refused() {
    let runs = Runs::new();
    let long = ["--set", "train.steps=100000"];
    let mut child = runs.start("a", &long);
    wait("a first step", || steps(&runs.path("a")) > 0);
    runs.train("a", &long).fails(1, &["another process is using this run", "hint: "]);
    signal(&child, "TERM");
    signal(&child, "TERM");
    let mut status = None;
    wait("an end", || {
        status = child.try_wait().expect("a child to wait for");
        status.is_some()
    });
    // If the step was over before the second one came, the run has stopped by itself.
    assert!([Some(143), Some(1)].contains(&status.unwrap().code()), "{status:?}");
    let stopped = runs.train("a", &["--set", "train.steps=100000", "--set", "optimizer.lr=1"]);
    assert!(stopped.stderr.contains("optimizer.lr"), "the lock went with the process: {}", stopped.stderr);
}

pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

#[test]
fn a_full_disk_damages_nothing() {
    let runs = Runs::new();
    runs.finishes("reference", &[]);
    runs.finishes("a", &["--set", "train.steps=2"]);
    // Files of more than a few blocks can't be written: the same refusal as that of a full disk, for every
    // user.
    let limited = |blocks: u32| {
        let mut shell = Command::new("sh");
        let program = runs.command("a", &[]);
        shell.arg("-c").arg(format!("ulimit -f {blocks}; exec \"$@\"")).arg("sh");
        shell.arg(program.get_program()).args(program.get_args()).current_dir(root());
        ran(&mut shell, "")
    };
    for blocks in [1, 400] {
        let full = limited(blocks);
        assert_eq!(full.code, Some(1), "{}", full.stderr);
        let last = full.stderr.lines().last().unwrap();
        assert!(last.contains("cannot write") && last.contains("File too large"), "{}", full.stderr);
        assert!(!full.stderr.contains("panicked"), "{}", full.stderr);
    }
    runs.finishes("a", &[]);
    std::fs::remove_file(runs.path("a/config.until_step_00002.toml")).unwrap();
    std::fs::remove_file(runs.path("a/evaluation.until_step_00002.json")).unwrap();
    same(&runs.path("a"), &runs.path("reference"));
}

#[test]
fn an_adapter_and_its_moments_survive_a_stop() {
    let runs = Runs::new();
    let lora = ["--set", "optimizer.lora.rank=2", "--set", "optimizer.lr=1e-2"];
    runs.finishes("reference", &lora);
    runs.finishes("a", &[&lora[..], &["--set", "train.steps=2"]].concat());
    runs.finishes("a", &lora);
    std::fs::remove_file(runs.path("a/config.until_step_00002.toml")).unwrap();
    std::fs::remove_file(runs.path("a/evaluation.until_step_00002.json")).unwrap();
    same(&runs.path("a"), &runs.path("reference"));
}

#[test]
fn an_adapter_and_its_moments_survive_a_kill() {
    let runs = Runs::new();
    let lora = ["--set", "optimizer.lora.rank=2", "--set", "optimizer.lr=1e-2"];
    runs.finishes("reference", &lora);
    let mut child = runs.start("a", &lora);
    wait("a step behind the first checkpoint", || steps(&runs.path("a")) >= 3);
    child.kill().expect("SIGKILL");
    child.wait().expect("a child to wait for");
    let on = runs.finishes("a", &lora);
    let (after, finished) = ("goes on after step ", "finished already");
    assert!(on.stderr.contains(after) || on.stderr.contains(finished), "{}", on.stderr);
    same(&runs.path("a"), &runs.path("reference"));
}
