//! `turnwise score`.
#![allow(clippy::unreadable_literal, reason = "published numbers, as published")]

use serde_json::{Value, json};

use crate::binary::{arg, turnwise};

/// Fixture A of the estimator's tests: turns [3,2,1,3], correct [1,1,0,0], violations at (0, 2) and (3, 1).
fn fixture_a() -> Value {
    let turn = |acc: f64, fmt: f64| json!({"acc": acc, "fmt": fmt});
    let group = json!([
        {"turns": [turn(0.0, 0.0), turn(0.0, -0.1), turn(1.0, 0.0)], "correct": true, "code": "print(1 + 2)"},
        {"turns": [turn(0.0, 0.0), turn(1.0, 0.0)], "correct": true, "code": "print(3)"},
        {"turns": [turn(0.0, 0.0)], "code": "print(4)"},
        {"turns": [turn(0.0, -0.1), turn(0.0, 0.0), turn(0.0, 0.0)], "truncated": true},
    ]);
    json!({"group": "a", "trajectories": group})
}

fn score(args: &[&str], input: &str) -> Vec<Value> {
    turnwise(&[&["score"], args].concat(), input).lines()
}

#[track_caller]
fn close(found: &Value, expect: &[&[f64]]) {
    let rows: Vec<Vec<f64>> = serde_json::from_value(found.clone()).expect("numbers per trajectory and turn");
    let near = |(a, b): (&Vec<f64>, &&[f64])| {
        a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| (a - b).abs() < 4e-6)
    };
    assert!(rows.len() == expect.len() && rows.iter().zip(expect).all(near), "{rows:?}\n{expect:?}");
}

#[test]
fn fixture_a_has_the_published_numbers() {
    let fixture = fixture_a();
    let input = fixture.to_string();
    let scored = score(&["--set", "shaping.alpha=0"], &input).remove(0);
    let keys: Vec<&str> = scored.as_object().unwrap().keys().map(String::as_str).collect();
    let expect = ["group", "estimator", "norm_scope", "rewards", "returns", "advantages", "dropped", "turns"];
    assert_eq!(keys, expect);
    let given: Vec<&Value> =
        fixture["trajectories"].as_array().unwrap().iter().map(|trajectory| &trajectory["turns"]).collect();
    assert_eq!(scored["turns"], json!(given), "α is 0: what came in");
    assert_eq!((&scored["group"], &scored["estimator"]), (&"a".into(), &"gtpo".into()));
    assert_eq!(
        (&scored["norm_scope"], &scored["dropped"]),
        (&"pooled".into(), &json!([null, null, null, null]))
    );
    close(&scored["returns"], &[&[0.72, 0.8, 1.0], &[0.9, 1.0], &[0.0], &[-0.1, 0.0, 0.0]]);
    close(
        &scored["advantages"],
        &[
            &[0.491848, 0.655797, 1.065670],
            &[0.860733, 1.065670],
            &[-0.983695],
            &[-1.188632, -0.983695, -0.983695],
        ],
    );
    let other = |sets: &[&str]| {
        let args: Vec<&str> =
            sets.iter().flat_map(|set| ["--set", set]).chain(["--set", "shaping.alpha=0"]).collect();
        score(&args, &input).remove(0)
    };
    let first = other(&["advantage.gtpo.norm_scope=first_return"]);
    close(
        &first["advantages"],
        &[
            &[0.675155, 0.834015, 1.231165],
            &[1.032590, 1.231165],
            &[-0.754585],
            &[-0.953160, -0.754585, -0.754585],
        ],
    );
    let min = other(&["advantage=grpo_min"]);
    assert_eq!(min["estimator"], "grpo_min");
    close(&min["advantages"], &[&[-0.5; 3], &[1.5; 2], &[-0.5], &[-0.5; 3]]);
    let dropped = other(&["filter.truncated=true"]);
    assert_eq!(dropped["dropped"], json!([null, null, null, "truncated"]));
    close(
        &other(&["advantage.gtpo.gamma=1.0"])["returns"],
        &[&[0.9, 0.9, 1.0], &[1.0, 1.0], &[0.0], &[-0.1, 0.0, 0.0]],
    );
}

