//! Writes `log.txt`: what a run said, with the time.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::RunDirError;

/// Holds the log of a run, open for appending.
#[derive(Debug)]
pub struct Log {
    file: File,
}

impl Log {
    /// Opens `log.txt` of a run directory.
    ///
    /// # Errors
    /// The system's, with the file.
    pub fn open(run: &Path) -> Result<Self, RunDirError> {
        let path = run.join("log.txt");
        match turnwise_files::own::append(&path) {
            Ok(file) => Ok(Self { file }),
            Err(source) => Err(RunDirError::Write { path, source }),
        }
    }

    /// Appends a line with the time in front of it.
    pub fn line(&mut self, text: &str) {
        // A log that can't be written stops nothing: what the run needs is written elsewhere.
        let _ = writeln!(self.file, "{} {text}", utc(SystemTime::now()));
    }
}

/// `2026-01-31T23:59:59Z`.
fn utc(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years begin in March, so that the leap day is a year's last; 146,097 days are 400 years.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year + era * 400 + next;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day_of_month:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        // `date -u -d @SECONDS` says the same.
        for (seconds, expect) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(seconds)), expect);
        }
    }

    #[test]
    fn lines_of_several_lives_follow_each_other() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["one", "two"] {
            Log::open(folder.path()).unwrap().line(text);
        }
        let text = std::fs::read_to_string(folder.path().join("log.txt")).unwrap();
        let lines: Vec<&str> = text.lines().map(|line| line.split_once("Z ").unwrap().1).collect();
        assert_eq!(lines, ["one", "two"]);
    }
}
