use super::*;
use crate::session::{Opened, Start};
use crate::tasks::Tasks;
use crate::tasks::arithmetic::{Arithmetic, ArithmeticConfig};
use turnwise_tools::Fault;
use turnwise_trajectory::{MalformedCall, ToolCall, ToolOutput, ViolationKind};

/// An environment with one task. Its right answer is written `@` in the tables.
fn env() -> Arithmetic {
    let one = ArithmeticConfig { train_tasks: 1, held_out_tasks: 0, ..Default::default() };
    Arithmetic::new(one).unwrap()
}

fn ran(status: OutputStatus, stdout: &str) -> CallRecord {
    CallRecord::Executed {
        call: ToolCall { name: "python".into(), arguments: serde_json::Map::new(), span: 0..0 },
        output: ToolOutput {
            status,
            stdout: stdout.into(),
            value: None,
            error: None,
            truncated: false,
            wall_ms: 1.0,
            cpu_ms: 1.0,
        },
    }
}

fn ok() -> CallRecord {
    ran(OutputStatus::Ok, "5\n")
}

fn bad() -> CallRecord {
    CallRecord::Malformed(MalformedCall {
        kind: ViolationKind::InvalidJson,
        message: String::new(),
        span: 0..0,
    })
}

fn turn(text: &str, calls: Vec<CallRecord>) -> Turn {
    let text = text.replace('@', &env().train()[0].answer);
    Turn { tokens: vec![1], logprobs: vec![-0.5], text, calls, observation: vec![2], ..Turn::default() }
}

fn played(turns: Vec<Turn>, stop: Stop) -> Trajectory {
    Trajectory { task: "t".into(), sample: 0, prompt: vec![0], turns, stop }
}

fn scored(turns: Vec<Turn>, stop: Stop, config: &RewardConfig) -> ScoredTrajectory {
    let env = env();
    score(&env, &env.train()[0], &played(turns, stop), config).unwrap()
}

fn check(turns: Vec<Turn>, stop: Stop, acc: &[f64], fmt: &[f64]) {
    let shown = format!("{turns:?}");
    let scored = scored(turns, stop, &RewardConfig::default());
    let (got_acc, got_fmt): (Vec<f64>, Vec<f64>) = scored.turns.iter().map(|r| (r.acc(), r.fmt())).unzip();
    assert_eq!((got_acc.as_slice(), got_fmt.as_slice()), (acc, fmt), "{shown}");
    assert_eq!(scored.correct, acc.contains(&1.0), "{shown}");
}

#[test]
fn only_the_last_turn_of_a_right_trajectory_earns_accuracy() {
    let answer = || turn("Answer: @", vec![]);
    let step = || turn("", vec![ok()]);
    check(vec![step(), answer()], Stop::Answer, &[0.0, 1.0], &[0.0, 0.0]);
    check(vec![step(), step(), answer()], Stop::Answer, &[0.0, 0.0, 1.0], &[0.0; 3]);
    check(vec![step(), turn("Answer: @1", vec![])], Stop::Answer, &[0.0; 2], &[0.0; 2]);
    check(vec![step(), turn("it is @", vec![])], Stop::Answer, &[0.0; 2], &[0.0; 2]);
    // An answer beside a call is not final, whatever comes after it.
    check(vec![turn("Answer: @", vec![ok()]), turn("done", vec![])], Stop::Answer, &[0.0; 2], &[0.0; 2]);
    check(vec![step(), turn("Answer: @", vec![ok()])], Stop::TurnLimit, &[0.0; 2], &[0.0; 2]);
    check(vec![], Stop::ContextLimit, &[], &[]);
}

#[test]
fn the_format_penalty_falls_once_on_each_turn_that_breaks_the_format() {
    let answer = || turn("Answer: @", vec![]);
    check(vec![answer()], Stop::Answer, &[1.0], &[-0.1]);
    check(vec![turn("", vec![bad()]), answer()], Stop::Answer, &[0.0, 1.0], &[-0.1, 0.0]);
    check(vec![turn("", vec![bad(), bad(), ok()]), answer()], Stop::Answer, &[0.0, 1.0], &[-0.1, 0.0]);
    check(
        vec![turn("", vec![ok()]), turn("", vec![ok(), bad()]), turn("", vec![bad()]), answer()],
        Stop::Answer,
        &[0.0, 0.0, 0.0, 1.0],
        &[0.0, -0.1, -0.1, 0.0],
    );
    // Only the first turn must hold a call.
    check(vec![turn("", vec![ok()]), turn("hm", vec![])], Stop::Answer, &[0.0; 2], &[0.0; 2]);
}

