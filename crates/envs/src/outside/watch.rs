//! Ends programs that outlive this process. A program that hangs doesn't notice that its stdin has ended.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Holds a shell that waits for the end of this process, however it ends, and then kills a process group.
#[derive(Debug)]
pub(super) struct Watch(Option<Child>);

impl Watch {
    /// Watches over a process group. Without a shell nothing watches.
    ///
    /// Drop it before the group's leader is reaped: until then no other process has its number.
    pub(super) fn over(group: u32) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", "read -r _; kill -s KILL -- \"-$0\"", &group.to_string()]).process_group(0);
        Self(shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(shell) = &mut self.0 {
            // It can't fail in a way that matters here.
            let _ = shell.kill();
            let _ = shell.wait();
        }
    }
}
