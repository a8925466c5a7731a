//! Numbers out of their range: one line with place, name, value and range, and exit status 2.

use crate::binary::{arg, turnwise};

#[test]
fn a_number_of_a_run_file_is_refused_by_every_command_that_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.toml");
    let text = "model = \"models/tiny\"\nenv = \"arithmetic\"\n[optimizer]\nbeta1 = 1.5\n";
    std::fs::write(&file, text).unwrap();
    let (file, out) = (arg(&file), folder.path().join("out"));
    let said = ["x.toml:4: `optimizer.beta1` is 1.5, expected a number from 0 to 0.99999"];
    for command in [
        &["train", file, "--run", arg(&out)][..],
        &["train", file, "--dry-run"],
        &["config", file],
        &["score", "--config", file],
        &["eval", "--model", "models/tiny", "--config", file],
        &["rollout", "--model", "models/tiny", "--config", file],
        &["doctor", "--config", file],
    ] {
        turnwise(command, "").fails(2, &said);
    }
    assert!(!out.exists(), "nothing was begun");
    let cold = ["sft", "configs/tiny-sft.toml", "--out", arg(&out), "--set", "steps=0"];
    turnwise(&cold, "")
        .fails(2, &["--set steps=0: `steps` is 0, expected a whole number from 1 to 1000000000"]);
}

#[test]
fn numbers_that_were_trained_with_are_refused() {
    for (set, range) in [
        ("rollout.sampling.temperature=0", "a number from 0.01 to 100"),
        ("rollout.sampling.min_p=2", "a number from 0 to 1"),
        ("rollout.sampling.top_p=0", "a number above 0, at most 1"),
        ("eval.temperature=nan", "a number from 0 to 100"),
        ("eval.temperature=inf", "a number from 0 to 100"),
        ("rollout.groups=0", "a whole number from 1 to 65536"),
        ("rollout.samples=0", "a whole number from 1 to 65536"),
        ("train.steps=0", "a whole number from 1 to 1000000000"),
        ("optimizer.lr=-1e-4", "a number from 0 to 1"),
        ("optimizer.beta1=1.5", "a number from 0 to 0.99999"),
        ("optimizer.clip_norm=-1", "a number from 0 to 1000000000"),
        ("optimizer.lora.rank=0", "a whole number from 1 to 16384"),
        ("rollout.max_turns=9223372036854775807", "a whole number from 1 to 65536"),
        ("reward.format_penalty=0.1", "a number from -1000 to 0"),
        ("train.seed=9223372036854775808", "a whole number from 0 to 9223372036854775807"),
        (
            "train.seed=99999999999999999999999999999999999999999",
            "a whole number from 0 to 9223372036854775807",
        ),
    ] {
        let (key, value) = set.split_once('=').unwrap();
        let value = if value.len() > 40 { "too large a number" } else { value };
        let value = if value == "-1e-4" { "-0.0001" } else { value };
        let said = format!("--set {set}: `{key}` is {value}, expected {range}");
        turnwise(&["train", "configs/tiny.toml", "--set", set], "").fails(2, &[&said]);
    }
}

#[test]
fn keys_that_do_not_go_together_are_named_with_both_values() {
    let check = |sets: &[&str], said: &str| {
        let sets = sets.iter().flat_map(|set| ["--set", set]);
        let args: Vec<&str> = ["train", "configs/tiny.toml"].into_iter().chain(sets).collect();
        turnwise(&args, "").fails(2, &[said]);
    };
    check(
        &["loss.clip.dual_clip=1.1"],
        "--set loss.clip.dual_clip=1.1: `loss.clip.dual_clip` is 1.1, \
         expected 0 or a number above 1 + eps_high = 1.28",
    );
    check(
        &["rollout.groups=65536", "rollout.samples=17"],
        "--set rollout.samples=17: `rollout.samples` is 17 beside groups = 65536: \
         a step has at most 1048576 trajectories",
    );
    check(
        &["env={flaky={env={arithmetic={}},timeouts=0.7,errors=0.7}}"],
        "`env.flaky.errors` is 0.7 beside timeouts = 0.7: together they may be 1 at most",
    );
    let server = r#"rollout.server={urls=["http://127.0.0.1:1"],weights="w"}"#;
    check(
        &["rollout.precision=int8", server],
        "`rollout.precision` is \"int8\" beside rollout.server: \
         the servers' own settings choose the type of their weights",
    );
    check(
        &["rollout.precision=bf16", "optimizer.precision=bf16"],
        "`rollout.precision` is \"bf16\" beside optimizer.precision = \"bf16\": only f32 is rounded to it",
    );
    check(
        &["rollout.precision=bf16", "rollout.lag=1"],
        "`rollout.precision` is \"bf16\" beside rollout.lag = 1: set loss.clip.tis_cap, for example to 2",
    );
    check(&["rollout.precision=int4"], "unknown choice `int4` for `rollout.precision`");
    let cold = ["sft", "configs/tiny-sft.toml", "--out", "never", "--set", "rollout.precision=int8"];
    let said = "`rollout.precision` is \"int8\", and fine-tuning is evaluated in f32: leave it out";
    turnwise(&cold, "").fails(2, &[said]);
    let cold = ["sft", "configs/tiny-sft.toml", "--out", "never", "--set", "model.scratch.hidden_size=97"];
    turnwise(&cold, "").fails(2, &["`model.scratch.hidden_size` is 97, expected a multiple of 2 · heads = "]);
}

#[test]
fn an_argument_is_refused_with_its_range() {
    let tokens = "a whole number from 1 to 16777216";
    let seed = "a whole number from 0 to 9223372036854775807";
    let generate = &["generate", "--model", "models/tiny", "--tokens", "[1]"][..];
    let chat = &["chat", "--model", "models/tiny"][..];
    let server =
        ["rollout", "--config", "configs/tiny.toml", "--endpoint", "http://127.0.0.1:1/v1", "--name", "x"];
    for (command, name, values, range) in [
        (generate, "--temperature", &["-1", "nan", "inf", "1e308", "warm"][..], "a number from 0 to 100"),
        (generate, "--max-tokens", &["0", "-1", "1.5", "18446744073709551616"], tokens),
        (generate, "--seed", &["-1", "9223372036854775808", "nan"], seed),
        (chat, "--temperature", &["-0.1", "NaN"], "a number from 0 to 100"),
        (chat, "--max-tokens", &["0"], tokens),
        (chat, "--max-turns", &["0", "-3"], "a whole number from 1 to 65536"),
        (chat, "--seed", &["1e3"], seed),
        (&["exec"], "--timeout", &["0", "-1", "nan", "inf", "1e308"], "a number from 0.001 to 3600000"),
        (&["exec"], "--memory", &["0", "-1", "18446744073709551615"], "a whole number from 1 to 16777216"),
        (&server, "--parallel", &["0", "9223372036854775807"], "a whole number from 1 to 1024"),
        (&server, "--timeout", &["0", "18446744073709551615"], "a whole number from 1 to 3600000"),
    ] {
        for value in values {
            let args = [command, &[name, value]].concat();
            turnwise(&args, "").fails(2, &[&format!("{name} {value}: expected {range}")]);
        }
    }
}
