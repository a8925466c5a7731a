//! The date that a template shows. Some chat templates put today's date into the prompt.

use jiff::Timestamp;
use jiff::fmt::strtime::{BrokenDownTime, Config, PosixCustom};
use jiff::tz::Offset;

/// Holds a moment in UTC, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(Timestamp);

impl Moment {
    /// Returns the present moment.
    pub fn now() -> Self {
        Self::from_unix(Timestamp::now().as_second())
    }

    /// Returns the moment `seconds` after 1970, limited to the years −9999 to 9999.
    pub fn from_unix(seconds: i64) -> Self {
        let (first, last) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
        Self(Timestamp::from_second(seconds.clamp(first, last)).expect("it lies within the calendar"))
    }

    /// Returns the seconds since 1970.
    pub fn unix(self) -> i64 {
        self.0.as_second()
    }

    /// Formats the date as Python's `strftime` does for a date without a time zone. An unknown directive
    /// stays unchanged.
    pub fn strftime(self, format: &str) -> String {
        let config = Config::new().custom(PosixCustom::new()).lenient(true);
        let date = BrokenDownTime::from(Offset::UTC.to_datetime(self.0));
        date.to_string_with_config(&config, format).unwrap_or_else(|_| format.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_python() {
        // datetime.fromtimestamp(n, timezone.utc).replace(tzinfo=None).strftime(…)
        let check = |seconds: i64, format: &str, expect: &str| {
            assert_eq!(Moment::from_unix(seconds).strftime(format), expect);
        };
        check(0, "%d %b %Y %A %j", "01 Jan 1970 Thursday 001");
        check(951_782_400, "%-d %B %Y, %a", "29 February 2000, Tue");
        check(1_735_603_199, "%Y-%m-%dT%H:%M:%S %I %p %j %y %w %u", "2024-12-30T23:59:59 11 PM 365 24 1 1");
        check(4_107_542_400, "%F %T", "2100-03-01 00:00:00");
        check(-1, "%F %H %%|%e", "1969-12-31 23 %|31");
        check(1_735_689_600, "%-j/%-I/%e/%i/%-", "1/12/ 1/%i/%-");
        check(1_735_603_199, "%c|%x|%X|%D", "Mon Dec 30 23:59:59 2024|12/30/24|23:59:59|12/30/24");
        check(1_735_603_199, "%-m/%-y é%", "12/24 é%");
    }

    #[test]
    fn a_moment_outside_of_the_calendar_is_its_end() {
        assert_eq!(Moment::from_unix(i64::MAX).strftime("%Y"), "9999");
        assert_eq!(Moment::from_unix(i64::MIN).strftime("%Y"), "-9999");
    }

    #[test]
    fn a_directive_writes_at_most_so_many_bytes_per_byte() {
        // `globals.rs` reserves 64 bytes for each one.
        for format in ["%255Y", "%99d", "%c", "%255c", "%9A"] {
            let text = Moment::from_unix(0).strftime(format);
            assert!(text.len() <= 64 * format.len(), "{format}: {}", text.len());
        }
    }
}
