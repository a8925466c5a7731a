//! Decides which layers of isolation hold, and the level that they reach.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, Scope,
};
use serde::Deserialize;

use super::config::Isolation;
use super::sys;

/// Reports a child's layers before its first cell: the errno of each, 0 where it holds.
///
/// The report is the same for all children of an executor, so a child that sends another one is a fault.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Hello {
    rlimits: i32,
    seccomp: Option<i32>,
    landlock: Option<i32>,
    /// Absent without namespaces.
    pid_namespace: Option<i32>,
    /// Whether the supervisor is asked before each thread. Otherwise code can start none.
    threads: Option<i32>,
    /// Whether the kernel ends children first when memory runs out.
    oom_score: i32,
    /// The scratch space, if one is asked for. It isn't a layer, but nothing runs without it.
    #[serde(default)]
    scratch: Option<i32>,
}

impl Hello {
    /// Returns the reason why scratch space is missing, if it was asked for.
    pub(super) fn no_scratch(&self) -> Option<io::Error> {
        self.scratch.filter(|code| *code != 0).map(io::Error::from_raw_os_error)
    }

    /// Returns the reason why landlock doesn't hold although there's a ruleset.
    pub(super) fn no_landlock(&self) -> Option<String> {
        self.landlock.filter(|code| *code != 0).map(|code| io::Error::from_raw_os_error(code).to_string())
    }
}

/// Holds the findings while the first zygote starts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Found {
    /// Root was given up. False also where there was none to give up.
    pub(super) dropped_root: bool,
    /// Why root wasn't given up.
    pub(super) kept_root: Option<String>,
    /// Why there are no new namespaces.
    pub(super) no_namespaces: Option<String>,
    /// Why there's no landlock ruleset.
    pub(super) no_landlock: Option<String>,
    /// Why there are no seccomp programs.
    pub(super) no_seccomp: Option<String>,
}

/// Lists the layers of every child of an executor. A child with fewer is a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Achieved {
    /// The report that each child must send.
    pub(super) hello: Hello,
    /// The layers that hold.
    pub(super) holds: Vec<String>,
    /// The layers that don't hold, with the reason.
    pub(super) missing: Vec<String>,
    /// The level that the layers reach.
    pub(super) level: Isolation,
}

impl Achieved {
    pub(super) fn new(found: &Found, hello: Hello) -> Self {
        let holds = |code: i32| match code {
            0 => Ok(()),
            code => Err(io::Error::from_raw_os_error(code).to_string()),
        };
        let layer = |unavailable: &Option<String>, code: Option<i32>| match (unavailable, code) {
            (Some(reason), _) => Err(reason.clone()),
            (None, Some(code)) => holds(code),
            (None, None) => Err("not applied".to_string()),
        };
        let no_threads = |reason: String| format!("{reason}, so code can't start threads");
        let without_namespaces = found.no_namespaces.is_some().then(|| "needs namespaces".to_string());
        // The level is how many of the first five hold.
        let layers = [
            ("rlimits", holds(hello.rlimits)),
            ("seccomp", layer(&found.no_seccomp, hello.seccomp)),
            ("landlock", layer(&found.no_landlock, hello.landlock)),
            ("namespaces", layer(&found.no_namespaces, Some(0))),
            ("pid_namespace", layer(&without_namespaces, hello.pid_namespace)),
            ("threads", layer(&found.no_seccomp, hello.threads).map_err(no_threads)),
            ("oom_score", holds(hello.oom_score)),
            ("dropped_root", found.kept_root.clone().map_or(Ok(()), Err)),
        ];
        let level = match layers.iter().take(5).take_while(|(_, result)| result.is_ok()).count() {
            5 => Isolation::Full,
            3 | 4 => Isolation::Files,
            2 => Isolation::Syscalls,
            _ => Isolation::None,
        };
        let there = |name: &str| name != "dropped_root" || found.dropped_root;
        let (mut holds, mut missing) = (Vec::new(), Vec::new());
        for (name, result) in layers {
            match result {
                Ok(()) if there(name) => holds.push(name.to_string()),
                Ok(()) => {}
                Err(reason) => missing.push(format!("{name}: {reason}")),
            }
        }
        Self { hello, holds, missing, level }
    }
}

