//! Rewards that an answer may hold, and those that are a fault of its session.

use super::*;

/// Opens an environment that answers requests of a method by this JSON.
fn answering(method: &str, answer: &str) -> Process {
    // A task is asked for in a session without a turn, whose end is told too.
    let script = format!(
        "played = set()
def answer(request):
    method, session = request['method'], request.get('session')
    if method == 'step': played.add(session)
    if method == {method:?} and session in played:
        say('{{\"id\": %d, \"result\": %s}}' % (request['id'], {answer:?}))
    else: result(request, usual(request))
main(answer)"
    );
    open(&script, |_| ()).unwrap()
}

fn answered(method: &str, answer: &str) -> Result<(), String> {
    let env = answering(method, answer);
    let task = env.task(TaskSplit::Train, 0).unwrap();
    let mut session = session(&env, &task).unwrap();
    let played = session.step(&Turn::default(), &[]).and_then(|_| session.close());
    played.map(|_| ()).map_err(|fault| fault.to_string())
}

#[test]
fn a_reward_that_is_wrong_is_a_fault_of_its_session_and_named() {
    let grade = "expected a grade from 0 to 1; other names take any number";
    for method in ["step", "close"] {
        for (answer, expect) in [
            (r#"{"rewards": {"acc": 1.5}}"#, format!("the reward \"acc\" is 1.5, {grade}")),
            (r#"{"rewards": {"acc": -0.25, "p": 1}}"#, format!("the reward \"acc\" is -0.25, {grade}")),
            (r#"{"rewards": {"acc": 1, "acc": 0}}"#, "the key \"acc\" stands twice".into()),
            (r#"{"rewards": {"p": 1}, "rewards": {}}"#, "the key \"rewards\" stands twice".into()),
            (r#"{"rewards": {"p": "high"}}"#, "rewards.p: the text \"high\", expected a number".into()),
            (r#"{"rewards": [1]}"#, "rewards: a list, expected an object of numbers".into()),
        ] {
            let fault = answered(method, answer).unwrap_err();
            assert!(
                fault.starts_with("env.process: ") && fault.contains(&expect),
                "{method} {answer}: {fault}"
            );
            for of_rust in ["invalid type", "struct ", "f64", "a map", "a sequence"] {
                assert!(!fault.contains(of_rust), "{fault}");
            }
        }
        for answer in [r#"{"rewards": {"acc": 1, "p": -7.5}}"#, r#"{"rewards": {"acc": 0, "q": 1e9}}"#, "{}"]
        {
            assert_eq!(answered(method, answer), Ok(()), "{method} {answer}");
        }
    }
}
