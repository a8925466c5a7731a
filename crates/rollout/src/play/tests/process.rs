//! A lying, crashing, slow environment in a real process: each reward reaches its turn.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use turnwise_envs::{Env, EnvError, Process, ProcessConfig, TaskSplit};
use turnwise_tools::FormatName;
use turnwise_tools::executor::Echo;
use turnwise_trajectory::{CallRecord, Completion, Rewards, Stop};

use super::{LIMITS, Speaker, spoken};
use crate::limits::Limits;
use crate::play::*;
use crate::testing::chat;

/// How a process answers. Whatever it gets wrong is drawn by its own clock and the number of its processes:
/// another play of the same tasks goes wrong elsewhere.
///
/// A session's rewards are numbers that say task, sample and turn. The sample is what the policy writes, so a
/// reward on another turn or trajectory is seen.
const ENVIRONMENT: &str = r#"
import json, os, random, sys, threading, time
chance = random.Random(f"{SEED} {os.getpid()} {time.time()}")
lock = threading.Lock()
sessions, busy = {}, []
def say(text):
    with lock:
        os.write(1, (text + "\n").encode())
def answer(request):
    method, name = request["method"], request.get("session")
    if method == "describe":
        tool = {"name": "look", "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}}}
        return {"train": 1000, "held_out": 0, "tools": [tool]}
    if method == "reset":
        sessions[name] = [request["index"], 0, 0]
        message = {"role": "user", "content": "Look."}
        return {"task": str(request["index"]), "messages": [message]}
    session = sessions[name]
    if method == "close":
        del sessions[name]
        late = {"late": session[0] + session[2] / 64, "place": 1000}
        return {"rewards": late, "correct": session[2] % 2 == 0}
    session[2] = int(request["text"].split()[0])
    reward = session[0] + session[2] / 64 + session[1] / 4096
    session[1] += 1
    outputs = [f"{session[0]} {session[2]} {session[1]} {call['arguments']['n']}" for call in request["calls"]]
    return {"outputs": outputs, "rewards": {"place": reward}}
def deadly(request):
    return request["method"] == "step" and sessions[request["session"]][0] in DEADLY
def wrong(request):
    kind = chance.choice(KINDS) if chance.random() < RATE else ""
    if kind == "crash": os._exit(chance.randrange(3))
    if kind == "hang": time.sleep(60)
    if kind == "nonsense": say("Segmentation fault")
    if kind == "stranger": say(json.dumps({"id": request["id"] + 1000000, "result": {}}))
    if kind == "refuses": say(json.dumps({"id": request["id"], "error": {"message": "not now"}}))
    if kind == "nan": say('{"id": %d, "result": {"rewards": {"place": NaN}}}' % request["id"])
    if kind == "more": say(json.dumps({"id": request["id"], "result": {"outputs": ["a"] * 9, "rewards": {"place": 7}}}))
    if kind == "strange": say(json.dumps({"id": request["id"], "result": {"reward": {"place": 7}}}))
    return kind
for line in sys.stdin:
    request = json.loads(line)
    if deadly(request): os._exit(5)
    kind = wrong(request) if request["method"] in ("step", "close") else ""
    if kind not in ("", "twice"): continue
    done = json.dumps({"id": request["id"], "result": answer(request)})
    if kind == "twice": say(done)
    threading.Timer(chance.random() * 0.004, say, (done,)).start()
"#;

#[derive(Debug, Clone)]
struct Case {
    kinds: Vec<&'static str>,
    /// Share of answers that are wrong.
    rate: f64,
    workers: usize,
    /// Turns of each sample, before the answer.
    turns: Vec<usize>,
    tasks: usize,
    seed: u32,
    /// Tasks whose steps end the process.
    deadly: Vec<usize>,
}

fn case() -> impl Strategy<Value = Case> {
    let all = ["crash", "hang", "nonsense", "stranger", "twice", "refuses", "nan", "more", "strange"];
    let kinds = proptest::sample::subsequence(all.to_vec(), 1..=all.len());
    let turns = proptest::collection::vec(0_usize..5, 1..5);
    (kinds, 0_u32..12, 1_usize..4, turns, 1_usize..5, any::<u32>()).prop_map(
        |(kinds, rate, workers, turns, tasks, seed)| Case {
            kinds,
            rate: f64::from(rate) / 100.0,
            workers,
            turns,
            tasks,
            seed,
            deadly: vec![],
        },
    )
}

fn open(case: &Case) -> Result<Process, EnvError> {
    let Case { kinds, rate, workers, seed, deadly, .. } = case;
    let settings = format!("KINDS, RATE, SEED, DEADLY = {kinds:?}, {rate}, {seed}, {deadly:?}");
    let program = format!("{settings}\n{ENVIRONMENT}");
    let command = vec!["python3".into(), "-c".into(), program];
    // Short only where a process hangs: a machine with other work starts Python slowly.
    let timeout_seconds = if kinds.contains(&"hang") && *rate > 0.0 { 3.0 } else { 30.0 };
    Process::new(&ProcessConfig { workers: *workers, timeout_seconds, ..ProcessConfig::of(command) })
}

/// Plays every sample of every task. A sample writes its number, and calls twice in each turn but the last.
fn played(env: &Process, case: &Case) -> Played {
    played_within(env, case, USUAL)
}

const USUAL: Limits = Limits { turn_tokens: 400, tokens: 8000, ..LIMITS };

fn played_within(env: &Process, case: &Case, limits: Limits) -> Played {
    let (chat, format) = (chat(), FormatName::Hermes.build());
    let game = Game {
        env,
        chat: &chat,
        format: &*format,
        executor: &Echo,
        limits,
        describe_tools: false,
        stop_at_call: false,
        keep_state: false,
    };
    let says = |_: &str, sample: u32, turn: usize| -> Completion {
        let call = |n: usize| {
            let arguments = json!({"n": n}).as_object().unwrap().clone();
            format.render(&turnwise_trajectory::ToolCall { name: "look".into(), arguments, span: 0..0 })
        };
        let calls = if turn < case.turns[sample as usize] {
            format!("{}\n{}", call(turn), call(turn + 10))
        } else {
            String::new()
        };
        spoken(&chat, &format!("{sample} is my number.\n{calls}"))
    };
    let tasks: Vec<Task> = (0..case.tasks).map(|at| env.task(TaskSplit::Train, at).unwrap()).collect();
    let tasks: Vec<&Task> = tasks.iter().collect();
    let mut speaker = Speaker::again(&says);
    play(&game, &tasks, case.turns.len() as u32, &mut speaker, &mut |_, _| {}).unwrap()
}

/// Checks every reward, output and verdict of a trajectory.
fn check(trajectory: &Trajectory, task: usize, case: &Case) -> Result<(), TestCaseError> {
    let (sample, turns) = (trajectory.sample, case.turns[trajectory.sample as usize]);
    prop_assert_eq!(trajectory.turns.len(), turns + 1);
    prop_assert_eq!(trajectory.verdict(), Some(sample % 2 == 0));
    let of_sample = task as f64 + f64::from(sample) / 64.0;
    for (j, turn) in trajectory.turns.iter().enumerate() {
        let mut expect: Rewards = [("place", of_sample + j as f64 / 4096.0)].into_iter().collect();
        if j == turns {
            expect.extend(&[("late", of_sample), ("place", 1000.0)].into_iter().collect());
        }
        prop_assert_eq!(&turn.rewards, &expect);
        let outputs: Vec<&str> = turn
            .calls
            .iter()
            .map(|call| match call {
                CallRecord::Executed { output, .. } => output.stdout.as_str(),
                CallRecord::Malformed(_) => "malformed",
            })
            .collect();
        let called = [j, j + 10].map(|n| format!("{task} {sample} {} {n}", j + 1));
        prop_assert_eq!(
            outputs,
            if j == turns { vec![] } else { called.iter().map(String::as_str).collect() }
        );
    }
    Ok(())
}

#[test]
fn rewards_of_the_end_are_on_the_last_turn_however_it_ended() {
    let case =
        Case { kinds: vec![], rate: 0.0, workers: 1, turns: vec![3], tasks: 1, seed: 0, deadly: vec![] };
    let env = open(&case).unwrap();
    let end = |limits: Limits| played_within(&env, &case, limits).groups.remove(0).remove(0);
    let whole = end(USUAL);
    // The first turn and its observation fill this limit: a second turn has no room.
    let full = whole.prompt.len() + whole.turns[0].tokens.len() + whole.turns[0].observation.len();
    for (limits, stop, turns) in [
        (USUAL, Stop::Answer, 4),
        (Limits { turns: 2, ..USUAL }, Stop::TurnLimit, 2),
        (Limits { turn_tokens: 6, ..USUAL }, Stop::Truncated, 1),
        (Limits { tokens: full, ..USUAL }, Stop::ContextLimit, 1),
    ] {
        let found = end(limits);
        assert_eq!((found.stop, found.turns.len()), (stop, turns));
        let (last, earlier) = found.turns.split_last().unwrap();
        assert!(last.rewards.has("late") && last.rewards.get("place") >= 1000.0, "{stop:?}: {last:?}");
        assert!(earlier.iter().all(|turn| !turn.rewards.has("late") && turn.rewards.get("place") < 1.0));
        assert_eq!(found.verdict(), Some(true), "{stop:?}");
    }
}

/// The rule: a process that ends costs the task that ends it, and no other.
#[test]
fn a_task_that_ends_its_process_costs_no_neighbour() {
    for workers in [1, 2] {
        let turns = vec![1, 2, 0, 3, 1, 2];
        let case = Case { kinds: vec![], rate: 0.0, workers, turns, tasks: 8, seed: 0, deadly: vec![0, 5] };
        let env = open(&case).unwrap();
        let played = played(&env, &case);
        assert!(env.check().is_ok(), "two tasks are no failure of the environment");
        let mut lost: Vec<(&str, u32)> =
            played.lost.iter().map(|lost| (lost.task.as_str(), lost.sample)).collect();
        lost.sort_unstable();
        let expect: Vec<(&str, u32)> =
            ["0", "5"].into_iter().flat_map(|t| (0..6).map(move |s| (t, s))).collect();
        assert_eq!(lost, expect);
        assert!(played.lost.iter().all(|lost| lost.reason.contains("(exit status: 5)")), "{:?}", played.lost);
        for (task, group) in played.groups.iter().enumerate().filter(|(task, _)| ![0, 5].contains(task)) {
            assert_eq!(group.len(), 6, "task {task}");
            for trajectory in group {
                check(trajectory, task, &case).unwrap();
            }
        }
        // No trajectory is played more than six times.
        assert!(played.env_faults <= 6 * 48, "{}", played.env_faults);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn rewards_of_a_process_reach_their_turns_whatever_it_does(case in case()) {
        let env = open(&case).unwrap();
        let played = played(&env, &case);
        let mut lost: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for one in &played.lost {
            lost.entry(&one.task).or_default().push(one.sample);
        }
        // Each loss took two faults.
        prop_assert!(played.env_faults >= 2 * played.lost.len() as u64, "{:?}", played.lost);
        if case.rate == 0.0 {
            prop_assert_eq!(played.env_faults, 0);
        }
        for (task, group) in played.groups.iter().enumerate() {
            let mut samples: Vec<u32> = group.iter().map(|trajectory| trajectory.sample).collect();
            samples.extend(lost.get(task.to_string().as_str()).into_iter().flatten());
            samples.sort_unstable();
            // Each sample once: played or lost.
            prop_assert_eq!(samples, (0..case.turns.len() as u32).collect::<Vec<_>>());
            for trajectory in group {
                check(trajectory, task, &case)?;
            }
        }
    }
}
