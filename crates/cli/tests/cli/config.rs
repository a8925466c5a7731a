//! `turnwise config`, `--dry-run`, `doctor`.

use std::process::Command;

use serde_json::Value;

use crate::binary::{BINARY, arg, ran, root, turnwise};

#[test]
fn the_resolved_config_reads_back_to_itself() {
    let folder = tempfile::tempdir().unwrap();
    let resolved = turnwise(&["config", "configs/tiny.toml", "--set", "advantage.grpo.ddof=0"], "");
    assert_eq!((resolved.code, resolved.stderr.as_str()), (Some(0), ""));
    assert!(resolved.stdout.contains("[advantage.grpo]\n"), "{}", resolved.stdout);
    assert!(!resolved.stdout.contains("gtpo"), "another variant replaces the first");
    let path = folder.path().join("resolved.toml");
    std::fs::write(&path, &resolved.stdout).unwrap();
    assert_eq!(turnwise(&["train", arg(&path), "--dry-run"], "").stdout, resolved.stdout);
    let json: Value = turnwise(&["config", arg(&path), "--json"], "").json();
    assert_eq!(json["advantage"]["grpo"]["ddof"], 0);
    assert_eq!(json["model"], "models/tiny", "paths stay relative to the current directory");
    let score: Value = turnwise(&["config", "--for", "score", "--json"], "").json();
    assert_eq!(score["advantage"]["gtpo"]["gamma"], 0.9);
}

#[test]
fn overlays_lie_between_the_file_and_the_sets() {
    let folder = tempfile::tempdir().unwrap();
    let overlay = folder.path().join("overlay.toml");
    std::fs::write(&overlay, "[train]\nsteps = 5\nseed = 6\n").unwrap();
    let args = ["config", "configs/tiny.toml", "--json", "--set", "train.seed=7", "--overlay", arg(&overlay)];
    let json: Value = turnwise(&args, "").json();
    assert_eq!((&json["train"]["steps"], &json["train"]["seed"]), (&5.into(), &7.into()));
}

#[test]
fn every_shipped_config_resolves() {
    for entry in std::fs::read_dir(root().join("configs")).unwrap() {
        let path = entry.unwrap().path();
        let kinds = ["train", "sft"].map(|kind| turnwise(&["config", arg(&path), "--for", kind], "").code);
        assert!(kinds.contains(&Some(0)), "{}", path.display());
    }
}

#[test]
fn the_schema_knows_the_keys_and_requires_what_is_required() {
    let schema: Value = serde_json::from_str(&turnwise(&["config", "--schema"], "").stdout).unwrap();
    assert_eq!(schema["required"], serde_json::json!(["model", "env"]));
    assert_eq!(schema["$defs"]["Gtpo"]["properties"]["gamma"]["type"], "number");
    let sft: Value =
        serde_json::from_str(&turnwise(&["config", "--schema", "--for", "sft"], "").stdout).unwrap();
    assert!(sft["properties"]["batch"].is_object());
    turnwise(&["config", "--schema", "--for", "score"], "").fails(2, &["--schema: there is one for train"]);
}

