//! Reports of runs on disk.

use std::path::Path;

use serde_json::json;
use turnwise_inspect::Run;
use turnwise_inspect::report::{curve, report};

use crate::browser::Browser;

/// A run of four steps that gets better, with its evaluation.
fn run(folder: &Path, seed: usize, estimator: &str, after: f64) -> Run {
    std::fs::create_dir_all(folder).unwrap();
    let config = format!("model = \"m\"\n[train]\nseed = {seed}\n[advantage.{estimator}]\neps = 0.1\n");
    std::fs::write(folder.join("config.toml"), config).unwrap();
    let line = |step: usize| {
        let turn = |reward: f64| {
            json!({"credit": {"turns": 8, "reward": reward, "returns": 0.5, "advantage": 0.1, "abs_advantage": 0.2},
                   "calls": {"turns": 8, "malformed": 1, "ok": 5, "error": 2, "stopped": 0}, "loss": {"ratio": 1.01}})
        };
        let accuracy = 0.4 + 0.1 * step as f64 + 0.01 * seed as f64;
        json!({"step": step, "accuracy": accuracy, "entropy": 1.5, "by_turn": [turn(0.25), turn(0.75)]})
            .to_string()
    };
    let lines: Vec<String> = (0..4).map(line).collect();
    std::fs::write(folder.join("metrics.jsonl"), lines.join("\n") + "\n{\"step\": 4, \"accu").unwrap();
    let held_out =
        |accuracy: f64| json!({"accuracy": accuracy, "tool_success": 0.9, "violations": 0.0, "turns": 3.0});
    let evaluation = json!({"before": held_out(0.4), "after": held_out(after)});
    std::fs::write(folder.join("evaluation.json"), evaluation.to_string()).unwrap();
    std::fs::write(folder.join("env.json"), "{\"version\": \"0.1.0\", \"device\": \"<b>\"}").unwrap();
    Run::open(folder).unwrap()
}

#[test]
fn sequences_of_agents_have_curves() {
    let folder = tempfile::tempdir().unwrap();
    let agent = folder.path().join("agent");
    run(&agent, 0, "gtpo", 0.7);
    let line =
        json!({"step": 0, "accuracy": 0.5, "prefix_kept": 0.75, "sequences": {"count": 3, "diverged": 1}});
    std::fs::write(agent.join("metrics.jsonl"), format!("{line}\n")).unwrap();
    let report = report(&[Run::open(&agent).unwrap()]).unwrap();
    let names: Vec<_> = report.pictures().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, ["accuracy.svg", "prefix-kept.svg", "sequences.svg"]);
}

#[test]
fn seeds_are_put_together_and_settings_compared() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let runs = [
        run(&at("a0"), 0, "gtpo", 0.70),
        run(&at("a1"), 1, "gtpo", 0.74),
        run(&at("b0"), 0, "grpo", 0.60),
        run(&at("b1"), 1, "grpo", 0.65),
    ];
    let report = report(&runs).unwrap();
    let text = report.markdown();
    assert!(text.starts_with("# 4 runs of 2 settings\n"), "{text}");
    // Two settings of two seeds: the mean of 30 and 34 points, and t(0.975, 1) · sd/√2 = 25.4 around it.
    assert!(
        text.contains("| advantage = gtpo: accuracy | 40.0 % ± 0.0 % | 72.0 % ± 25.4 % | 32.0 % ± 25.4 % |"),
        "{text}"
    );
    // Differences of -10 and -9 points: mean -9.5, t = -19, p = 0.0335.
    assert!(text.contains("| advantage = grpo | 2 | -9.5 | -15.9 to -3.1 | 0.0335 | 0.0335 |"), "{text}");
    assert!(
        text.contains(
            "| advantage = grpo: turn 2 | 8 | 0.750 | 0.500 | 0.100 | 0.200 | 0.125 | 0.250 | 1.0100 |"
        ),
        "{text}"
    );
    assert!(text.contains("| advantage.gtpo.eps | 0.1 | – |") && !text.contains("train.seed"), "{text}");
    let pictures: Vec<_> = report.pictures().collect();
    assert_eq!(
        pictures.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["accuracy.svg", "entropy.svg"]
    );
    assert_eq!(pictures[0].1.matches("opacity=\"0.16\"").count(), 2, "a band for each setting");
    for (name, _) in &pictures {
        assert!(text.contains(&format!("]({name})")));
    }
}

