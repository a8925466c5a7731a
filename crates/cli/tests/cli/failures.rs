//! Bad input to whole runs: one clear line, exit status 1 or 2, no panic, nothing written.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::binary::{BINARY, Ran, arg, ran, root, turnwise};
use crate::model::{copy, llama, with_tokenizer};

/// A run file in a temporary folder, and the run directory that must not appear.
struct Attempt {
    _folder: TempDir,
    config: PathBuf,
    run: PathBuf,
}

impl Attempt {
    fn new(model: &Path, rest: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (config, run) = (folder.path().join("x.toml"), folder.path().join("run"));
        std::fs::write(&config, format!("model = {:?}\n{rest}", arg(model))).unwrap();
        Self { _folder: folder, config, run }
    }

    #[track_caller]
    fn fails(&self, code: i32, parts: &[&str]) {
        self.train().fails(code, parts);
        assert!(!self.run.exists(), "nothing is written");
    }

    fn train(&self) -> Ran {
        turnwise(&["train", arg(&self.config), "--run", arg(&self.run)], "")
    }
}

const ENV: &str = "[env.arithmetic]\nlevels = [2]\n";

#[test]
fn a_typo_in_a_config() {
    let attempt = Attempt::new(&llama(), &format!("{ENV}[optimizer]\nlerning_rate = 1e-3\n"));
    attempt.fails(2, &["x.toml:5: unknown key `lerning_rate`", "hint: did you mean `lr`?"]);
    Attempt::new(&llama(), &format!("{ENV}[train]\nsteps = \"ten\"\n"))
        .fails(2, &["x.toml:5: `train.steps` is string \"ten\", expected a whole number"]);
    turnwise(&["train", "no-such.toml"], "").fails(2, &["no-such.toml: cannot read: No such file"]);
}

#[test]
fn a_cache_too_small_for_one_trajectory() {
    let said = [
        "one trajectory of ",
        "rollout.cache_mib allows 0.0 MiB",
        "hint: raise rollout.cache_mib to at least 1",
    ];
    Attempt::new(&root().join("models/tiny"), &format!("{ENV}[rollout]\ncache_mib = 0\n")).fails(1, &said);
    let out = tempfile::tempdir().unwrap();
    let out = out.path().join("model");
    turnwise(&["sft", "configs/tiny-sft.toml", "--set", "rollout.cache_mib=0", "--out", arg(&out)], "")
        .fails(1, &said);
    assert!(!out.exists());
}

#[test]
fn a_missing_model_folder() {
    Attempt::new(Path::new("no/such/model"), ENV)
        .fails(1, &["no/such/model/config.json: No such file", "hint: "]);
    for command in ["logprobs", "generate"] {
        turnwise(&[command, "--model", "no/such/model", "--tokens", "[1]"], "")
            .fails(1, &["no/such/model/config.json"]);
    }
}

#[test]
fn a_truncated_safetensors_file() {
    let folder = with_tokenizer();
    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    for keep in [0, 7, 100, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..keep]).unwrap();
        let parts = [
            &format!("model.safetensors: not a whole safetensors file ({keep} bytes)"),
            "hint: was it cut off",
        ];
        Attempt::new(folder.path(), ENV).fails(1, &parts);
        turnwise(&["logprobs", "--model", arg(folder.path()), "--tokens", "[1]"], "").fails(1, &parts);
    }
}

#[test]
fn a_model_without_its_tokenizer() {
    Attempt::new(copy().path(), ENV).fails(1, &["tokenizer.json", "hint: "]);
}

#[test]
fn a_run_that_exists_is_not_written_over() {
    let attempt = Attempt::new(with_tokenizer().path(), ENV);
    std::fs::create_dir(&attempt.run).unwrap();
    let config = attempt.run.join("config.toml");
    std::fs::write(&config, "precious").unwrap();
    let model = with_tokenizer();
    let args = ["train", arg(&attempt.config), "--run", arg(&attempt.run)];
    let set = format!("model={}", arg(model.path()));
    turnwise(&[&args[..], &["--set", &set]].concat(), "").fails(1, &["exists already", "hint: "]);
    assert_eq!(std::fs::read_to_string(&config).unwrap(), "precious");
    assert_eq!(std::fs::read_dir(&attempt.run).unwrap().count(), 1);
}

/// The binary with no program to be found.
fn without_programs(args: &[&str]) -> Ran {
    let empty = tempfile::tempdir().unwrap();
    ran(Command::new(BINARY).args(args).env("PATH", empty.path()).current_dir(root()), "print(1)")
}

#[test]
fn a_missing_python() {
    without_programs(&["exec"]).fails(1, &["python3", "hint: "]);
    let model = with_tokenizer();
    let attempt = Attempt::new(model.path(), ENV);
    let args = ["train", arg(&attempt.config), "--run", arg(&attempt.run)];
    without_programs(&args).fails(1, &["python3", "hint: "]);
    assert!(!attempt.run.exists(), "nothing is written");
    let doctor = without_programs(&["doctor"]);
    assert!(doctor.code == Some(0) && doctor.stderr.contains("python3"), "{}", doctor.stderr);
}

