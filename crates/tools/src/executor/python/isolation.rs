//! Which layers of isolation hold, and whether that's enough.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, Scope,
};
use serde::Deserialize;

use super::config::Isolation;

/// What a child says about itself before its first cell: the errno of each layer, 0 where it holds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Hello {
    #[serde(flatten)]
    layers: Layers,
    /// Its own process id: 1 in a pid namespace of its own.
    pid: i32,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Layers {
    rlimits: i32,
    seccomp: Option<i32>,
    landlock: Option<i32>,
    /// The scratch space, if one is asked for: not a layer, but nothing runs without it either.
    #[serde(default)]
    scratch: Option<i32>,
}

impl Hello {
    /// Why there's no scratch space although one is asked for.
    pub(super) fn no_scratch(&self) -> Option<std::io::Error> {
        self.layers.scratch.filter(|code| *code != 0).map(std::io::Error::from_raw_os_error)
    }
}

/// What was found out while starting.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Found {
    /// Root was given up; false also if there was none to give up.
    pub(super) dropped_root: bool,
    /// Why there are no new namespaces.
    pub(super) no_namespaces: Option<String>,
    /// Why there's no landlock ruleset.
    pub(super) no_landlock: Option<String>,
    /// Why there are no seccomp programs.
    pub(super) no_seccomp: Option<String>,
}

/// The layers of every child of an executor. A child that has fewer is a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Achieved {
    /// What each child must say.
    pub(super) hello: Hello,
    /// The layers that hold.
    pub(super) holds: Vec<String>,
    /// Those that don't, with the reason.
    pub(super) missing: Vec<String>,
    /// What that amounts to.
    pub(super) level: Isolation,
}

impl Achieved {
    pub(super) fn new(found: &Found, hello: Hello) -> Self {
        let errno = |name: &str, code: i32| match code {
            0 => Ok(()),
            code => Err(format!("{name}: {}", std::io::Error::from_raw_os_error(code))),
        };
        let layer = |name: &str, unavailable: &Option<String>, code: Option<i32>| match (unavailable, code) {
            (Some(reason), _) => Err(format!("{name}: {reason}")),
            (None, Some(code)) => errno(name, code),
            (None, None) => Err(format!("{name}: not applied")),
        };
        let own_pid = if hello.pid == 1 { Ok(()) } else { Err("pid_namespace: not permitted".to_string()) };
        let layers = [
            ("rlimits", errno("rlimits", hello.layers.rlimits)),
            ("seccomp", layer("seccomp", &found.no_seccomp, hello.layers.seccomp)),
            ("landlock", layer("landlock", &found.no_landlock, hello.layers.landlock)),
            ("namespaces", layer("namespaces", &found.no_namespaces, Some(0))),
            ("pid_namespace", own_pid),
        ];
        let level = match layers.iter().take_while(|(_, result)| result.is_ok()).count() {
            5 => Isolation::Full,
            3 | 4 => Isolation::Files,
            2 => Isolation::Syscalls,
            _ => Isolation::None,
        };
        let mut holds: Vec<String> =
            layers.iter().filter(|(_, result)| result.is_ok()).map(|(name, _)| (*name).to_string()).collect();
        if found.dropped_root {
            holds.push("dropped_root".into());
        }
        let missing = layers.into_iter().filter_map(|(_, result)| result.err()).collect();
        Self { hello, holds, missing, level }
    }
}

/// A ruleset that allows reading `readable` and nothing else in the file system, no TCP, and no signals or
/// abstract sockets to the outside.
pub(super) fn landlock_ruleset(readable: &[PathBuf]) -> Result<OwnedFd, String> {
    build_ruleset(readable)
        .map_err(|error| error.to_string())?
        .ok_or_else(|| "not supported by this kernel".to_string())
}

fn build_ruleset(readable: &[PathBuf]) -> Result<Option<OwnedFd>, RulesetError> {
    // What this kernel doesn't know of the newest version is left out; the first version holds all that
    // `Isolation::Files` promises.
    let newest = ABI::V6;
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(newest))?
        .handle_access(AccessNet::from_all(newest))?
        .scope(Scope::from_all(newest))?
        .create()?;
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

    fn check(
        rlimits: i32,
        seccomp: Option<i32>,
        landlock: Option<i32>,
        pid: i32,
        found: &Found,
        level: Isolation,
    ) {
        let hello = Hello { layers: Layers { rlimits, seccomp, landlock, scratch: None }, pid };
        let achieved = Achieved::new(found, hello);
        assert_eq!(achieved.level, level, "{achieved:?}");
    }

    #[test]
    fn a_level_holds_only_with_every_layer_below_it() {
        let all = Found::default();
        let no_namespaces = Found { no_namespaces: Some("denied".into()), ..Found::default() };
        check(0, Some(0), Some(0), 1, &all, Isolation::Full);
        check(0, Some(0), Some(0), 77, &all, Isolation::Files);
        check(0, Some(0), Some(0), 77, &no_namespaces, Isolation::Files);
        check(0, Some(0), None, 1, &all, Isolation::Syscalls);
        check(0, Some(0), Some(95), 1, &all, Isolation::Syscalls);
        check(0, Some(22), Some(0), 1, &all, Isolation::None);
        check(1, Some(0), Some(0), 1, &all, Isolation::None);
    }
}