#[test]
fn doctor_says_what_there_is() {
    let found: Value = turnwise(&["doctor", "--json"], "").json();
    assert_eq!(found["version"], env!("CARGO_PKG_VERSION"));
    assert!(!found["devices"].as_array().unwrap().is_empty());
    let first = &found["checks"][0];
    assert_eq!(first["device"], found["devices"][0]);
    assert_eq!(first["found"]["dtypes"][0], "f32", "{first}");
    assert_eq!(found["executor"]["backend"], "python");
    assert!(found["precisions"].as_array().unwrap().contains(&"f32".into()), "{found}");
    assert!(found["memory_left"].as_u64().unwrap() > 0 && found["run"].is_null(), "{found}");
    let run: Value = turnwise(&["doctor", "--config", "configs/tiny.toml", "--json"], "").json();
    assert_eq!(
        run["run"]["moments"].as_u64(),
        run["run"]["weights"].as_u64().map(|bytes| 2 * bytes),
        "{run}"
    );
    turnwise(&["doctor", "--device", "tpu"], "").fails(2, &["device \"tpu\" is not available"]);
    // The environment names a device where no argument does.
    let asked = |name: &str| {
        let mut doctor = Command::new(BINARY);
        // Without a driver, wgpu has no adapter.
        doctor.args(["doctor", "--json"]).env("BURN_DEVICE", name).env("VK_DRIVER_FILES", "/nonexistent");
        doctor.env("__EGL_VENDOR_LIBRARY_FILENAMES", "/nonexistent");
        ran(doctor.env("VK_ICD_FILENAMES", "/nonexistent").current_dir(root()), "")
    };
    asked("tpu").fails(2, &["device \"tpu\" is not available"]);
    if cfg!(target_os = "linux") && found["devices"].as_array().unwrap().contains(&"wgpu".into()) {
        let refused: Value = asked("wgpu").json();
        assert_eq!(
            (&refused["device"], refused["precisions"].as_array().map(Vec::len)),
            (&"wgpu".into(), Some(0))
        );
        assert!(
            refused["device_error"].as_str().unwrap().contains("cannot be used on this machine"),
            "{refused}"
        );
    }
    let table = turnwise(&["doctor"], "");
    assert_eq!((table.code, table.stdout.as_str()), (Some(0), ""));
    assert!(table.stderr.contains("executor   python"), "{}", table.stderr);
}

#[test]
fn a_file_that_a_command_cannot_use_is_wrong_usage_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    let agent = "[env.agent]\ncommand = [\"true\"]\ntrain = \"t\"\nheld_out = \"h\"\n";
    let qa = "[env.qa]\ntrain = \"t\"\nheld_out = \"h\"\n";
    let run = |env: &str| format!("model = \"models/tiny\"\n{env}");
    let sft = |env: &str| format!("model.folder = \"models/tiny\"\nsteps = 1\nbatch = 1\n{env}");
    let with_data = format!("{}[data]\nfile = \"d\"\n", sft(agent));
    let out = folder.path().join("out");
    let (rollout, dry) = (["rollout", "--config", arg(&path)], ["sft", arg(&path), "--dry-run"]);
    let local = [&rollout[..], &["--model", "models/tiny"]].concat();
    let remote = [&rollout[..], &["--endpoint", "http://127.0.0.1:9/v1", "--name", "m"]].concat();
    let tune = ["sft", arg(&path), "--out", arg(&out)];
    let by_itself = "x.toml:2: `env.agent` is a program that plays by itself";
    let no_demonstrations = "writes no demonstrations\n  hint: env.arithmetic";
    for (args, file, said) in [
        (&local[..], run(agent), by_itself),
        (&remote[..], run(agent), by_itself),
        (&tune[..], sft(agent), no_demonstrations),
        (&tune[..], sft(qa), "x.toml:4: `env.qa` writes no demonstrations"),
        (&dry[..], sft(qa), no_demonstrations),
        (&tune[..], with_data, "x.toml:4: `env.agent` is a program that plays by itself"),
        (&["doctor", "--server", arg(&path)][..], run(qa), "`rollout.server` is missing"),
        (&dry[..], run(qa), "for `model`"),
        (&["train", arg(&path), "--dry-run"][..], sft(qa), "x.toml:"),
        (&["score", "--config", arg(&path)][..], sft(qa), "x.toml:"),
        (&["eval", "--model", "models/tiny", "--config", arg(&path)][..], sft(qa), "x.toml:"),
        (&["chat", "--model", "models/tiny", "--config", arg(&path)][..], sft(qa), "x.toml:"),
    ] {
        std::fs::write(&path, file).unwrap();
        turnwise(args, "").fails(2, &[said]);
        assert!(!out.exists(), "{args:?} writes nothing");
    }
}
