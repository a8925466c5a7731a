//! Decides when to give up a server: when it refuses every request.

use std::collections::BTreeSet;

use turnwise_http::{Failure, Refusal};

/// Number of different tasks that must fail in a row. One odd task can't end a play, however many samples it
/// has.
const TASKS: usize = 4;

/// Advice where a server refuses the key, or wants one.
pub(super) const KEY: &str = "the environment variable TURNWISE_API_KEY holds the server's key";

/// Holds the state of a server during a play.
#[derive(Debug, Default)]
pub(super) struct Health {
    answered: bool,
    /// Tasks that lost a trajectory since the last answer.
    lost: BTreeSet<String>,
    /// The first failure, in full.
    message: Option<String>,
}

impl Health {
    /// Returns whether the server has ever answered.
    pub(super) fn has_answered(&self) -> bool {
        self.answered
    }

    /// Records a turn that was answered, or whose context was full.
    pub(super) fn answered(&mut self) {
        self.answered = true;
        self.lost.clear();
    }

    /// Records a failed turn. Returns whether the next ones will fail too.
    pub(super) fn lost(&mut self, task: &str, message: &str, refusal: Option<&Refusal>) -> bool {
        self.lost.insert(task.into());
        self.message.get_or_insert_with(|| message.into());
        self.lost.len() >= TASKS || (!self.answered && refusal.is_some_and(is_of_all))
    }

    /// Returns why the play failed, if no turn was answered.
    pub(super) fn never_answered(&self) -> Option<&str> {
        self.message.as_deref().filter(|_| !self.answered)
    }
}

/// Returns whether a refusal applies to every request: a wrong key, address or name.
fn is_of_all(refusal: &Refusal) -> bool {
    match refusal.status {
        401 | 404 | 405 => true,
        // Some servers refuse a conversation for its content with this status.
        403 => !refusal.says(&["moderation", "flagged", "policy", "safety", "content"]),
        _ => false,
    }
}

/// Returns advice on a failure.
pub(super) fn hint(failure: &Failure, refusal: Option<&Refusal>) -> &'static str {
    match (failure, refusal.map(|refusal| refusal.status)) {
        (_, Some(401 | 403)) => KEY,
        (_, Some(404)) => {
            "the endpoint is a base such as http://127.0.0.1:8000/v1, and the name one that its /models lists"
        }
        (Failure::Unreached(_), _) => {
            "is the server running? The endpoint is a base such as http://127.0.0.1:8000/v1"
        }
        _ => {
            "the endpoint is a base such as http://127.0.0.1:8000/v1 of a server that speaks the OpenAI chat protocol"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, text: &str) -> Refusal {
        Refusal { status, wait: None, text: text.into() }
    }

    #[test]
    fn one_task_never_ends_a_play_and_several_in_a_row_do() {
        let mut health = Health::default();
        health.answered();
        assert!((0..100).all(|_| !health.lost("a", "odd", None)));
        assert!(!health.lost("b", "odd", None) && !health.lost("c", "odd", None));
        health.answered();
        assert!(["d", "e", "f"].iter().all(|task| !health.lost(task, "odd", None)));
        assert!(health.lost("g", "odd", None));
        assert_eq!(health.never_answered(), None);
    }

    #[test]
    fn a_wrong_key_or_name_ends_a_play_that_has_not_begun() {
        let check = |status: u16, text: &str, at_once: bool, later: bool| {
            let refusal = refusal(status, text);
            let mut health = Health::default();
            assert_eq!(health.lost("a", "no", Some(&refusal)), at_once, "{status} {text}");
            assert_eq!(health.never_answered(), Some("no"));
            health.answered();
            assert_eq!(health.lost("a", "no", Some(&refusal)), later, "{status} {text}");
        };
        check(401, "who are you", true, false);
        check(403, "forbidden", true, false);
        check(403, "your input was flagged", false, false);
        check(404, "no such model", true, false);
        check(400, "no idea", false, false);
    }
}
