//! Folders of programs. A process that was killed leaves its folders, and the next one removes them.

use std::io;
use std::path::Path;

use tempfile::{Builder, TempDir};

const PREFIX: &str = "turnwise-agent-";

/// Makes a folder for a program. Its name tells the process that owns it.
pub(super) fn make() -> io::Result<TempDir> {
    Builder::new().prefix(&format!("{PREFIX}{}-", std::process::id())).tempdir()
}

/// Removes the folders in `parent` whose owners are dead. Without Linux's /proc nothing is known of them.
pub(super) fn remove_leftovers(parent: &Path) {
    let processes = Path::new("/proc");
    if !processes.join("self").exists() {
        return;
    }
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split_once('-'));
        let owner = owner.and_then(|(owner, _)| owner.parse::<u32>().ok());
        let is_dead = owner.is_some_and(|owner| !processes.join(owner.to_string()).exists());
        if is_dead && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            // Another user's folder stays.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_dead_processes_are_removed_and_no_others() {
        if !Path::new("/proc/self").exists() {
            return;
        }
        let parent = tempfile::tempdir().unwrap();
        let own = format!("{PREFIX}{}-a", std::process::id());
        // No system has a process of this number.
        let dead = format!("{PREFIX}4294967295-a");
        for name in [&own, &dead, "turnwise-agent-x", "turnwise-agent-x-4294967295", "other-4294967295-a"] {
            std::fs::create_dir_all(parent.path().join(name).join("inside")).unwrap();
        }
        remove_leftovers(parent.path());
        let left = std::fs::read_dir(parent.path()).unwrap().count();
        assert!(!parent.path().join(&dead).exists() && parent.path().join(&own).exists());
        assert_eq!(left, 4);
        let made = make().unwrap();
        remove_leftovers(made.path().parent().unwrap());
        assert!(made.path().exists());
    }
}
