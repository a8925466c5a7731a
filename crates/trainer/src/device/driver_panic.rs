//! Catches the messages of drivers, which Burn reports by panicking.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::mpsc::channel;

/// Returns what a device computes, or the first message of a panic in its driver.
///
/// A driver that is missing or lacks something makes Burn panic, often on a thread that Burn started. The
/// thread that waits for it panics too, with an empty message, so catching alone isn't enough. The panic hook
/// is therefore replaced while `work` runs, and the first message that it sees is kept. The hook belongs to
/// the whole process. That is safe here, because a device is opened and checked before a run starts threads:
/// nothing else panics meanwhile. If something does, its message is taken for the driver's and isn't printed;
/// memory stays safe.
pub(crate) fn catch_driver_panic<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let before = take_hook();
    let (sender, messages) = channel();
    set_hook(Box::new(move |panic| {
        // The receiver is gone for a thread that panics later.
        let _ = sender.send(panic.payload_as_str().unwrap_or_default().to_string());
    }));
    // Whatever `work` leaves half-done is dropped with it.
    let done = catch_unwind(AssertUnwindSafe(work));
    set_hook(before);
    done.map_err(|_| one_line(&messages.try_recv().unwrap_or_default()))
}

/// Returns the first line of a driver's message, or the library that is missing.
fn one_line(said: &str) -> String {
    let line = said.lines().next().filter(|line| !line.is_empty()).unwrap_or("its driver failed");
    match line.strip_prefix("Unable to dynamically load the \"").and_then(|rest| rest.split_once('"')) {
        Some((library, _)) => format!("there is no lib{library}.so, which comes with its driver"),
        None => line.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_is_heard_in_one_line() {
        let missing = "Unable to dynamically load the \"cuda\" shared library - searched for library names: […]. Ensure";
        assert_eq!(one_line(missing), "there is no libcuda.so, which comes with its driver");
        assert_eq!(one_line("no adapter\n  at frame 1"), "no adapter");
        assert_eq!(one_line(""), "its driver failed");
    }

    #[test]
    fn what_a_driver_cannot_do_is_heard_from_any_thread() {
        let panics = || std::thread::spawn(|| panic!("no such kernel\n at frame 1")).join().unwrap();
        assert_eq!(catch_driver_panic(panics), Err("no such kernel".into()));
        assert_eq!(catch_driver_panic(|| 3), Ok(3));
    }
}