#[test]
fn settings_choose_the_penalty_and_what_earns_it() {
    let fmt = |calls: Vec<CallRecord>, config: &RewardConfig| {
        scored(vec![turn("", calls)], Stop::TurnLimit, config).turns[0].fmt()
    };
    let paper = RewardConfig::default();
    let strict = RewardConfig { penalize_tool_errors: true, ..paper.clone() };
    for status in [
        OutputStatus::Error,
        OutputStatus::Timeout,
        OutputStatus::OutOfMemory,
        OutputStatus::Killed,
        OutputStatus::Rejected,
    ] {
        assert_eq!(fmt(vec![ran(status, "")], &paper), 0.0, "{status:?}");
        assert_eq!(fmt(vec![ok(), ran(status, "")], &strict), -0.1, "{status:?}");
    }
    assert_eq!(fmt(vec![ok()], &strict), 0.0);
    let lenient = RewardConfig { require_first_call: false, format_penalty: -0.5, ..paper };
    assert_eq!(fmt(vec![], &lenient), 0.0);
    assert_eq!(fmt(vec![bad()], &lenient), -0.5);
}

/// An environment without tools. Its answers are those of another one.
struct Toolless {
    inner: Arithmetic,
    tasks: Tasks,
}

impl Env for Toolless {
    crate::forward_env!();

    fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    fn session<'a>(&'a self, start: Start<'a>) -> Result<Opened<'a>, Fault> {
        self.inner.session(start)
    }
}

#[test]
fn no_call_is_asked_for_where_no_tool_is_on_offer() {
    let env = Toolless { inner: env(), tasks: Tasks::with_tools([]) };
    let task = env.task(crate::tasks::TaskSplit::Train, 0).unwrap();
    for (calls, violation) in [(vec![], false), (vec![bad()], true)] {
        let played = played(vec![turn("Answer: @", calls)], Stop::Answer);
        let scored = score(&env, &task, &played, &RewardConfig::default()).unwrap();
        assert_eq!((scored.correct, scored.violations), (true, vec![violation]));
    }
}

#[test]
fn a_session_that_judges_is_not_asked_again() {
    let rewarded = |acc: f64, correct| {
        let rewards = [(Rewards::ACC, acc)].into_iter().collect();
        Turn { rewards, correct, ..turn("Answer: @", vec![]) }
    };
    // `correct` alone gives no `acc`, and `acc` may fall on any turn.
    for (turns, correct, acc) in [
        (vec![rewarded(0.25, None), rewarded(0.5, Some(true))], true, [0.25, 0.5]),
        (vec![rewarded(1.0, Some(true)), rewarded(0.0, Some(false))], false, [1.0, 0.0]),
        (vec![turn("", vec![ok()]), rewarded(0.0, Some(true))], true, [0.0, 0.0]),
        // Without a verdict the answer is judged as usual.
        (vec![turn("", vec![ok()]), turn("Answer: @", vec![])], true, [0.0, 1.0]),
    ] {
        let scored = scored(turns, Stop::Answer, &RewardConfig::default());
        let found: Vec<f64> = scored.turns.iter().map(Rewards::acc).collect();
        assert_eq!((scored.correct, found.as_slice()), (correct, acc.as_slice()));
    }
}

#[test]
fn a_grade_is_right_from_the_threshold_on_where_no_verdict_is_given() {
    let graded = |grades: [f64; 2], correct| {
        let turn = |acc: f64| {
            let rewards = [(Rewards::ACC, acc)].into_iter().collect();
            Turn { rewards, ..turn("Answer: @", vec![ok()]) }
        };
        vec![turn(grades[0]), Turn { correct, ..turn(grades[1]) }]
    };
    for (grades, told, correct_at, correct) in [
        ([0.25, 0.5], None, 1.0, false),
        ([0.25, 0.5], None, 0.75, true),
        ([0.25, 0.5], None, 0.8, false),
        ([0.25, 0.5], Some(true), 1.0, true),
        ([0.5, 0.5], Some(false), 0.5, false),
        ([0.9, 0.1], None, 1.0, true),
        ([0.0, 0.0], None, 0.1, false),
    ] {
        // A limit that ends a trajectory takes nothing from its grade.
        for stop in [Stop::Answer, Stop::Done, Stop::TurnLimit, Stop::Truncated] {
            let config = RewardConfig { correct_at, ..RewardConfig::default() };
            let scored = scored(graded(grades, told), stop, &config);
            assert_eq!(scored.correct, correct, "{grades:?} {told:?} {correct_at} {stop:?}");
            assert_eq!(scored.turns.iter().map(Rewards::acc).collect::<Vec<_>>(), grades);
        }
    }
}

#[test]
fn rewards_of_a_session_stay_beside_those_of_scoring() {
    let rewarded = |rewards: &[(&str, f64)], correct, calls| {
        let rewards = rewards.iter().copied().collect();
        Turn { rewards, correct, ..turn("Answer: @", calls) }
    };
    for verdict in [Some(true), None] {
        let turns = vec![
            rewarded(&[("progress", 0.25)], None, vec![bad()]),
            rewarded(&[("acc", 0.5), ("fmt", -0.2), ("progress", 0.75)], verdict, vec![]),
        ];
        let found = scored(turns, Stop::Answer, &RewardConfig::default()).turns;
        let expect: [&[(&str, f64)]; 2] = [
            &[("acc", 0.0), ("fmt", -0.1), ("progress", 0.25)],
            &[("acc", 0.5), ("fmt", -0.2), ("progress", 0.75)],
        ];
        for (found, expect) in found.iter().zip(expect) {
            assert_eq!(found.iter().collect::<Vec<_>>(), expect, "{verdict:?}");
        }
    }
}

