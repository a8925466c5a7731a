//! Run directories made for a test.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use tokenizers::Tokenizer;
use turnwise_credit::ScoredTrajectory;
use turnwise_inspect::{Run, view::Viewer};
use turnwise_run::{GroupRecord, TrajectoryRecord};
use turnwise_trajectory::{
    Branch, CallRecord, Finish, MalformedCall, OutputStatus, Rewards, Stop, ToolCall, ToolOutput, Trajectory,
    Turn, ViolationKind,
};

/// Text of a model that tries to take over its reader's page.
pub(crate) const HOSTILE: &str =
    "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">";

pub(crate) fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny")
}

/// Text to tokens of the tiny model.
pub(crate) struct Words(Tokenizer);

impl Words {
    pub(crate) fn new() -> Self {
        Self(Tokenizer::from_file(model().join("tokenizer.json")).expect("the shipped tokenizer"))
    }

    fn tokens(&self, text: &str) -> Vec<u32> {
        self.0.encode(text, false).expect("any text").get_ids().to_vec()
    }

    /// A turn that calls Python with its text as code, and what came of it.
    fn turn(&self, text: &str, call: CallRecord) -> Turn {
        let tokens = self.tokens(text);
        let logprobs = (0..tokens.len()).map(|t| -(t as f32) / 4.0).collect();
        let observation = self.tokens("\nnext\n");
        Turn {
            tokens,
            logprobs,
            text: text.into(),
            finish: Finish::EndOfTurn,
            calls: vec![call],
            observation,
            ..Turn::default()
        }
    }

    /// A trajectory of one call and an answer.
    pub(crate) fn trajectory(&self, task: &str, sample: u32, text: &str, call: CallRecord) -> Trajectory {
        let prompt = self.tokens(&format!("What is {task}?\n"));
        let answer = self.tokens("Answer: 4");
        let last = Turn {
            logprobs: vec![-0.1; answer.len()],
            tokens: answer,
            text: "Answer: 4".into(),
            finish: Finish::EndOfTurn,
            calls: vec![],
            observation: vec![],
            ..Turn::default()
        };
        Trajectory {
            task: task.into(),
            sample,
            prompt,
            turns: vec![self.turn(text, call), last],
            stop: Stop::Answer,
        }
    }
}

pub(crate) fn ran(code: &str, status: OutputStatus, stdout: &str) -> CallRecord {
    let arguments = json!({ "code": code }).as_object().expect("an object").clone();
    let error = (status != OutputStatus::Ok).then(|| format!("ValueError: {stdout}"));
    let output = ToolOutput {
        status,
        stdout: stdout.into(),
        value: None,
        error,
        truncated: false,
        wall_ms: 1.5,
        cpu_ms: 1.0,
    };
    CallRecord::Executed { call: ToolCall { name: "python".into(), arguments, span: 0..0 }, output }
}

pub(crate) fn malformed(message: &str) -> CallRecord {
    CallRecord::Malformed(MalformedCall {
        kind: ViolationKind::InvalidJson,
        message: message.into(),
        span: 0..0,
    })
}

/// A group of which every second trajectory is right.
pub(crate) fn group(step: usize, trajectories: Vec<Trajectory>) -> GroupRecord {
    let count = trajectories.len();
    let right = |i: usize| if i.is_multiple_of(2) { 1.0 } else { 0.0 };
    let record = |(i, played): (usize, Trajectory)| {
        let broken = played.turns[0].calls.iter().any(|call| !call.is_valid());
        TrajectoryRecord {
            scored: ScoredTrajectory {
                turns: vec![Rewards::new(0.0, if broken { -0.1 } else { 0.0 }), Rewards::new(right(i), 0.0)],
                correct: i.is_multiple_of(2),
                ..ScoredTrajectory::default()
            },
            log_ratios: Some(played.turns.iter().map(|turn| vec![0.3; turn.tokens.len()]).collect()),
            played,
        }
    };
    GroupRecord {
        group: trajectories[0].task.clone(),
        step,
        level: 2,
        expected: Some("4".into()),
        estimator: "gtpo".into(),
        norm_scope: "pooled".into(),
        rewards: (0..count).map(|i| vec![0.0, right(i)]).collect(),
        returns: (0..count).map(|i| vec![0.9 * right(i), right(i)]).collect(),
        advantages: (0..count)
            .map(|i| vec![right(i) - 0.5, 2.0 * right(i) - 1.0 - i as f64 / 10.0])
            .collect(),
        dropped: vec![None; count],
        trajectories: trajectories.into_iter().enumerate().map(record).collect(),
        ..GroupRecord::default()
    }
}