#[test]
fn numbers_carry_their_digits_and_order_is_kept() {
    let group = |name: &str| {
        let turns = json!([{"acc": 0.123_456_789_012, "fmt": 0}]);
        json!({"group": name, "trajectories": [{"turns": turns}, {"turns": [{"acc": 0, "fmt": 0}]}]})
            .to_string()
    };
    let input = format!("{}\n\n{}\n", group("b"), group("a"));
    let scored = score(&[], &input);
    assert_eq!(scored.iter().map(|s| s["group"].as_str().unwrap()).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(scored[0]["rewards"][0][0], 0.123_456_789_012);
    assert!(score(&[], "").is_empty());
}

#[test]
fn a_line_of_a_runs_own_rollouts_is_a_group_with_more_keys() {
    let mut line = fixture_a();
    line["step"] = 7.into();
    line["level"] = 2.into();
    line["advantages"] = json!([]);
    for trajectory in line["trajectories"].as_array_mut().unwrap() {
        trajectory["played"] = json!({"task": "t", "sample": 0});
    }
    assert_eq!(score(&[], &line.to_string()), score(&[], &fixture_a().to_string()));
    // α falls from 0.5 to 0 over ten steps: a line is scored as at its own step.
    let annealed = ["--set", "shaping.anneal_steps=10"];
    assert_ne!(score(&annealed, &line.to_string()), score(&annealed, &fixture_a().to_string()));
    line["step"] = 10.into();
    assert_eq!(score(&annealed, &line.to_string()), score(&["--set", "shaping.alpha=0"], &line.to_string()));
}

/// A violation is the turn's flag; where a line has none, a negative format reward is one.
#[test]
fn violations_may_be_flags_beside_the_rewards() {
    let min = ["--set", "advantage=grpo_min", "--set", "shaping.alpha=0"];
    let signed = score(&min, &fixture_a().to_string()).remove(0);
    let mut free = fixture_a();
    for trajectory in free["trajectories"].as_array_mut().unwrap() {
        let turns = trajectory["turns"].as_array_mut().unwrap();
        let flags: Vec<bool> = turns.iter().map(|turn| turn["fmt"].as_f64().unwrap() < 0.0).collect();
        for turn in turns.iter_mut() {
            turn["fmt"] = json!(0.0);
        }
        trajectory["violations"] = json!(flags);
    }
    let flagged = score(&min, &free.to_string()).remove(0);
    assert_eq!((&signed["advantages"], &signed["returns"]), (&flagged["advantages"], &flagged["returns"]));
    assert_ne!(signed["rewards"], flagged["rewards"], "what they cost is another matter");
    free["trajectories"][2]["violations"] = json!([true, true]);
    turnwise(&["score"], &free.to_string())
        .fails(1, &["stdin:1: trajectory 3 has 2 violation flags for 1 turns"]);
}

/// A turn's reward is the weighted sum of rewards that an environment names as it likes.
#[test]
fn rewards_by_name_are_weighed_and_shaping_acts_on_the_accuracy() {
    let right = json!([{"progress": 0.25}, {"acc": 1.0, "fmt": -0.125, "progress": 0.5}]);
    let wrong = json!([{"progress": 0.75}]);
    let group = json!({"group": "g", "trajectories": [
        {"turns": right, "correct": true, "code": "x = 1"},
        {"turns": wrong, "code": "x = 1"},
    ]})
    .to_string();
    let scored = score(&[], &group).remove(0);
    assert_eq!(scored["rewards"], json!([[0.25, 1.375], [1.25]]));
    let turns = json!([right, [{"acc": 0.5, "progress": 0.75}]]);
    assert_eq!(scored["turns"], turns);
    let weights = ["--set", "reward.weights.progress=2", "--set", "reward.weights.acc=0"];
    let weighed = score(&weights, &group).remove(0);
    assert_eq!((&weighed["rewards"], &weighed["turns"]), (&json!([[0.5, 0.875], [1.5]]), &turns));
    turnwise(&["score", "--set", "reward.weights.progress=inf"], &group)
        .fails(2, &["`reward.weights.progress` is inf, expected a number from -1000 to 1000"]);
    turnwise(&["score", "--set", "reward.format_penalty=-1"], &group)
        .fails(2, &["unknown key `format_penalty`"]);
}

#[test]
fn a_run_file_gives_its_estimator() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.toml");
    std::fs::write(&path, "model = \"m\"\nadvantage = \"rloo\"\n[env.arithmetic]\n[shaping]\nalpha = 0\n")
        .unwrap();
    let input = fixture_a().to_string();
    assert_eq!(score(&["--config", arg(&path)], &input)[0]["estimator"], "rloo");
    let scored = score(&["--config", arg(&path), "--set", "advantage.grpo.ddof=0"], &input);
    assert_eq!(scored[0]["estimator"], "grpo");
    std::fs::write(&path, "model = \"m\"\n[env.arithmetic]\nlevles = [1]\n").unwrap();
    turnwise(&["score", "--config", arg(&path)], &input)
        .fails(2, &["run.toml:3: unknown key `levles`", "`levels`"]);
}

/// A record holds sums of what `step` and `close` gave, and a group written by hand any number.
#[test]
fn acc_of_any_size_is_scored() {
    let line = json!({"group": "g", "trajectories": [{"turns": [{"acc": 1.5}]}, {"turns": [{"acc": -1.0}]}]});
    let scored = &score(&["--set", "advantage=grpo", "--set", "shaping.alpha=0"], &line.to_string())[0];
    let advantage = |at: usize| scored["advantages"][at][0].as_f64().unwrap();
    assert!(advantage(0) > 0.0 && (advantage(0) + advantage(1)).abs() < 1e-9, "{scored}");
}