#[test]
fn a_turn_that_a_user_answers_is_neither_void_nor_without_its_call() {
    let asks = |reply: Option<&str>| Turn { reply: reply.map(str::to_string), ..turn("Which one?", vec![]) };
    for (reply, kept) in [(Some("The red one."), true), (None, false)] {
        let scored =
            scored(vec![asks(reply), turn("Answer: @", vec![])], Stop::Answer, &RewardConfig::default());
        assert_eq!((scored.void_turn, scored.violations[0]), (!kept, !kept));
    }
}

#[test]
fn a_violation_is_flagged_whatever_it_costs() {
    for format_penalty in [-0.1, -0.0, 0.0] {
        let config = RewardConfig { format_penalty, ..RewardConfig::default() };
        let turns = vec![turn("", vec![bad()]), turn("", vec![ok()]), turn("", vec![ok(), bad()])];
        let scored = scored(turns, Stop::TurnLimit, &config);
        assert_eq!(scored.violations, [true, false, true], "{format_penalty}");
        assert!((0..3).all(|j| scored.violates(j) == scored.violations[j]));
    }
}

#[test]
fn tool_output_is_never_read_as_an_answer() {
    let env = env();
    let right = format!("Answer: {}", env.train()[0].answer);
    for status in [OutputStatus::Ok, OutputStatus::Error] {
        let tool = turn("", vec![ran(status, &right)]);
        check(vec![tool.clone()], Stop::TurnLimit, &[0.0], &[0.0]);
        check(vec![tool.clone()], Stop::Answer, &[0.0], &[0.0]);
        check(vec![tool.clone(), turn("as it says", vec![])], Stop::Answer, &[0.0; 2], &[0.0; 2]);
        check(vec![tool, turn("Answer: @1", vec![])], Stop::Answer, &[0.0; 2], &[0.0; 2]);
    }
}

#[test]
fn only_a_finished_last_turn_of_an_answered_trajectory_holds_an_answer() {
    use Finish::{EndOfTurn, Length, StopString};
    use Stop::{Answer, ContextLimit, Done, Truncated, TurnLimit};
    for (finish, stop, holds) in [
        (EndOfTurn, Answer, true),
        (StopString, Answer, true),
        (Length, Answer, false),
        (Length, Truncated, false),
        (EndOfTurn, Truncated, false),
        (EndOfTurn, TurnLimit, false),
        (EndOfTurn, Done, false),
        (EndOfTurn, ContextLimit, false),
    ] {
        let env = env();
        let last = Turn { finish, ..turn("Answer: @", vec![]) };
        let played = played(vec![turn("", vec![ok()]), last], stop);
        assert_eq!(answer(&env, &played).is_some(), holds, "{finish:?} {stop:?}");
        let scored = score(&env, &env.train()[0], &played, &RewardConfig::default()).unwrap();
        assert_eq!((scored.correct, scored.turns[1].acc() == 1.0), (holds, holds), "{finish:?} {stop:?}");
        assert_eq!(scored.truncated, stop.is_truncated(), "{stop:?}");
    }
    assert_eq!(answer(&env(), &played(vec![], Answer)), None);
}

#[test]
fn a_turn_with_neither_a_complete_call_nor_an_answer_is_void() {
    for (text, calls, finish, void) in [
        ("", vec![ok()], Finish::EndOfTurn, false),
        ("", vec![ran(OutputStatus::Error, "")], Finish::EndOfTurn, false),
        ("", vec![bad(), ok()], Finish::Length, false),
        ("Answer: 1", vec![], Finish::EndOfTurn, false),
        ("Answer: 1", vec![], Finish::Length, true),
        ("", vec![bad()], Finish::EndOfTurn, true),
        ("thinking", vec![], Finish::EndOfTurn, true),
        ("", vec![], Finish::Length, true),
    ] {
        let first = Turn { finish, ..turn(text, calls) };
        let shown = format!("{first:?}");
        let turns = vec![first, turn("Answer: @", vec![])];
        assert_eq!(scored(turns, Stop::Answer, &RewardConfig::default()).void_turn, void, "{shown}");
    }
}

#[test]
fn the_state_before_a_turn_is_what_was_seen_since_the_turn_before() {
    let turns = vec![
        turn("", vec![ran(OutputStatus::Ok, "5\n"), ran(OutputStatus::Ok, "")]),
        turn("", vec![bad()]),
        turn("Answer: @", vec![]),
    ];
    let scored = scored(turns, Stop::Answer, &RewardConfig::default());
    assert_eq!(scored.states, ["", "5\n[no output]", "Invalid tool call: "]);
    assert_eq!(scored.calls, [r#"[["python",{}],["python",{}]]"#, "", ""]);
}