#[test]
fn rewards_stand_by_name_and_turn() {
    let folder = tempfile::tempdir().unwrap();
    let runs = [run(&folder.path().join("a"), 0, "gtpo", 0.7)];
    let text = report(&runs).unwrap().markdown();
    assert!(!text.contains("Rewards by name") && !text.contains("mean grade"), "{text}");
    let file = folder.path().join("a/metrics.jsonl");
    let line = |step: usize, turns: [usize; 2], by_turn: [f64; 2]| {
        let turn = |turns: usize| json!({"credit": {"turns": turns, "reward": 0.5}});
        let rewards = json!({"a/../<b>|": {"mean": 0.5, "by_turn": by_turn}, "fmt": {"mean": -0.1, "by_turn": [-0.1, 0.0]}});
        json!({"step": step, "rewards": rewards, "by_turn": turns.map(turn)}).to_string()
    };
    // The last tenth of twenty steps are two: means of turns are weighted by their numbers.
    let mut lines: Vec<String> = (0..18).map(|step| line(step, [8, 8], [9.0, 9.0])).collect();
    lines.extend([line(18, [8, 2], [0.25, 1.0]), line(19, [8, 6], [0.75, 0.0])]);
    std::fs::write(&file, lines.join("\n") + "\n").unwrap();
    let held_out = |acc: f64| json!({"accuracy": 0.5, "mean_acc": acc, "correct_at": 0.75});
    let evaluation = json!({"before": held_out(0.625), "after": held_out(0.75)});
    std::fs::write(folder.path().join("a/evaluation.json"), evaluation.to_string()).unwrap();
    let report = report(&[Run::open(&folder.path().join("a")).unwrap()]).unwrap();
    let text = report.markdown();
    assert!(text.contains("## Rewards by name, at the end of training"), "{text}");
    assert!(text.contains("| trajectory | turn 1 | turn 2 |"), "{text}");
    assert!(text.contains("a/../\\<b>\\| | 0.500 | 0.500 | 0.250 |"), "{text}");
    assert!(
        text.contains("fmt | -0.100 | -0.100 | 0.000 |")
            && text.contains("mean grade | 0.62 | 0.75 | 0.12 |")
            && text.contains("accuracy (acc ≥ 0.75) | 50.0 % | 50.0 % | 0.0 % |"),
        "{text}"
    );
    let pictures: Vec<String> = report.pictures().map(|(name, _)| name).collect();
    assert_eq!(pictures, ["reward-1.svg"]);
    assert!(report.html().contains("Reward named a/../&lt;b&gt;| per trajectory"));
}

#[test]
fn one_run_has_its_settings_and_a_run_without_evaluation_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("only");
    let one = run(&path, 0, "gtpo", 0.7);
    let picture = curve(&one).unwrap();
    assert!(picture.contains("held out 40.0 %") && picture.contains("held out 70.0 %"), "{picture}");
    std::fs::remove_file(path.join("evaluation.json")).unwrap();
    let report = report(std::slice::from_ref(&one)).unwrap();
    assert!(report.pictures().all(|(_, svg)| !svg.contains("opacity=\"0.16\"")), "one seed has no band");
    let text = report.markdown();
    assert!(text.starts_with("# Run only\n") && text.contains("No run has been evaluated"), "{text}");
    assert!(text.contains("| train.seed | 0 |"), "{text}");
}

#[test]
fn an_evaluation_of_an_earlier_end_is_not_of_this_run() {
    let folder = tempfile::tempdir().unwrap();
    let one = run(folder.path(), 0, "gtpo", 0.7);
    let found = |steps: usize| {
        let evaluation = json!({"before": {"accuracy": 0.4}, "after": {"accuracy": 0.7}, "steps": steps});
        std::fs::write(folder.path().join("evaluation.json"), evaluation.to_string()).unwrap();
        (one.evaluation().unwrap().is_some(), curve(&one).unwrap().contains("held out 70.0 %"))
    };
    assert_eq!(found(4), (true, true));
    assert_eq!(found(3), (false, false), "the run has made a fourth step since");
}

#[test]
fn the_html_is_one_file_that_loads_and_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let html = report(&[run(&folder.path().join("a"), 0, "gtpo", 0.7)]).unwrap().html();
    assert!(html.contains("&lt;b&gt;") && !html.contains("<b>"));
    for outside in ["<script", "src=", "href=", "@import", "url("] {
        assert!(!html.contains(outside), "{outside}");
    }
    let Some(browser) = Browser::start() else { return };
    let path = folder.path().join("report.html");
    std::fs::write(&path, html).unwrap();
    browser.open(&format!("file://{}", path.display()));
    assert_eq!(browser.eval("document.querySelectorAll('svg').length"), 2);
    assert!(
        browser.eval("document.querySelector('svg').getBoundingClientRect().width").as_f64().unwrap() > 400.0
    );
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