#[test]
fn a_broken_line_is_named() {
    let good = fixture_a().to_string();
    let check =
        |line: &str, parts: &[&str]| turnwise(&["score"], &format!("{good}\n{line}\n")).fails(1, parts);
    check("{\"group\":\"g\"", &["stdin:2: the JSON ends inside an object (column 12)"]);
    check("{\"group\":\"g\"}", &["stdin:2: missing field `trajectories`"]);
    check(
        "{\"group\":\"g\",\"trajectories\":[{\"turns\":[{\"acc\":1e999,\"fmt\":0}]}]}",
        &["stdin:2: trajectory 1, turn 1, acc: a number beyond the largest, 1.8e308 (column "],
    );
    check(
        "{\"group\":\"g\",\"trajectories\":[{\"turns\":[{\"acc\":1,\"acc\":0}]}]}",
        &["stdin:2: trajectory 1, turn 1: the reward \"acc\" stands twice (column "],
    );
    let progress = |number: &str| {
        let turns = format!("[{{\"acc\":0}},{{\"acc\":0,\"progress\":{number}}}]");
        format!("{{\"group\":\"g\",\"trajectories\":[{{\"turns\":[]}},{{\"turns\":{turns}}}]}}")
    };
    for (number, reason) in [
        ("NaN", "no value of JSON"),
        ("Infinity", "no value of JSON"),
        ("-Infinity", "invalid number"),
        ("\"high\"", "the text \"high\", expected a number"),
        ("null", "null, expected a number"),
        ("-1e999", "a number beyond the largest, 1.8e308"),
        ("2e100", "2e100, expected a number from -1e100 to 1e100"),
    ] {
        check(&progress(number), &[&format!("stdin:2: trajectory 2, turn 2, progress: {reason} (column ")]);
    }
    let named = |name: &str| progress("1").replace("progress", name);
    let rule = "a name has 1 to 64 bytes and no control characters (column ";
    check(&named(""), &[&format!("stdin:2: trajectory 2, turn 2: the reward \"\": {rule}")]);
    check(
        &named("a\\u001b"),
        &[&format!("stdin:2: trajectory 2, turn 2: the reward \"a\\u{{1b}}\": {rule}")],
    );
    check(&named(&"x".repeat(65)), &[rule]);
    turnwise(&["score", "--set", "advantage=gtop"], &good)
        .fails(2, &["--set advantage=gtop: unknown choice `gtop`", "did you mean `gtpo`?"]);
}

#[test]
fn a_run_file_names_rewards_by_the_rule_for_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    let rule = "a name has 1 to 64 bytes and no control characters";
    for (name, shown) in [("\"\"", "\"\""), ("\"a\\u001b\"", "\"a\\u{1b}\""), (&"x".repeat(65), "\"xxx")] {
        for (table, value) in [("weights", "1"), ("normalise", "\"group\"")] {
            let rewards = format!("[reward.{table}]\np = {value}\n{name} = {value}\n");
            for (file, line) in
                [(rewards.clone(), 1), (format!("model = \"m\"\nenv = \"arithmetic\"\n{rewards}"), 3)]
            {
                std::fs::write(&path, file).unwrap();
                turnwise(&["score", "--config", arg(&path)], "").fails(
                    2,
                    &[&format!("x.toml:{line}: `reward.{table}` has a wrong key: the reward {shown}"), rule],
                );
            }
        }
    }
}

/// The conventions of four public implementations, each by its name, on three groups of four.
#[test]
fn presets_give_the_numbers_of_the_implementations_they_are_named_for() {
    let group = |name: &str, rewards: [f64; 4]| {
        let trajectory = |acc: &f64| json!({"turns": [{"acc": acc, "fmt": 0.0}]});
        json!({"group": name, "trajectories": rewards.iter().map(trajectory).collect::<Vec<_>>()}).to_string()
    };
    let input =
        [group("half", [1.0, 0.0, 0.0, 1.0]), group("solved", [1.0; 4]), group("one", [1.0, 0.0, 0.0, 0.0])]
            .join("\n");
    for (preset, half, high, low) in [
        ("verl", 0.8660239, 1.4999970, -0.4999990),
        ("skyrl", 0.8660239, 1.4999970, -0.4999990),
        ("trl", 0.8658754, 1.4997001, -0.4999000),
        ("openrlhf", 0.8660254, 1.5, -0.5),
    ] {
        let scored = score(&["--set", &format!("preset={preset}"), "--set", "advantage=grpo"], &input);
        let expect = [[half, -half, -half, half], [0.0; 4], [high, low, low, low]];
        for (scored, expect) in scored.iter().zip(expect) {
            let found: Vec<[f64; 1]> = serde_json::from_value(scored["advantages"].clone()).unwrap();
            for ([found], expect) in found.iter().zip(expect) {
                assert!((found - expect).abs() < 1e-7, "{preset}: {found} is not {expect}");
            }
        }
    }
}
