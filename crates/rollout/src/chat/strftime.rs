//! Dates as Python's `strftime` writes them. Some chat templates put today's date into the prompt.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A moment in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    year: i64,
    /// From 0.
    month: usize,
    /// From 1.
    day: u32,
    /// Monday is 0.
    weekday: usize,
    /// From 1.
    day_of_year: u32,
    /// Since midnight.
    seconds: u32,
    /// Since 1970.
    unix: i64,
}

impl Moment {
    /// Now.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::from_unix(since.as_secs() as i64)
    }

    /// Seconds since 1970.
    pub fn from_unix(seconds: i64) -> Self {
        let days = seconds.div_euclid(86_400);
        let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let length = |year: i64| if leap(year) { 366 } else { 365 };
        // 400 years have 146,097 days: what is left is counted.
        let (mut year, mut rest) = (1970 + 400 * days.div_euclid(146_097), days.rem_euclid(146_097));
        while rest >= length(year) {
            rest -= length(year);
            year += 1;
        }
        let day_of_year = rest as u32 + 1;
        let february = if leap(year) { 29 } else { 28 };
        let mut month = 0;
        for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
            if rest < length {
                break;
            }
            rest -= length;
            month += 1;
        }
        Self {
            year,
            month,
            day: rest as u32 + 1,
            // The first day of 1970 was a Thursday.
            weekday: (days + 3).rem_euclid(7) as usize,
            day_of_year,
            seconds: seconds.rem_euclid(86_400) as u32,
            unix: seconds,
        }
    }

    /// Seconds since 1970.
    pub fn unix(self) -> i64 {
        self.unix
    }

    /// The directives of C89, `%-d` and the like for numbers without padding. Others stay as they are.
    pub fn strftime(&self, format: &str) -> String {
        let mut out = String::new();
        let mut rest = format.chars();
        while let Some(c) = rest.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let mut directive = rest.next();
            let padded = directive != Some('-');
            if !padded {
                directive = rest.next();
            }
            self.directive(directive, padded, &mut out);
        }
        out
    }

    fn directive(&self, directive: Option<char>, padded: bool, out: &mut String) {
        let (hour, minute) = (self.seconds / 3600, self.seconds / 60 % 60);
        let half = if hour % 12 == 0 { 12 } else { hour % 12 };
        let mut number = |value: u32, width: usize| {
            // Writing to a string can't fail.
            let _ = write!(out, "{value:0width$}", width = if padded { width } else { 0 });
        };
        match directive {
            Some('d') => number(self.day, 2),
            Some('m') => number(self.month as u32 + 1, 2),
            Some('y') => number(self.year.rem_euclid(100) as u32, 2),
            Some('j') => number(self.day_of_year, 3),
            Some('H') => number(hour, 2),
            Some('I') => number(half, 2),
            Some('M') => number(minute, 2),
            Some('S') => number(self.seconds % 60, 2),
            Some('w') => number((self.weekday as u32 + 1) % 7, 1),
            Some('u') => number(self.weekday as u32 + 1, 1),
            Some('Y') => out.push_str(&self.year.to_string()),
            Some('A') => out.push_str(DAYS[self.weekday]),
            Some('a') => out.push_str(&DAYS[self.weekday][..3]),
            Some('B') => out.push_str(MONTHS[self.month]),
            Some('b' | 'h') => out.push_str(&MONTHS[self.month][..3]),
            Some('p') => out.push_str(if hour < 12 { "AM" } else { "PM" }),
            Some('e') => out.extend([if self.day < 10 { " " } else { "" }, &self.day.to_string()]),
            Some('F') => out.push_str(&self.strftime("%Y-%m-%d")),
            Some('T') => out.push_str(&self.strftime("%H:%M:%S")),
            Some('%') | None => out.push('%'),
            Some(other) => out.extend(['%', other]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_python() {
        // datetime.fromtimestamp(n, timezone.utc).strftime(…)
        let check = |seconds: i64, format: &str, expect: &str| {
            assert_eq!(Moment::from_unix(seconds).strftime(format), expect);
        };
        check(0, "%d %b %Y %A %j", "01 Jan 1970 Thursday 001");
        check(951_782_400, "%-d %B %Y, %a", "29 February 2000, Tue");
        check(1_735_603_199, "%Y-%m-%dT%H:%M:%S %I %p %j %y %w %u", "2024-12-30T23:59:59 11 PM 365 24 1 1");
        check(4_107_542_400, "%F %T", "2100-03-01 00:00:00");
        check(-1, "%F %H %%|%e", "1969-12-31 23 %|31");
        check(1_735_689_600, "%-j/%-I/%e/%q", "1/12/ 1/%q");
    }
}
