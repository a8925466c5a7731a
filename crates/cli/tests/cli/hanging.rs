//! Programs of environments and servers of tools that hang when the run is killed.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::binary::{BINARY, arg, root};
use crate::resume::signal;
use crate::runs::wait;

/// A program that writes its number, and never reads its stdin again once `hangs` is there. It begins as an
/// environment and a server of MCP. As a checker and as an agent it hangs from its start on.
const PROGRAM: &str = r#"
import json, os, subprocess, sys, time
numbers, hangs, place = sys.argv[1:]
child = subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL)
with open(numbers, "a") as file:
    file.write(f"{os.getpid()}\n{child.pid}\n")
def hang():
    open(hangs, "w").close()
    while True: time.sleep(1000)
if "command]" in place or "agent]" in place:
    hang()
task = {"task": "a", "messages": [{"role": "user", "content": "?"}]}
answers = {
    "describe": {"train": 1, "held_out": 1},
    "reset": task,
    "close": {},
    "initialize": {"protocolVersion": "2025-11-25", "capabilities": {}},
}
for line in sys.stdin:
    request = json.loads(line)
    method = request["method"]
    if method in ("step", "tools/list"):
        hang()
    if method in answers:
        version = {"jsonrpc": "2.0"} if method == "initialize" else {}
        print(json.dumps({**version, "id": request["id"], "result": answers[method]}), flush=True)
"#;

/// Returns whether any of the processes whose numbers are in the file runs.
pub(crate) fn lives(file: &Path) -> bool {
    let numbers = std::fs::read_to_string(file).unwrap();
    assert!(!numbers.is_empty());
    numbers.lines().any(|number| {
        let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    })
}

#[test]
fn a_run_that_is_killed_takes_programs_with_it_that_hang() {
    let tasks = "train='crates/envs/examples/checker/train.jsonl'\n\
                 held_out='crates/envs/examples/checker/held_out.jsonl'";
    let checker = format!("[env.command]\n{tasks}\ncheck");
    let agent = format!("[env.agent]\n{tasks}\ncommand");
    for place in ["[env.process]\ncommand", "[env.arithmetic]\n[tools.odd]\nmcp", &checker, &agent] {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let (numbers, hangs) = (file("numbers"), file("hangs"));
        let command = json!(["python3", "-c", PROGRAM, arg(&numbers), arg(&hangs), place]);
        let tiny = "model = \"models/tiny\"\nrollout.describe_tools = false\nrollout.max_turn_tokens = 8\n";
        std::fs::write(file("run.toml"), format!("{tiny}{place} = {command}\n")).unwrap();
        let mut run = Command::new(BINARY);
        run.args(["train", arg(&file("run.toml")), "--run", arg(&file("run"))]).current_dir(root());
        let stderr = std::fs::File::create(file("stderr")).unwrap();
        let mut run = run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
        wait("a program that hangs", || hangs.exists());
        assert!(lives(&numbers));
        signal(&run, "KILL");
        run.wait().unwrap();
        wait("the program's end", || !lives(&numbers));
    }
}