/// A run directory with these groups.
pub(crate) fn run(folder: &Path, groups: &[GroupRecord]) {
    std::fs::create_dir_all(folder.join("rollouts")).expect("a folder");
    let config = format!("model = {:?}\n\n[train]\nseed = 0\nsteps = 3\n", model().display().to_string());
    std::fs::write(folder.join("config.toml"), config).expect("a file");
    let steps: std::collections::BTreeSet<usize> = groups.iter().map(|group| group.step).collect();
    let mut metrics = String::new();
    for step in steps {
        let lines: Vec<String> = groups
            .iter()
            .filter(|group| group.step == step)
            .map(|group| serde_json::to_string(group).expect("a group"))
            .collect();
        let path = folder.join(format!("rollouts/step_{step:05}.jsonl"));
        std::fs::write(path, lines.join("\n") + "\n").expect("a file");
        let line = json!({ "step": step, "accuracy": 0.5 + 0.1 * step as f64, "reward": 0.4 });
        writeln!(metrics, "{line}").expect("a string takes any text");
    }
    std::fs::write(folder.join("metrics.jsonl"), metrics).expect("a file");
}

/// Three steps of two tasks with four samples: violations, failed calls, and text that attacks the page.
pub(crate) fn small(folder: &Path, marker: &str) {
    let words = Words::new();
    let play = |task: &str, step: usize| -> GroupRecord {
        let call = |sample: u32| match sample {
            1 => malformed(&format!("not JSON: {HOSTILE}")),
            2 => ran("1/0", OutputStatus::Error, &format!("division {HOSTILE}")),
            _ => ran("print(2+2)", OutputStatus::Ok, "4\n"),
        };
        let text = |sample: u32| match sample {
            3 => format!("{HOSTILE} {marker}"),
            _ => format!("{}print({sample}+{step})", "x = 1; ".repeat(sample as usize)),
        };
        let one = |sample| words.trajectory(task, sample, &text(sample), call(sample));
        group(step, (0..4).map(one).collect())
    };
    let groups: Vec<GroupRecord> =
        (0..3).flat_map(|step| [play("task/a", step), play(&format!("task/{HOSTILE}"), step)]).collect();
    run(folder, &groups);
}

/// A step of one graded group with rewards of other names.
pub(crate) fn rewarded(folder: &Path) {
    let words = Words::new();
    let one = |sample| words.trajectory("task/a", sample, "2+2", ran("print(2+2)", OutputStatus::Ok, "4\n"));
    let mut group = group(0, (0..2).map(one).collect());
    let turns = &mut group.trajectories[0].scored.turns;
    turns[0].add("progress", 0.25);
    turns[0].add(HOSTILE, -2.0);
    turns[1].add("progress", 0.5);
    turns[1].set("acc", 0.75);
    run(folder, &[group]);
    let rewards = json!({ "progress": { "mean": 0.75, "by_turn": [0.25, 0.5] } });
    let sequences = json!({ "count": 3, "diverged": 1, "masked_cut": 1, "masked_diverged": 1 });
    let line = json!({
        "step": 0, "accuracy": 0.5, "reward": 0.4, "rewards": rewards, "prefix_kept": 0.75, "sequences": sequences,
    });
    std::fs::write(folder.join("metrics.jsonl"), format!("{line}\n")).expect("a file");
}

