//! The programs of docs/agent-clients.md train the tiny model.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::binary::{BINARY, arg, ran, root};
use crate::clients::{agents, is_wanted, more_agents, verifiers};
use crate::documents::blocks::{Block, blocks};
use crate::documents::{read, scratch};

const PAGE: &str = "docs/agent-clients.md";

/// Text of a program, and the one that is run instead.
type StandIn<'a> = (&'a str, &'a str);

/// Makes a step with a program, which may lose no trajectory.
#[track_caller]
fn trains(command: &[&str], file: &str, stand_ins: &[StandIn<'_>]) {
    let folder = scratch::scratch(PAGE);
    let at = |name: &str| folder.path().join(name);
    if let Ok(mut text) = std::fs::read_to_string(at(file)) {
        for (said, done) in stand_ins {
            assert!(text.contains(said), "{file}: {said}");
            text = text.replace(said, done);
        }
        std::fs::write(at(file), text).expect("a file");
    }
    let row = |nth: usize| {
        format!("{{\"id\": \"verifiers-{nth}\", \"question\": \"1+{nth}\", \"answer\": \"1\"}}\n")
    };
    std::fs::write(at("tasks.jsonl"), row(0) + &row(1)).expect("a file");
    std::fs::write(at("test.jsonl"), row(2)).expect("a file");
    let set = format!("env.agent.command={}", serde_json::to_string(command).expect("a list"));
    let sets = "--set train.steps=1 --set rollout.groups=1 --set eval.tasks=0";
    scratch::run(&folder, &format!("turnwise train agent.toml --run run {sets} --set '{set}'"));
    let metrics = std::fs::read_to_string(at("run/metrics.jsonl")).expect("a step");
    let metrics: Value = serde_json::from_str(&metrics).expect("a line of JSON");
    assert_eq!(metrics["rollouts_lost"], 0, "{file}: {metrics}");
    assert_eq!(metrics["sequences"]["diverged"], 0, "{file}: {metrics}");
}

/// Prompts that the tiny model can read.
const SHORT: StandIn<'static> = (
    "CodeAgent([], OpenAIModel(\"any\"))",
    "CodeAgent([], OpenAIModel(\"any\"), max_steps=100, code_block_tags='markdown', \
     prompt_templates=__import__('smolagents').agents.EMPTY_PROMPT_TEMPLATES)",
);

#[test]
fn programs_with_openai_its_agents_and_smolagents_train() {
    let Some(python) = agents() else { return };
    for file in ["openai_agent.py", "shell_agent.py", "openai_agents.py"] {
        trains(&[&python, file], file, &[]);
    }
    let exact = ("import CodeAgent, OpenAIModel", "import CodeAgent\nfrom exact import Exact as OpenAIModel");
    trains(&[&python, "smolagents_agent.py"], "smolagents_agent.py", &[SHORT, exact]);
}

#[test]
fn programs_with_anthropic_and_litellm_train() {
    let Some(python) = more_agents() else { return };
    for file in ["anthropic_agent.py", "litellm_agent.py"] {
        trains(&["env", "LITELLM_LOCAL_MODEL_COST_MAP=True", &python, file], file, &[]);
    }
}

#[test]
fn a_program_with_verifiers_trains() {
    let Some(python) = verifiers() else { return };
    let bin = Path::new(&python).parent().expect("a folder of programs");
    let path = format!("PATH={}:{}", bin.display(), std::env::var("PATH").expect("a PATH"));
    let uv = format!("UV_CACHE_DIR={}", root().join("target/tools/uv").display());
    let modules = format!("PYTHONPATH={}", root().join("crates/cli/tests/clients").display());
    let file = "verifiers_agent.py";
    let mine = ("my_environment import MyTaskset", "verifiers_sums import Sums as MyTaskset");
    trains(&["env", "PYTHONDONTWRITEBYTECODE=1", &path, &uv, &modules, &python, file], file, &[mine]);
}

#[test]
fn a_program_with_ai_trains() {
    if !is_wanted() {
        return;
    }
    let folder = root().join("target/tools/ai-page-7.0.173");
    let mut npm = Command::new("npm");
    npm.args(["install", "--silent", "--no-save", "--prefix", arg(&folder)]);
    let installed = ran(npm.args(["ai@7.0.173", "@ai-sdk/openai-compatible@3.0.92"]), "");
    assert_eq!(installed.code, Some(0), "{}", installed.stderr);
    let program = folder.join("ai_agent.mjs");
    let text = page().into_iter().find(|block| block.language == "js").expect("a program").text;
    std::fs::write(&program, text).expect("a file");
    trains(&["node", arg(&program)], "ai_agent.mjs", &[]);
}

/// Writes the Python programs of the page into a folder.
pub(crate) fn write_programs(folder: &Path) {
    for block in page().iter().filter(|block| block.language == "py") {
        std::fs::write(folder.join(block.file_name().expect("a name")), &block.text).expect("a file");
    }
}

fn page() -> Vec<Block> {
    blocks(&read(PAGE))
}

#[test]
fn run_files_of_the_page_are_read_and_its_programs_are_short() {
    let folder = scratch::scratch(PAGE);
    let mut files = 0;
    for block in page() {
        let lines = block.text.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")).count();
        assert!(lines <= 10, "{lines} lines:\n{}", block.text);
        if block.language == "toml" {
            files += 1;
            let file = folder.path().join(block.file_name().expect("a name"));
            let read = ran(Command::new(BINARY).args(["config", arg(&file)]).current_dir(root()), "");
            assert_eq!(read.code, Some(0), "{}", read.stderr);
        }
    }
    assert_eq!(files, 2);
}
