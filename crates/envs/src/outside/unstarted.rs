//! Says why a command doesn't start, and what helps.

use std::io::{Error, ErrorKind};
use std::path::Path;

/// Describes a command that the system didn't start.
pub fn unstarted(command: &[String], error: &Error) -> String {
    let program = command.first().map_or("", String::as_str);
    let hint = match error.kind() {
        ErrorKind::NotFound if is_there(program) => "; hint: its first line names a program that isn't there",
        ErrorKind::NotFound => "; hint: a path, or a name on the PATH",
        ErrorKind::PermissionDenied => "; hint: a file that may be executed: chmod +x",
        _ => "",
    };
    let error = error.to_string();
    let why = error.split_once(" (os error").map_or(&*error, |(why, _)| why);
    format!("{command:?} doesn't start: {why}{hint}")
}

/// Returns whether a program may be started: a path to a file, or the name of one on the PATH.
pub(crate) fn is_there(program: &str) -> bool {
    if program.contains('/') {
        return Path::new(program).is_file();
    }
    // The system has its own list without one.
    let Some(path) = std::env::var_os("PATH") else { return true };
    !program.is_empty() && std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_fits_the_reason() {
        let said = |program: &str, kind| unstarted(&[program.into()], &Error::from(kind));
        assert!(
            said("no-such-program", ErrorKind::NotFound).ends_with("hint: a path, or a name on the PATH")
        );
        assert!(said("sh", ErrorKind::NotFound).ends_with("its first line names a program that isn't there"));
        assert!(said("./data.txt", ErrorKind::PermissionDenied).ends_with("chmod +x"));
        let busy = Error::from_raw_os_error(26);
        assert_eq!(unstarted(&["x".into()], &busy), "[\"x\"] doesn't start: Text file busy");
    }
}
