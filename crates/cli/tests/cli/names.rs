//! Names that an environment chooses, in every format that a run writes: each is text there, and no two are
//! one.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::binary::{arg, turnwise};
use crate::installed::python_with;
use crate::runs::Runs;

/// Gives rewards whose names are marks of other formats, and ids that look like lines of a log.
const ENVIRONMENT: &str = r#"
import sys
sys.path[:0] = ["python"]
import turnwise_env
from turnwise_env import Step, Task, tool
NAMES = ["a.b", "a_b", "a-b", " ", "mean", "q\"\\}", "esc[2J\u202e", "<b>&|*_`", "\u00e9"]
class Named(turnwise_env.Env):
    train, held_out = 64, 2
    tools = [tool("python", "Repeats.", code="string")]
    def reset(self, split, index, seed):
        return Task(f"\x1b[2J{split}\n2026-11-29T00:00:00Z finished/{index}", f"{index}+1", level=1)
    def step(self, text, calls, malformed):
        self.length = len(text)
        return Step(["x" for call in calls], {name: at + self.length % 3 for at, name in enumerate(NAMES)})
turnwise_env.serve(Named)
"#;

const NAMES: [&str; 9] = ["a.b", "a_b", "a-b", " ", "mean", "q\"\\}", "esc[2J\u{202e}", "<b>&|*_`", "\u{e9}"];

/// Reads a file as OpenMetrics by the library of Prometheus. Prints the names of the means with their values.
const PARSE: &str = r#"
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = {family.name: family for family in text_string_to_metric_families(open(sys.argv[1]).read())}
means = families["turnwise_rewards_mean"].samples
print(json.dumps({sample.labels["name"]: sample.value for sample in means}))
assert len(families["turnwise_rewards_by_turn"].samples) > len(means)
"#;

/// Reads pictures as XML.
const PICTURES: &str = "import sys, xml.dom.minidom\nfor file in sys.argv[1:]: xml.dom.minidom.parse(file)";

fn python(program: &str, arguments: &[&str], interpreter: &str) -> String {
    let ran = Command::new(interpreter).args(["-c", program]).args(arguments).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

/// Checks that a text would move no cursor and reorder nothing.
#[track_caller]
fn is_plain(text: &str, name: &str) {
    let wrong = text.chars().find(|c| (c.is_control() && !"\n\t".contains(*c)) || *c == '\u{202e}');
    assert_eq!(wrong, None, "{name}: {text}");
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn names_of_an_environment_are_text_in_every_format() {
    let (runs, folder) = (Runs::new(), tempfile::tempdir().unwrap());
    let program = folder.path().join("env.py");
    std::fs::write(&program, ENVIRONMENT).unwrap();
    let command = format!("env.process.command=[\"python3\", {:?}]", arg(&program));
    let sets = ["train.steps=1", "rollout.samples=2", "eval.tasks=2", "sinks.openmetrics=true", &command];
    let more: Vec<&str> = sets.iter().flat_map(|set| ["--set", *set]).collect();
    let ran = runs.finishes("a", &more);
    is_plain(&ran.stderr, "stderr");
    is_plain(&read(&runs.path("a/log.txt")), "log.txt");
    let metrics: Value = serde_json::from_str(read(&runs.path("a/metrics.jsonl")).trim()).unwrap();
    let mean = |name: &str| metrics["rewards"][name]["mean"].as_f64();
    let own = ["acc", "fmt"].map(|name| (name.to_string(), mean(name)));
    let expect: BTreeMap<String, Option<f64>> =
        NAMES.iter().map(|name| ((*name).to_string(), mean(name))).chain(own).collect();
    assert!(expect.values().all(Option::is_some), "{metrics}");
    if let Some(interpreter) =
        python_with("prometheus_client", "prometheus-client-0.26.0", &[&["prometheus_client==0.26.0"]])
    {
        let parsed = python(PARSE, &[arg(&runs.path("a/metrics.prom"))], &interpreter);
        let parsed: BTreeMap<String, Option<f64>> = serde_json::from_str(&parsed).expect("JSON");
        assert_eq!(parsed, expect);
    }
    let report = runs.path("report");
    let told = turnwise(&["report", arg(&runs.path("a")), "--out", arg(&report)], "");
    assert_eq!((told.code, told.stderr.as_str()), (Some(0), ""));
    let files: Vec<_> = std::fs::read_dir(&report).unwrap().map(|file| file.unwrap().path()).collect();
    for file in &files {
        is_plain(&read(file), arg(file));
    }
    let pictures: Vec<&str> = files
        .iter()
        .filter(|file| file.extension().is_some_and(|end| end == "svg"))
        .map(|file| arg(file))
        .collect();
    assert!(pictures.len() > NAMES.len(), "{files:?}");
    python(PICTURES, &pictures, "python3");
    let page = read(&report.join("report.html"));
    assert!(page.contains("esc[2J\\u{202e}") && page.contains("&lt;b&gt;&amp;|*_`"), "{page}");
}
