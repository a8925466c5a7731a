//! A lying, crashing, slow server of OpenEnv in a real process: each reward reaches its turn.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use turnwise_envs::{Env, OpenEnv, OpenEnvConfig, RewardConfig, TaskSplit, score};
use turnwise_tools::FormatName;
use turnwise_tools::executor::Echo;
use turnwise_trajectory::{CallRecord, Completion, Rewards, Role, Stop};

use super::{LIMITS, Speaker, spoken};
use crate::play::*;
use crate::testing::chat;

/// A server in Python whose answers are written below.
const SERVER: &str = include_str!("../../../../envs/tests/openenv/odd.py");

/// Says how it answers. Its errors are drawn by its clock: another play of the same tasks goes wrong
/// elsewhere.
///
/// Rewards are numbers that say task, sample and step. The sample is what the policy writes, so a reward on
/// another turn or trajectory is seen.
const ANSWERS: &str = r#"
chance = random.Random(f"{SEED} {os.getpid()} {time.time()}")
def answer(session, data):
    if data.get("type") == "call_tool":
        sample, n = data["arguments"]["sample"], data["arguments"]["n"]
        said = {"tool_name": "look", "result": f"{session.seed} {sample} {session.steps} {n}", "error": None}
    else:
        sample = int(data["message"].split()[0])
        said = {"message": f"heard {session.seed} {sample} {session.steps}"}
    reward = session.seed + sample / 64 + session.steps / 4096
    session.steps += 1
    return session.observe(said, reward, "the end" in data.get("message", ""))
def handle(session, message):
    data = message.get("data")
    if message["type"] != "step" or data.get("type") == "list_tools":
        return usual(session, message)
    time.sleep(chance.random() * 0.004)
    kind = chance.choice(KINDS) if chance.random() < RATE else ""
    if kind == "crash": os._exit(chance.randrange(3))
    if kind == "hang": return time.sleep(60)
    if kind == "nonsense": return "Segmentation fault"
    if kind == "close": return session.close()
    if kind == "cut": return session.sock.shutdown(2)
    if kind == "twice": right = answer(session, data); return session.say(right, right)
    if kind == "refuse": return session.refuse("EXECUTION_ERROR", "not now")
    if kind == "nan": return '{"type":"observation","data":{"observation":{},"reward":NaN,"done":false}}'
    if kind == "strange": return '{"type":"observation","data":{"reward":7}}'
    if kind == "state": return '{"type":"state","data":{}}'
    return answer(session, data)
LOOK["input_schema"]["properties"]["sample"] = {"type": "integer"}
serve(handle, CALLS if TOOLS else TEXT, ROOM)
"#;

const KINDS: [&str; 10] =
    ["crash", "hang", "nonsense", "close", "cut", "twice", "refuse", "nan", "strange", "state"];

#[derive(Debug, Clone)]
struct Case {
    kinds: Vec<&'static str>,
    /// Share of answers that are wrong.
    rate: f64,
    /// Whether the environment has a tool; it hears texts otherwise.
    tools: bool,
    /// Sessions that the server has room for.
    room: usize,
    /// Turns of each sample, before the last.
    turns: Vec<usize>,
    tasks: usize,
    seed: u32,
}

fn case() -> impl Strategy<Value = Case> {
    let kinds = proptest::sample::subsequence(KINDS.to_vec(), 1..=KINDS.len());
    let turns = proptest::collection::vec(0_usize..5, 1..5);
    (kinds, 0_u32..12, any::<bool>(), 1_usize..8, turns, 1_usize..5, any::<u32>()).prop_map(
        |(kinds, rate, tools, room, turns, tasks, seed)| {
            let rate = f64::from(rate) / 100.0;
            Case { kinds, rate, tools, room, turns, tasks, seed }
        },
    )
}

fn open(case: &Case) -> OpenEnv {
    let Case { kinds, rate, tools, room, seed, .. } = case;
    let settings = format!("KINDS, RATE, SEED, ROOM = {kinds:?}, {rate}, {seed}, {room}");
    let tools = if *tools { "True" } else { "False" };
    let program = format!("{SERVER}\n{settings}\nTOOLS = {tools}\n{ANSWERS}");
    let config = OpenEnvConfig::started_by(vec!["python3".into(), "-c".into(), program]);
    // Long where nothing goes wrong: a machine with other work answers slowly.
    let timeout_seconds = if *rate > 0.0 { 1.0 } else { 30.0 };
    OpenEnv::new(&OpenEnvConfig { timeout_seconds, right_from: 3.0, ..config }).unwrap()
}

