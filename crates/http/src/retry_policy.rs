//! Decides when a request is retried and when it is given up.

use std::fmt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Failure;

/// Longest wait between two tries, unless the server asks for a longer one.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Interval at which a wait checks that it is still needed.
const GLANCE: Duration = Duration::from_millis(50);
/// Longer times count as no limit.
const YEAR: Duration = Duration::from_hours(24 * 365);

/// Limits the retries of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// Longest time of one try.
    pub timeout: Duration,
    /// Longest time from the first failure on: waits and retries, the last one's answer included.
    pub retry: Duration,
    /// Tries after the first one.
    pub retries: u32,
    /// Wait before the second try; it doubles each time, up to 30 seconds.
    pub wait: Duration,
}

/// Reports a request that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GaveUp {
    /// Why the last try failed.
    pub failure: Failure,
    /// Number of tries.
    pub tries: u32,
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.failure.reason())?;
        if self.tries > 1 { write!(f, " (after {} tries)", self.tries) } else { Ok(()) }
    }
}

impl RetryPolicy {
    /// Tries until an attempt succeeds, fails for good or runs out of time, or until `needless` returns true.
    /// `attempt` gets its time limit.
    pub fn run<T>(
        &self,
        needless: impl Fn() -> bool,
        mut attempt: impl FnMut(Duration) -> Result<T, Failure>,
    ) -> Result<T, GaveUp> {
        let mut deadline = None;
        let mut wait = self.wait;
        let mut tries = 0;
        let mut earlier: Option<Failure> = None;
        loop {
            let left = deadline.map_or(YEAR, |end: Instant| end.saturating_duration_since(Instant::now()));
            tries += 1;
            let mut failure = match attempt(self.timeout.min(left)) {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            // A try that had less time tells less when it runs out.
            if left < self.timeout && failure.reason().starts_with("timeout") {
                failure = earlier.take().unwrap_or(failure);
            }
            let now = Instant::now();
            let end = *deadline.get_or_insert_with(|| now + self.retry.min(YEAR));
            let pause = match &failure {
                Failure::Lasting(_) => None,
                Failure::Unreached(_) => Some(wait),
                Failure::Passing { wait: asked, .. } => Some(wait.max(asked.unwrap_or_default())),
            };
            let pause = pause.filter(|pause| {
                tries <= self.retries && *pause < end.saturating_duration_since(now) && !needless()
            });
            let Some(pause) = pause else { return Err(GaveUp { failure, tries }) };
            let until = now + pause;
            while Instant::now() < until && !needless() {
                sleep(GLANCE.min(until.saturating_duration_since(Instant::now())));
            }
            wait = wait.saturating_mul(2).min(LONGEST_WAIT);
            earlier = Some(failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn retry_policy() -> RetryPolicy {
        RetryPolicy { timeout: Duration::from_mins(1), retry: Duration::from_mins(1), retries: 5, wait: MS }
    }

    /// Fails `fails` times; checks the number of tries.
    fn check(retry_policy: RetryPolicy, fails: u32, failure: &Failure, expect: Result<u32, u32>) {
        let mut tries = 0;
        let got = retry_policy.run(
            || false,
            |_| {
                tries += 1;
                if tries > fails { Ok(tries) } else { Err(failure.clone()) }
            },
        );
        assert_eq!(got.map_err(|gave_up| gave_up.tries), expect, "{failure:?}");
    }

    #[test]
    fn passing_failures_are_tried_again_and_lasting_ones_are_not() {
        let busy = Failure::passing("busy");
        check(retry_policy(), 0, &busy, Ok(1));
        check(retry_policy(), 5, &busy, Ok(6));
        check(retry_policy(), 6, &busy, Err(6));
        check(retry_policy(), 2, &Failure::Unreached("nobody".into()), Ok(3));
        check(retry_policy(), 1, &Failure::Lasting("no".into()), Err(1));
        check(RetryPolicy { retry: Duration::ZERO, ..retry_policy() }, 1, &busy, Err(1));
    }

    #[test]
    fn a_wait_that_does_not_fit_into_the_time_is_not_begun() {
        let asks = |wait| Failure::Passing { reason: "busy".into(), wait: Some(wait) };
        check(retry_policy(), 1, &asks(Duration::from_hours(1)), Err(1));
        check(retry_policy(), 1, &asks(Duration::MAX), Err(1));
        check(retry_policy(), 1, &asks(10 * MS), Ok(2));
        let endless = RetryPolicy { timeout: Duration::MAX, retry: Duration::MAX, ..retry_policy() };
        check(endless, 1, &asks(MS), Ok(2));
    }

    #[test]
    fn a_later_try_has_no_more_than_the_time_that_is_left() {
        let retry_policy =
            RetryPolicy { retry: Duration::from_millis(200), retries: u32::MAX, ..retry_policy() };
        let mut times = Vec::new();
        let gave_up = retry_policy.run(
            || false,
            |time| {
                times.push(time);
                sleep(5 * MS);
                Err::<(), _>(Failure::passing("busy"))
            },
        );
        assert_eq!(times[0], retry_policy.timeout);
        assert!(times.len() > 2 && times[1..].iter().all(|time| *time <= retry_policy.retry), "{times:?}");
        assert!(times.windows(2).all(|pair| pair[1] < pair[0]), "{times:?}");
        assert_eq!(gave_up.unwrap_err().to_string(), format!("busy (after {} tries)", times.len()));
    }

    #[test]
    fn a_try_that_had_less_time_leaves_the_reason_before_it() {
        let retry_policy =
            RetryPolicy { retry: Duration::from_millis(60), retries: u32::MAX, ..retry_policy() };
        let attempt = |time: Duration| {
            sleep(30 * MS);
            Err::<(), _>(Failure::passing(format!("timeout after {} s", time.as_secs())))
        };
        let told = retry_policy.run(|| false, attempt).unwrap_err();
        assert!(told.tries > 1 && told.failure.reason() == "timeout after 60 s", "{told}");
    }

    #[test]
    fn a_wait_ends_when_nobody_needs_it() {
        let gave_up = Cell::new(false);
        let retry_policy = RetryPolicy { wait: Duration::from_secs(20), ..retry_policy() };
        let failed = retry_policy.run(|| gave_up.replace(true), |_| Err::<(), _>(Failure::passing("busy")));
        assert_eq!(failed.unwrap_err().tries, 2);
    }

    use std::cell::Cell;
}
