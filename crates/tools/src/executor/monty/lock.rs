//! Locks up the worker. The interpreter offers code no way to the system, and these layers hold if it has a
//! hole.

use std::fs::File;
use std::os::unix::fs::FileExt;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::message::Hello;
use crate::executor::Isolation;

/// Address space beyond the code's memory, for what is reserved and not used.
const SLACK: u64 = 256 << 20;

/// Applies every layer that this system has.
pub(super) fn lock(memory_bytes: u64, version: String) -> Hello {
    // When memory runs out, the kernel ends this process before others. If the write fails, the limits below
    // still hold.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let layers = [("rlimits", limit(memory_bytes)), ("landlock", landlock()), ("seccomp", seccomp())];
    let level =
        if layers.iter().all(|(_, result)| result.is_ok()) { Isolation::Files } else { Isolation::None };
    let mut holds = vec!["interpreter".to_string()];
    let mut missing = Vec::new();
    for (name, result) in layers {
        match result {
            Ok(()) => holds.push(name.into()),
            Err(reason) => missing.push(format!("{name}: {reason}")),
        }
    }
    Hello { version, level, holds, missing }
}

fn limit(memory_bytes: u64) -> Result<(), String> {
    let limits = [
        // The watch stops code at the limit. This limit, twice as high, stops what the watch misses.
        (Resource::As, Resident::open().address_space() + 2 * memory_bytes + SLACK),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
        (Resource::Nofile, 16),
    ];
    for (resource, value) in limits {
        let value = getrlimit(resource).maximum.map_or(value, |max| max.min(value));
        setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn landlock() -> Result<(), String> {
    use landlock::{
        ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetStatus, Scope,
    };
    let apply = || {
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(ABI::V6))?
            .handle_access(AccessNet::from_all(ABI::V6))?
            .scope(Scope::from_all(ABI::V6))?
            .create()?
            .restrict_self()
    };
    let status: Result<_, landlock::RulesetError> = apply();
    match status.map_err(|error| error.to_string())?.ruleset {
        RulesetStatus::NotEnforced => Err("not supported by this kernel".into()),
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
    }
}

#[cfg(target_os = "linux")]
fn seccomp() -> Result<(), String> {
    use crate::executor::seccomp::{Allowed, programs};

    let allowed = Allowed { writes: false, scratch: false, threads: true };
    for program in programs(allowed)? {
        // The watch is another thread.
        seccompiler::apply_filter_all_threads(&program).map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn landlock() -> Result<(), String> {
    Err("a part of Linux".into())
}

#[cfg(not(target_os = "linux"))]
fn seccomp() -> Result<(), String> {
    Err("a part of Linux".into())
}

/// Measures the memory of this process.
#[derive(Debug)]
pub(super) struct Resident(Option<File>);

impl Resident {
    pub(super) fn open() -> Self {
        Self(File::open("/proc/self/statm").ok())
    }

    /// Returns the bytes in memory, or 0 where the system doesn't tell.
    pub(super) fn bytes(&self) -> usize {
        self.pages(1) * rustix::param::page_size()
    }

    fn address_space(&self) -> u64 {
        (self.pages(0) * rustix::param::page_size()) as u64
    }

    fn pages(&self, field: usize) -> usize {
        let mut line = [0; 64];
        let read = self.0.as_ref().and_then(|file| file.read_at(&mut line, 0).ok()).unwrap_or(0);
        let field = std::str::from_utf8(&line[..read]).unwrap_or_default().split(' ').nth(field);
        field.and_then(|pages| pages.parse().ok()).unwrap_or(0)
    }
}
