//! Decides whether a session that has failed is played again, and beside which others.
//!
//! A process that ends takes all its sessions with it, and one of them may be to blame. The others mustn't
//! pay for that: a session counts only the faults that are certainly its own.

use turnwise_tools::Cause;

/// Own faults that cost a session.
const OWN: u32 = 2;
/// Ends of a process, with this session among those that waited, after which it is played alone.
const SUSPECTED: u32 = 2;
/// Ends of a process, whoever waited, after which a session is played alone.
const ENDS: u32 = 4;

/// Holds the failures of one session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retries {
    own: u32,
    suspected: u32,
    ends: u32,
    alone: bool,
}

/// Says how a session goes on after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// From its reset, beside other sessions.
    Beside,
    /// From its reset, while no other session is open. A fault is then certainly its own.
    Alone,
    /// Not at all.
    Never,
}

impl Retries {
    /// Counts a fault and returns how the session goes on.
    ///
    /// A session is played at most six times, whatever its process does.
    pub fn after(&mut self, cause: Cause) -> Again {
        if cause == Cause::Own {
            self.own += 1;
        } else if self.alone {
            // Nothing else can have ended the process.
            self.own = OWN;
        } else {
            self.ends += 1;
            self.suspected += u32::from(cause == Cause::Shared);
            self.alone = self.suspected == SUSPECTED || self.ends == ENDS;
        }
        match (self.own, self.alone) {
            (OWN.., _) => Again::Never,
            (_, true) => Again::Alone,
            (_, false) => Again::Beside,
        }
    }

    /// Returns whether the session is played alone.
    pub fn is_alone(&self) -> bool {
        self.alone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_faults_that_are_certainly_its_own_cost_a_session() {
        use Again::{Alone, Beside, Never};
        use Cause::{Other, Own, Shared};
        for (causes, expect) in [
            (vec![Own, Own], vec![Beside, Never]),
            (vec![Shared, Shared, Shared], vec![Beside, Alone, Never]),
            (vec![Shared, Shared, Own, Own], vec![Beside, Alone, Alone, Never]),
            (vec![Other, Other, Other, Other, Other], vec![Beside, Beside, Beside, Alone, Never]),
            (vec![Other, Shared, Own, Shared, Own], vec![Beside, Beside, Beside, Alone, Never]),
        ] {
            let mut retries = Retries::default();
            let found: Vec<Again> = causes.iter().map(|cause| retries.after(*cause)).collect();
            assert_eq!(found, expect, "{causes:?}");
        }
    }

    #[test]
    fn retries_are_bounded() {
        let causes = [Cause::Own, Cause::Shared, Cause::Other];
        for number in 0..3_usize.pow(6) {
            let cause = |at: u32| causes[number / 3_usize.pow(at) % 3];
            let mut retries = Retries::default();
            assert!((0..6).any(|at| retries.after(cause(at)) == Again::Never), "{number}");
        }
    }
}
