//! Memory that this process may still allocate.

use std::path::Path;

/// Returns the bytes that this process may still allocate: the machine's free memory, or the limit of its
/// control group.
///
/// None on systems that report neither.
pub fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let machine = line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024;
    Some(control_group().map_or(machine, |group| group.min(machine)))
}

/// Returns the memory that control groups leave (v2, then v1), if they limit it.
fn control_group() -> Option<u64> {
    let number = |path: &str| {
        std::fs::read_to_string(Path::new("/sys/fs/cgroup").join(path)).ok()?.trim().parse::<u64>().ok()
    };
    let room = |limit: &str, used: &str| Some(number(limit)?.saturating_sub(number(used)?));
    room("memory.max", "memory.current")
        .or_else(|| room("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))
}