/// Plays every sample of every task with `look`, which gets the game and the tasks. A sample writes its
/// number in each turn, and calls twice in each but the last if there is a tool.
fn played<T>(env: &OpenEnv, case: &Case, look: impl FnOnce(&Game<'_>, &[Task], &Played) -> T) -> T {
    let (chat, format) = (chat(), FormatName::Hermes.build());
    let game = Game {
        env,
        chat: &chat,
        format: &*format,
        executor: &Echo,
        limits: crate::limits::Limits { turn_tokens: 400, tokens: 8000, ..LIMITS },
        describe_tools: false,
        stop_at_call: false,
        keep_state: false,
    };
    let says = |_: &str, sample: u32, turn: usize| -> Completion {
        let last = turn == case.turns[sample as usize];
        let call = |n: usize| {
            let arguments = json!({"sample": sample, "n": n}).as_object().unwrap().clone();
            format.render(&turnwise_trajectory::ToolCall { name: "look".into(), arguments, span: 0..0 })
        };
        let rest = match (case.tools, last) {
            (true, false) => format!("{}\n{}", call(turn), call(turn + 10)),
            (_, true) => "the end".into(),
            (false, false) => "go on".into(),
        };
        spoken(&chat, &format!("{sample} is my number.\n{rest}"))
    };
    let tasks: Vec<Task> = (0..case.tasks).map(|at| env.task(TaskSplit::Train, at).unwrap()).collect();
    let asked: Vec<&Task> = tasks.iter().collect();
    let mut speaker = Speaker::again(&says);
    let played = play(&game, &asked, case.turns.len() as u32, &mut speaker, &mut |_, _| {}).unwrap();
    look(&game, &tasks, &played)
}

/// Returns the rewards of a turn.
fn rewards(case: &Case, task: usize, sample: u32, turn: usize, last: bool) -> Rewards {
    let steps = match (case.tools, last) {
        (true, false) => vec![2 * turn, 2 * turn + 1],
        (true, true) => vec![],
        (false, _) => vec![turn],
    };
    let mut rewards = Rewards::default();
    for step in steps {
        rewards.add("reward", task as f64 + f64::from(sample) / 64.0 + step as f64 / 4096.0);
    }
    rewards
}

fn output(call: &CallRecord) -> &str {
    match call {
        CallRecord::Executed { output, .. } => &output.stdout,
        CallRecord::Malformed(_) => "malformed",
    }
}

/// Checks every reward, output, reply and verdict of a trajectory.
fn check(trajectory: &Trajectory, task: usize, case: &Case) -> Result<(), TestCaseError> {
    let (sample, turns) = (trajectory.sample, case.turns[trajectory.sample as usize]);
    prop_assert_eq!(trajectory.turns.len(), turns + 1);
    prop_assert_eq!(trajectory.stop, Stop::Answer);
    let mut sum = 0.0;
    for (j, turn) in trajectory.turns.iter().enumerate() {
        let expect = rewards(case, task, sample, j, j == turns);
        sum += expect.get("reward");
        prop_assert_eq!(&turn.rewards, &expect);
        if case.tools {
            let called =
                [(2 * j, j), (2 * j + 1, j + 10)].map(|(step, n)| format!("{task} {sample} {step} {n}"));
            let called: Vec<&str> = called.iter().map(String::as_str).collect();
            let outputs: Vec<&str> = turn.calls.iter().map(output).collect();
            prop_assert_eq!(outputs, if j == turns { vec![] } else { called });
            prop_assert!(turn.reply.is_none());
        } else {
            prop_assert_eq!(turn.reply.as_ref().unwrap(), &format!("heard {task} {sample} {j}"));
        }
    }
    prop_assert_eq!(trajectory.verdict(), Some(sum >= 3.0 - 1e-9));
    Ok(())
}

/// Checks that a trajectory reads as a conversation, in which the rules of the format hold.
fn reads(game: &Game<'_>, task: &Task, trajectory: &Trajectory, case: &Case) -> Result<(), TestCaseError> {
    let scored = score(game.env, task, trajectory, &RewardConfig::default()).unwrap();
    prop_assert!(!scored.void_turn);
    // A turn that is answered needs no call; the only turn of an environment with tools does.
    let alone = case.tools && trajectory.turns.len() == 1;
    prop_assert_eq!(scored.violations.iter().filter(|violation| **violation).count(), usize::from(alone));
    let roles: Vec<Role> = game.conversation(task, trajectory).iter().map(|message| message.role).collect();
    prop_assert!(roles.windows(2).all(|pair| pair[0] != pair[1]) || case.tools, "{roles:?}");
    prop_assert_eq!((roles.first(), roles.last()), (Some(&Role::User), Some(&Role::Assistant)));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn rewards_of_a_server_reach_their_turns_whatever_it_does(case in case()) {
        let env = open(&case);
        played(&env, &case, |game, tasks, played| {
            let mut lost: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
            for one in &played.lost {
                lost.entry(&one.task).or_default().push(one.sample);
            }
            // Each loss took two faults.
            prop_assert!(played.env_faults >= 2 * played.lost.len() as u64, "{:?}", played.lost);
            if case.rate == 0.0 {
                prop_assert_eq!(played.env_faults, 0, "{:?}", played.lost);
            }
            for (task, group) in played.groups.iter().enumerate() {
                let mut samples: Vec<u32> = group.iter().map(|trajectory| trajectory.sample).collect();
                samples.extend(lost.get(tasks[task].id.as_str()).into_iter().flatten());
                samples.sort_unstable();
                // Each sample once: played or lost.
                prop_assert_eq!(samples, (0..case.turns.len() as u32).collect::<Vec<_>>());
                for trajectory in group {
                    check(trajectory, task, &case)?;
                    reads(game, &tasks[task], trajectory, &case)?;
                }
            }
            Ok(())
        })?;
    }
}

#[test]
fn a_conversation_without_an_end_ends_with_the_limit_of_turns() {
    let case =
        Case { kinds: vec![""], rate: 0.0, tools: false, room: 1, turns: vec![100, 0], tasks: 1, seed: 0 };
    let env = open(&case);
    played(&env, &case, |game, _, played| {
        let [endless, short] = &played.groups[0][..] else { panic!("{:?}", played.lost) };
        assert_eq!((endless.stop, endless.turns.len()), (Stop::TurnLimit, game.limits.turns));
        assert_eq!((short.stop, short.turns.len()), (Stop::Answer, 1));
        let observed = game.chat.text(&endless.turns[0].observation);
        assert!(observed.contains("user\nheard 0 0 0"), "{observed}");
        assert!(short.turns[0].observation.is_empty(), "the policy never reads what ends the episode");
    });
}
