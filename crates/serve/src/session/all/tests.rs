//! Sessions end, make room and take rewards whatever is open at the time.

use std::collections::BTreeMap;

use super::*;
use crate::session::tree::tests::answered;

#[test]
fn a_session_does_not_end_while_a_request_finds_its_place_there() {
    let sessions = Sessions::new(None);
    let done = || sessions.reward("s", None, &Rewards::default(), true);
    assert_eq!(sessions.hold("s"), None, "a request that is refused begins no session");
    sessions.begin("s", 1).unwrap();
    sessions.answer("s", answered(0, None, &[1], &[2]));
    sessions.leave(&Name { name: "s".into(), single: false }, 0, 1).unwrap();
    // A request has arrived, and continues call 0.
    assert_eq!(sessions.hold("s"), Some(0));
    assert_eq!(done().unwrap_err().status, 409);
    for other in 0..SESSIONS {
        sessions
            .begin(&format!("other {other}"), 1)
            .map_or_else(|refusal| panic!("{}", refusal.line()), drop);
        sessions.leave(&Name { name: format!("other {other}"), single: false }, 0, 1).unwrap();
    }
    assert_eq!(sessions.look("s", |session| session.before(&[1, 2, 3])), Some(0), "others make room");
    assert_eq!(sessions.begin("s", 1).ok(), Some(1));
    sessions.release("s");
    assert_eq!(done().unwrap_err().status, 409, "its call is being answered");
    sessions.answer("s", answered(1, Some(0), &[1, 2, 3], &[2]));
    sessions.leave(&Name { name: "s".into(), single: false }, 1, 1).unwrap();
    done().unwrap();
    assert_eq!(sessions.hold("s"), None);
}

#[test]
fn rewards_are_part_of_the_memory_of_sessions() {
    let sessions = Sessions::new(None);
    let size = || sessions.lock().tokens;
    sessions.begin("s", 1).unwrap();
    sessions.answer("s", answered(0, None, &[1], &[2]));
    sessions.leave(&Name { name: "s".into(), single: false }, 0, 1).unwrap();
    let before = size();
    let give = |names: &[&str], done: bool| {
        let rewards = names.iter().map(|name| (*name, 0.5)).collect();
        sessions.reward("s", None, &rewards, done).unwrap();
    };
    give(&["a", "b"], false);
    let with_two = size();
    assert!(with_two > before);
    give(&["a", "b"], false);
    assert_eq!(size(), with_two, "they add up");
    give(&["c"], true);
    assert_eq!(size(), 0, "the session has ended");
}

#[test]
#[should_panic(expected = "a call continues what its session has read and sampled")]
fn a_call_of_another_session_is_no_parent() {
    let sessions = Sessions::new(None);
    sessions.begin("s", 2).unwrap();
    sessions.answer("s", answered(0, None, &[7], &[2]));
    sessions.answer("s", answered(1, Some(0), &[1, 2, 3], &[2]));
}

#[test]
fn a_session_of_a_run_that_is_done_answers_no_more() {
    let sessions = Sessions::new(None);
    sessions.open("s", 0);
    let begin = || {
        let new = NewCall { parent: None, prompt: &[1], arrived: sessions.hold("s").unwrap() };
        let begun = sessions.begin_in_run("s", (1, 9), &new).map(|(number, ..)| number);
        sessions.release("s");
        begun.map_err(|refusal| refusal.status)
    };
    assert_eq!(begin(), Ok(0));
    sessions.answer("s", answered(0, None, &[1], &[2]));
    sessions.leave(&Name { name: "s".into(), single: false }, 0, 1).unwrap();
    let reward = |done| {
        let given: Rewards = [("acc", 1.0)].into_iter().collect();
        sessions.reward("s", None, &given, done).map_err(|refusal| refusal.status)
    };
    assert_eq!(reward(true), Ok(Some(0)));
    assert_eq!((reward(false), begin()), (Err(404), Err(401)));
    assert_eq!(sessions.close("s").expect("it is there").transcript().calls.len(), 1);
}

#[test]
fn rewards_of_a_run_count_answered_calls() {
    let sessions = Sessions::new(None);
    sessions.open("s", 0);
    let begin = || {
        let new = NewCall { parent: None, prompt: &[1], arrived: sessions.hold("s").unwrap() };
        sessions.begin_in_run("s", (1, 9), &new).map(|(number, ..)| number).ok()
    };
    assert_eq!([begin(), begin(), begin()], [Some(0), Some(1), Some(2)]);
    sessions.answer("s", answered(0, None, &[1], &[2]));
    // Its client gave up call 1 and asked again.
    sessions.answer("s", answered(2, None, &[1], &[2]));
    let reward = |turn: Option<u32>| {
        let given: Rewards = [("p", 1.0)].into_iter().collect();
        sessions.reward("s", turn, &given, false).ok().flatten()
    };
    assert_eq!([reward(Some(1)), reward(None), reward(Some(2))], [Some(1), Some(1), None]);
    let calls = sessions.close("s").expect("it is there").transcript().calls;
    let given = calls.iter().map(|call| (call.number, call.rewards.get("p")));
    assert_eq!(given.collect::<BTreeMap<_, _>>(), BTreeMap::from([(0, 0.0), (2, 2.0)]));
}

#[test]
fn a_call_that_is_given_up_leaves_its_turn_to_another() {
    let sessions = Sessions::new(None);
    let name = Name { name: "s".into(), single: false };
    let new = NewCall { parent: None, prompt: &[1], arrived: 0 };
    let begin = || sessions.begin_in_run("s", (1, 2), &new).map(|(number, ..)| number);
    let is_full = || begin().is_err_and(|refusal| refusal.code == Some("turn_limit"));
    sessions.open("s", 0);
    assert_eq!((begin().ok(), begin().ok()), (Some(0), Some(1)));
    assert!(is_full(), "two calls are being answered");
    sessions.answer("s", answered(0, None, &[1], &[2]));
    assert!(is_full(), "one was answered");
    sessions.leave(&name, 0, 1).expect("nothing to write");
    assert!(is_full(), "and has ended");
    sessions.leave(&name, 1, 1).expect("nothing to write");
    assert_eq!(begin().ok(), Some(2), "the other was given up");
    assert!(is_full());
}