/// `rollouts` rollouts in groups of eight, written fast: every group is the same but for its names.
pub(crate) fn large(folder: &Path, rollouts: usize) {
    const GROUPS_PER_STEP: usize = 64;
    let words = Words::new();
    let one = |sample| {
        words.trajectory("NAME", sample, "print(2+2) NEEDLE", ran("print(2+2)", OutputStatus::Ok, "4\n"))
    };
    let template = serde_json::to_string(&group(0, (0..8).map(one).collect())).expect("a group");
    run(folder, &[]);
    for (step, first) in (0..rollouts / 8).step_by(GROUPS_PER_STEP).enumerate() {
        let lines = (first..(first + GROUPS_PER_STEP).min(rollouts / 8)).map(|number| {
            let needle = if number == 4321 { "haystack" } else { "" };
            template
                .replace("NAME", &format!("task/{number}"))
                .replace("NEEDLE", needle)
                .replace("\"step\":0", &format!("\"step\":{step}"))
                + "\n"
        });
        let path = folder.join(format!("rollouts/step_{step:05}.jsonl"));
        std::fs::write(path, lines.collect::<String>()).expect("a file");
    }
}

/// A line as `turnwise rollout` writes it of a server's play: text that attacks the page, and no tokens.
pub(crate) fn conversation() -> String {
    let words = Words::new();
    let mut played = words.trajectory("task/a", 0, HOSTILE, ran("print(4)", OutputStatus::Ok, HOSTILE));
    played.prompt.clear();
    for turn in &mut played.turns {
        (turn.tokens, turn.logprobs, turn.observation) = (vec![], vec![], vec![]);
    }
    let said = |role: &str, content: &str| json!({ "role": role, "content": content });
    let line = json!({
        "level": 2, "sample": 0, "correct": true,
        "rewards": [{"acc": 0.0, "fmt": 0.0}, {"acc": 1.0, "fmt": 0.0}],
        "messages": [said("user", HOSTILE), said("assistant", HOSTILE), said("tool", "4"), said("assistant", "Answer: 4")],
        "played": played,
    });
    // The task comes first in such a line.
    format!("{{\"task\":\"task/a\",{}\n", &line.to_string()[1..])
}

/// Opens runs and serves them until the process ends.
pub(crate) fn serve(folders: &[&Path]) -> String {
    serve_runs(folders.iter().map(|folder| Run::open(folder).expect("a run")).collect())
}

/// Serves runs until the process ends.
pub(crate) fn serve_runs(runs: Vec<Run>) -> String {
    for run in &runs {
        run.refresh(&|_, _| {}).expect("its rollouts");
    }
    let viewer = Viewer::bind(runs, 0).expect("a free port");
    let url = viewer.url();
    std::thread::spawn(move || viewer.serve());
    url
}

/// A step of one group whose trajectories have branches: a second conversation, and a rewritten history.
pub(crate) fn branched(folder: &Path) {
    let words = Words::new();
    let one = |sample| {
        let mut played =
            words.trajectory("task/a", sample, "2+2", ran("print(2+2)", OutputStatus::Ok, "4\n"));
        let turn = |text: &str, parent: Option<usize>, context: &str, diverged: bool| {
            let tokens = words.tokens(text);
            let branch = Some(Branch { parent, context: words.tokens(context), diverged });
            Turn { logprobs: vec![-0.5; tokens.len()], tokens, text: text.into(), branch, ..Turn::default() }
        };
        played.turns.push(turn("from a helper", None, "helper: ", false));
        played.turns.push(turn("again", Some(0), " edited: ", true));
        played
    };
    let mut group = group(0, (0..2).map(one).collect());
    for credit in [&mut group.rewards, &mut group.returns, &mut group.advantages] {
        for turns in credit {
            turns.resize(4, 0.5);
        }
    }
    for trajectory in &mut group.trajectories {
        trajectory.scored.turns.resize(4, Rewards::new(0.0, 0.0));
        let ratios = |turn: &Turn| vec![0.0; if turn.text == "again" { 0 } else { turn.tokens.len() }];
        trajectory.log_ratios = Some(trajectory.played.turns.iter().map(ratios).collect());
    }
    run(folder, &[group]);
}
