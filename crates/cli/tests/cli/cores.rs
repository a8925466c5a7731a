//! Bytes of a run on one core and on several.

use std::process::Command;

use crate::binary::{Ran, ran};
use crate::runs::{Runs, same};

/// The first core that this process may use, as `taskset` names it.
fn first_core() -> String {
    let status = std::fs::read_to_string("/proc/self/status").expect("the status of a process");
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("its cores");
    allowed.trim().split([',', '-']).next().expect("a core").to_owned()
}

/// Trains on one core.
fn alone(runs: &Runs, name: &str, more: &[&str]) -> Ran {
    let whole = runs.command(name, more);
    let mut command = Command::new("taskset");
    command.args(["-c", &first_core()]).arg(whole.get_program()).args(whole.get_args());
    ran(command.current_dir(whole.get_current_dir().expect("the project's folder")), "")
}

#[test]
fn with_shards_the_bytes_of_a_run_do_not_depend_on_its_cores() {
    let cores = std::thread::available_parallelism().expect("a number of cores").get();
    assert!(cores > 1 || std::env::var_os("TURNWISE_TEST_NO_SKIPS").is_none(), "there is one core only");
    for (name, lora) in [("full", None), ("lora", Some("optimizer.lora.rank=2"))] {
        let runs = Runs::new();
        let mut more = vec!["--set", "optimizer.shards=4", "--set", "optimizer.micro_batch_tokens=512"];
        more.extend(lora.into_iter().flat_map(|set| ["--set", set]));
        runs.finishes("all", &more);
        let one = alone(&runs, "one", &more);
        assert_eq!(one.code, Some(0), "{name}: {}", one.stderr);
        same(&runs.path("one"), &runs.path("all"));
    }
}