/// Returns a ruleset that allows reading `readable` and nothing else in the file system. It denies TCP, and
/// signals and abstract sockets to the outside. `newest` is the last version of landlock that it uses.
pub(super) fn landlock_ruleset(readable: &[PathBuf], newest: i32) -> Result<OwnedFd, String> {
    match sys::landlock_version().map(|version| version.min(newest)) {
        Ok(version @ 1..) => build_ruleset(readable, ABI::from(version).min(NEWEST))
            .map_err(|error| error.to_string())?
            .ok_or_else(|| "not supported by this kernel".to_string()),
        Ok(_) => Err("not supported by this kernel".into()),
        // The error number tells a missing, a disabled and a denied landlock apart.
        Err(error) => Err(error.to_string()),
    }
}

/// The newest version whose rights are known here. The first one holds all that [`Isolation::Files`]
/// promises, and seccomp denies what later ones add.
const NEWEST: ABI = ABI::V6;

fn build_ruleset(readable: &[PathBuf], version: ABI) -> Result<Option<OwnedFd>, RulesetError> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(version))?;
    let (network, scopes) = (AccessNet::from_all(version), Scope::from_all(version));
    if !network.is_empty() {
        ruleset = ruleset.handle_access(network)?;
    }
    if !scopes.is_empty() {
        ruleset = ruleset.scope(scopes)?;
    }
    let mut ruleset = ruleset.create()?;
    let folder = AccessFs::ReadFile | AccessFs::ReadDir;
    for path in readable {
        let Ok(fd) = PathFd::new(path) else { continue };
        let access = if path.is_dir() { folder } else { AccessFs::ReadFile.into() };
        ruleset = ruleset.add_rule(PathBeneath::new(fd, access))?;
    }
    if let Ok(null) = PathFd::new("/dev/null") {
        ruleset = ruleset.add_rule(PathBeneath::new(null, AccessFs::ReadFile | AccessFs::WriteFile))?;
    }
    Ok(ruleset.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Hello = Hello {
        rlimits: 0,
        seccomp: Some(0),
        landlock: Some(0),
        pid_namespace: Some(0),
        threads: Some(0),
        oom_score: 0,
        scratch: None,
    };

    fn check(hello: Hello, found: &Found, level: Isolation, missing: &[&str]) {
        let achieved = Achieved::new(found, hello);
        assert_eq!(achieved.level, level, "{achieved:?}");
        assert_eq!(achieved.missing, missing);
    }

    #[test]
    fn a_level_holds_only_with_every_layer_below_it() {
        let all = Found::default();
        let denied = "Operation not permitted (os error 1)";
        let no_namespaces = Found { no_namespaces: Some("unshare: denied".into()), ..Found::default() };
        check(ALL, &all, Isolation::Full, &[]);
        let no_pid = [format!("pid_namespace: {denied}")];
        check(Hello { pid_namespace: Some(1), ..ALL }, &all, Isolation::Files, &[&no_pid[0]]);
        check(
            Hello { pid_namespace: None, ..ALL },
            &no_namespaces,
            Isolation::Files,
            &["namespaces: unshare: denied", "pid_namespace: needs namespaces"],
        );
        check(Hello { landlock: None, ..ALL }, &all, Isolation::Syscalls, &["landlock: not applied"]);
        let no_landlock = [format!("landlock: {denied}")];
        check(Hello { landlock: Some(1), ..ALL }, &all, Isolation::Syscalls, &[&no_landlock[0]]);
        let no_seccomp = [format!("seccomp: {denied}")];
        check(Hello { seccomp: Some(1), ..ALL }, &all, Isolation::None, &[&no_seccomp[0]]);
        let no_rlimits = [format!("rlimits: {denied}")];
        check(Hello { rlimits: 1, ..ALL }, &all, Isolation::None, &[&no_rlimits[0]]);
    }

    #[test]
    fn what_is_no_part_of_a_level_is_reported_with_its_reason() {
        let found = Found { kept_root: Some("setresuid: denied".into()), ..Found::default() };
        check(
            Hello { threads: Some(libc::EBUSY), oom_score: libc::ENOENT, ..ALL },
            &found,
            Isolation::Full,
            &[
                "threads: Device or resource busy (os error 16), so code can't start threads",
                "oom_score: No such file or directory (os error 2)",
                "dropped_root: setresuid: denied",
            ],
        );
    }
}
