//! `turnwise train --tui` on a real terminal: a pseudo-terminal that Python opens.

use std::process::Command;

use crate::binary::{BINARY, arg, ran, root, turnwise};

/// Runs a command on a terminal of 120 × 40, types what is named when the picture shows a text, and prints
/// what the terminal was sent; then its exit status, and whether the terminal's settings are those from
/// before.
const ON_A_TERMINAL: &str = r#"
import fcntl, os, pty, select, struct, sys, termios, time
when, keys, command = sys.argv[1].encode(), sys.argv[2].encode(), sys.argv[3:]
ours, theirs = pty.openpty()
fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
before = termios.tcgetattr(theirs)
child = os.fork()
if child == 0:
    os.setsid()
    fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
    for number in (0, 1, 2):
        os.dup2(theirs, number)
    os.execv(command[0], command)
sent, status, start = b"", None, time.time()
while status is None and time.time() - start < 200:
    while select.select([ours], [], [], 0.05)[0]:
        sent += os.read(ours, 65536)
        if keys and when in sent:
            os.write(ours, keys)
            keys = b""
    done, code = os.waitpid(child, os.WNOHANG)
    status = os.waitstatus_to_exitcode(code) if done else None
if status is None:
    os.kill(child, 9)
while select.select([ours], [], [], 0.05)[0]:
    sent += os.read(ours, 65536)
sys.stdout.buffer.write(sent)
print("\nstatus", status, "restored", termios.tcgetattr(theirs) == before)
"#;

fn on_a_terminal(when: &str, keys: &str, args: &[&str]) -> String {
    on_a_terminal_named("xterm", when, keys, args)
}

/// As above, with the terminal's name in `TERM`.
pub(crate) fn on_a_terminal_named(term: &str, when: &str, keys: &str, args: &[&str]) -> String {
    let mut python = Command::new("python3");
    python.args(["-c", ON_A_TERMINAL, when, keys, BINARY]).args(args).current_dir(root());
    python.env("TERM", term);
    let ran = ran(&mut python, "");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.stdout
}

pub(crate) const SMALL: [&str; 10] = [
    "--set",
    "rollout.groups=2",
    "--set",
    "rollout.samples=2",
    "--set",
    "rollout.executor.python.workers=1",
    "--set",
    "eval.tasks=2",
    "--set",
    "train.eval_every=1",
];

#[test]
fn a_run_is_shown_and_q_ends_it_as_ctrl_c_does() {
    for key in ["q", "\x03"] {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let args = ["train", "configs/tiny.toml", "--tui", "--run", arg(&run), "--set", "train.steps=1000"];
        // The task's name stands in the excerpt of the first step.
        let sent = on_a_terminal("arithmetic/train/", key, &[&args[..], &SMALL].concat());
        let end = sent.lines().last().unwrap();
        assert_eq!(end, "status 1 restored True", "{key:?}");
        let (shown, after) = sent.split_once("\x1b[?1049l").expect("the first screen comes back");
        assert!(shown.contains("\x1b[?1049h") && shown.contains("right answers"));
        assert!(after.contains("nothing is lost") && after.contains("hint: the same command"), "{after}");
        assert!(run.join("metrics.jsonl").exists());
    }
}

#[test]
fn a_run_that_fails_or_ends_gives_the_terminal_back() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let args = ["train", "configs/tiny.toml", "--tui", "--run", arg(&run), "--set", "train.steps=1"];
    let args = [&args[..], &SMALL].concat();
    let ended = on_a_terminal("", "", &args);
    assert!(ended.ends_with("status 0 restored True\n"));
    let table = ended.split_once("\x1b[?1049l").unwrap().1;
    assert!(table.contains("held-out accuracy") && table.contains("before: "), "{table}");
    let failed = on_a_terminal("", "", &[&args[..], &["--set", "optimizer.lr=1"]].concat());
    assert!(failed.ends_with("status 1 restored True\n"));
    let told = failed.split_once("\x1b[?1049l").unwrap().1;
    assert!(told.contains("the run was started with another config"), "{told}");
}

#[test]
fn without_a_terminal_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    turnwise(&["train", "configs/tiny.toml", "--tui", "--run", arg(&run)], "")
        .fails(2, &["--tui needs a terminal on stdin and stdout", "hint: "]);
    assert!(!run.exists(), "nothing is written");
    let dumb =
        on_a_terminal_named("dumb", "", "", &["train", "configs/tiny.toml", "--tui", "--run", arg(&run)]);
    assert!(dumb.contains("not TERM=dumb") && dumb.ends_with("status 2 restored True\n"), "{dumb}");
}