/// Denies `landlock_create_ruleset`, then becomes the command: a machine on which files can't be closed off.
const WITHOUT_LANDLOCK: &str = r#"
import ctypes, os, struct, sys
def op(code, jt, jf, k):
    return struct.pack("HBBI", code, jt, jf, k)
program = (op(0x20, 0, 0, 0)            # load the number of the call
           + op(0x15, 0, 1, 444)        # landlock_create_ruleset, on every architecture
           + op(0x06, 0, 0, 0x00050001) # EPERM
           + op(0x06, 0, 0, 0x7fff0000))
code = ctypes.create_string_buffer(program)
filter = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.c_char_p(filter), 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execv(sys.argv[1], sys.argv[1:])
"#;

#[test]
fn no_permission_to_sandbox() {
    let model = with_tokenizer();
    let attempt = Attempt::new(model.path(), ENV);
    let denied = |args: &[&str]| {
        let mut command = Command::new("python3");
        command.args(["-c", WITHOUT_LANDLOCK, BINARY]).args(args).current_dir(root());
        ran(&mut command, "print(1)")
    };
    let parts = ["landlock", "hint: "];
    denied(&["exec"]).fails(1, &parts);
    denied(&["train", arg(&attempt.config), "--run", arg(&attempt.run)]).fails(1, &parts);
    assert!(!attempt.run.exists(), "nothing is written");
    let doctor = denied(&["doctor"]);
    assert_eq!(doctor.code, Some(0), "{}", doctor.stderr);
    for part in [
        "refused    executor python: isolation files is demanded",
        "missing    landlock: ",
        "hint       needs Linux",
    ] {
        assert!(doctor.stderr.contains(part), "{part:?} is not in\n{}", doctor.stderr);
    }
}

#[test]
fn an_unknown_device() {
    turnwise(&["logprobs", "--model", arg(&llama()), "--tokens", "[1]", "--device", "tpu"], "")
        .fails(2, &["device \"tpu\" is not available", "hint: "]);
}
#[test]
fn a_dataset_with_a_broken_line() {
    let (model, folder) = (with_tokenizer(), tempfile::tempdir().unwrap());
    let good = "{\"question\": \"1 + 1?\", \"answer\": \"#### 2\"}\n";
    let (train, held_out) = (folder.path().join("train.jsonl"), folder.path().join("test.jsonl"));
    std::fs::write(&held_out, good.replace("1 + 1", "2 + 2")).unwrap();
    let env = format!("[env.qa]\ntrain = {:?}\nheld_out = {:?}\n", arg(&train), arg(&held_out));
    for broken in [
        "{\"question\": \"2 +",
        "{\"question\": \"2 + 3?\"}",
        "{\"question\": \"x\", \"answer\": \"#### two\"}",
    ] {
        std::fs::write(&train, format!("{good}{broken}\n")).unwrap();
        Attempt::new(model.path(), &env).fails(1, &["train.jsonl:2: "]);
    }
    std::fs::remove_file(&train).unwrap();
    Attempt::new(model.path(), &env).fails(1, &["train.jsonl: No such file", "hint: "]);
}

#[test]
fn a_part_to_train_that_is_not_there() {
    for (optimizer, message) in [
        ("freeze = [\"model.embed.*\"]", "optimizer.freeze: \"model.embed.*\" names no parameter"),
        ("lora.targets = [\"qproj\"]", "optimizer.lora.targets: \"qproj\" is no linear layer of a block"),
    ] {
        Attempt::new(with_tokenizer().path(), &format!("{ENV}[optimizer]\n{optimizer}\n"))
            .fails(1, &[message, "hint: "]);
    }
}

/// A key of the run file is named with its line, whichever environment reads it.
#[test]
fn a_command_or_an_address_that_names_nothing() {
    let tiny = root().join("models/tiny");
    let files = "train = \"a.jsonl\"\nheld_out = \"b.jsonl\"\n";
    for (env, rest, line, expect) in [
        (
            "process",
            "command = []".to_string(),
            3,
            "`env.process.command` names no program; expected for example",
        ),
        ("process", "command = [\"\"]".to_string(), 3, "`env.process.command` names no program"),
        ("openenv", "command = []".to_string(), 3, "`env.openenv.command` names no program"),
        (
            "openenv",
            "url = \"ftp://a\"".to_string(),
            3,
            "`env.openenv.url` is \"ftp://a\", expected an address",
        ),
        ("command", format!("{files}check = []"), 5, "`env.command.check` names no program"),
        ("agent", format!("{files}command = []"), 5, "`env.agent.command` names no program"),
        ("agent", format!("{files}command = [\"a\"]\ncheck = []"), 6, "`env.agent.check` names no program"),
    ] {
        let attempt = Attempt::new(&tiny, &format!("[env.{env}]\n{rest}\n"));
        attempt.fails(2, &[&format!("x.toml:{line}: {expect}")]);
    }
}
