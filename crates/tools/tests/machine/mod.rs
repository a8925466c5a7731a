//! What the tests look at from outside: processes and files.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Command lines of this process's children, zygotes included.
pub(crate) fn children() -> Vec<String> {
    let own = std::process::id();
    let mut found = Vec::new();
    for task in fs::read_dir(format!("/proc/{own}/task")).unwrap().flatten() {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for pid in children.split_whitespace() {
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            found.push(format!("{pid} {}", String::from_utf8_lossy(&command).replace('\0', " ")));
        }
    }
    found
}

/// As [`children`], without the zygotes: those that are waiting for work in the control socket's `recvmsg`.
#[allow(dead_code, reason = "each test binary uses its part of this module")]
pub(crate) fn children_besides_zygotes() -> Vec<String> {
    let is_zygote = |line: &String| {
        let pid = line.split(' ').next().unwrap_or_default();
        // A zygote's standard input is a socket; a child's is /dev/null.
        fs::read_link(format!("/proc/{pid}/fd/0"))
            .map_or(true, |target| target.to_string_lossy().starts_with("socket:"))
    };
    children().into_iter().filter(|line| !is_zygote(line)).collect()
}

/// What a program might have left in the places where anyone may write.
#[allow(dead_code, reason = "each test binary uses its part of this module")]
pub(crate) fn files_of_interest() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = ["/tmp", "/var/tmp", "/dev/shm"]
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .filter(|path| path.to_string_lossy().contains("turnwise-hostile"))
        .collect();
    found.sort();
    found
}

/// Runs one test of this binary as the user `nobody`, if this is root; an ordinary user has run it already.
#[allow(dead_code, reason = "each test binary uses its part of this module")]
pub(crate) fn again_as_nobody(test: &str) {
    // The binary may lie in a folder that nobody else may enter.
    let folder = tempfile::Builder::new().prefix("turnwise-tests").tempdir().unwrap();
    let is_root =
        fs::metadata(folder.path()).map(|meta| std::os::unix::fs::MetadataExt::uid(&meta)).unwrap() == 0;
    if !is_root {
        return;
    }
    let copy = folder.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let open = |path: &std::path::Path| {
        let everyone = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
        fs::set_permissions(path, everyone).unwrap();
    };
    open(folder.path());
    open(&copy);
    let mut command = Command::new(&copy);
    command
        .args(["--exact", test, "--nocapture"])
        .current_dir("/")
        .env("PATH", "/usr/local/bin:/usr/bin:/bin");
    let nobody = 65534;
    std::os::unix::process::CommandExt::uid(&mut command, nobody);
    std::os::unix::process::CommandExt::gid(&mut command, nobody);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "as nobody: {said}");
    assert!(said.contains("1 passed"), "as nobody: {said}");
}
