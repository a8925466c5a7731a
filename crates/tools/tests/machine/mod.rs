//! Checks state from outside, processes and files, and sets up the conditions of tests.

#[allow(dead_code, reason = "each test binary uses its part of this module")]
pub(crate) mod python;
#[allow(dead_code, reason = "each test binary uses its part of this module")]
pub(crate) mod setting;

use std::fs;
use std::path::PathBuf;

/// Returns the command lines of this process's children, zygotes included.
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

/// Works as [`children`], without the zygotes: those that wait for work in the control socket's `recvmsg`.
#[allow(dead_code, reason = "each test binary uses its part of this module")]
pub(crate) fn children_besides_zygotes() -> Vec<String> {
    let is_zygote = |line: &String| {
        let pid = line.split(' ').next().unwrap_or_default();
        // A zygote's standard input is a socket, and a child's is /dev/null.
        fs::read_link(format!("/proc/{pid}/fd/0"))
            .map_or(true, |target| target.to_string_lossy().starts_with("socket:"))
    };
    children().into_iter().filter(|line| !is_zygote(line)).collect()
}

/// Returns the files that a program may have left in folders where anyone may write.
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
