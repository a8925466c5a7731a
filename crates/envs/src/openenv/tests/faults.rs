//! Answers and sessions that go wrong, and what they cost.

use super::*;

#[test]
fn what_a_session_gets_wrong_costs_its_trajectory_only() {
    let odd = r#"
def handle(session, message):
    value = usual(session, message)
    if message["type"] != "step": return value
    seed = session.seed
    if seed == 0: return time.sleep(60)
    if seed == 1: return "Traceback"
    if seed == 2: return json.dumps({"type": "observation", "data": {"reward": 1.0}})
    if seed == 3: return session.close()
    if seed == 4: return session.sock.shutdown(2)
    if seed == 5: return session.refuse("EXECUTION_ERROR", "no such\nmove \x1b[2J")
    if seed == 6: return value.replace('"reward": 6.015625', '"reward": NaN')
    if seed == 7: return value.replace('"reward": 7.015625', '"reward": 1e999')
    if seed == 8: return session.sock.sendall(frame(2, value.encode()))
    if seed == 9: return '"' + "x" * (17 << 20) + '"'
    if seed == 10: return json.dumps({"type": "state", "data": {}})
    if seed == 11: return session.refuse("VALIDATION_ERROR", "Invalid message", errors=[{"msg": "too short"}])
    if seed == 12: return session.sock.sendall(b"\xff" * 20)
    if seed == 14:
        for byte in frame(1, value.encode()): session.sock.sendall(bytes([byte])); time.sleep(0.05)
        return
    if seed == 15: return session.say(value, value)
    return value
serve(handle)"#;
    let env = open(odd, |config| config.timeout_seconds = 1.0).unwrap();
    let tasks: Vec<Task> = (0..16).map(|index| env.task(TaskSplit::Train, index).unwrap()).collect();
    let mut beside = session(&env, &tasks[13]).unwrap();
    for (seed, expect) in [
        (0, "no answer for 1 s"),
        (1, "it said \"Traceback\", which is no answer"),
        (2, "which is no answer: data: missing field `observation`"),
        (3, "the server has closed the session (1011 gone)"),
        (4, "the connection is lost"),
        (5, "EXECUTION_ERROR: no such move \\u{1b}[2J"),
        (6, "which is no answer"),
        (7, "which is no answer"),
        (8, "it said bytes instead of a text"),
        (9, "Space limit exceeded"),
        (10, "it told its state, and a step was asked for"),
        (12, "WebSocket protocol error"),
        (14, "no answer for 1 s"),
    ] {
        let mut odd = session(&env, &tasks[seed]).unwrap();
        let fault = says(&mut *odd, "hello").unwrap_err().to_string();
        assert!(fault.starts_with("env.openenv: ") && fault.contains(expect), "{seed}: {fault}");
        assert!(!fault.contains('\n'), "{fault}");
        assert!(says(&mut *beside, "hello").is_ok(), "{seed}");
        assert!(env.check().is_ok(), "a turn was answered between the failures");
    }
    // An action that the environment refuses is the policy's mistake.
    let mut refused = session(&env, &tasks[11]).unwrap();
    let step = says(&mut *refused, "").unwrap();
    assert_eq!((step.message.as_deref(), step.done), (Some("Invalid message: too short"), false));
    assert!(step.rewards.is_empty());
    // An answer that comes twice would be taken for the next one's.
    for close in [false, true] {
        let mut twice = session(&env, &tasks[15]).unwrap();
        assert_eq!(reward(&says(&mut *twice, "hello").unwrap()), 15.0 + 1.0 / 64.0);
        let fault = if close { twice.close().map(drop) } else { says(&mut *twice, "hello").map(drop) };
        assert!(fault.unwrap_err().message.contains("which nothing asked for"));
    }
}

#[test]
fn a_seed_that_cannot_be_opened_costs_its_trajectories_until_it_can() {
    let odd = r#"
refused = []
def handle(session, message):
    if message["type"] == "reset" and len(refused) < 3:
        refused.append(1)
        return session.refuse("EXECUTION_ERROR", "bad seed")
    return usual(session, message)
serve(handle)"#;
    let env = open(odd, |_| ()).unwrap();
    let task = || env.task(TaskSplit::Train, 2).unwrap();
    let Err(fault) = session(&env, &task()) else { panic!("it was opened") };
    assert!(fault.message.contains("reset of seed 2: EXECUTION_ERROR: bad seed"), "{}", fault.message);
    assert!(env.check().is_ok(), "others can be played");
    let task = task();
    assert!(says(&mut *session(&env, &task).unwrap(), "hello").is_ok(), "its next draw asks again");
}

#[test]
fn three_failures_in_a_row_end_everything_in_one_line() {
    let dies = r#"
def handle(session, message):
    if message["type"] == "step": os._exit(7)
    return usual(session, message)
serve(handle)"#;
    let env = open(dies, |_| ()).unwrap();
    let task = env.task(TaskSplit::Train, 0).unwrap();
    for index in [0, 0, 0, 0, 1, 2] {
        // Four failures of one task may be the task's.
        assert!(env.check().is_ok());
        let task = env.task(TaskSplit::Train, index).unwrap();
        env.close_openings();
        assert!(session(&env, &task).and_then(|mut session| says(&mut *session, "hello")).is_err());
    }
    let error = env.check().unwrap_err().to_string();
    let (line, hint) = error.split_once('\n').unwrap();
    assert!(line.starts_with("env.openenv: command = [\"python3\", \"-u\", \"-c\", "), "{error}");
    assert!(line.ends_with("failed 6 times in a row: the server has ended (exit status: 7)"), "{error}");
    assert!(hint.starts_with("  hint: ") && line.len() < 400, "{error}");
    assert!(session(&env, &task).is_err());
    assert_eq!(env.task(TaskSplit::Train, 3).unwrap_err().to_string(), error);
}

#[test]
fn a_session_whose_reset_gives_another_task_is_a_fault() {
    let odd = r#"
count = [0]
def handle(session, message):
    if message["type"] != "reset": return usual(session, message)
    count[0] += 1
    return session.observe({"prompt": f"game {count[0]}"})
serve(handle)"#;
    let env = open(odd, |_| ()).unwrap();
    let task = env.task(TaskSplit::Train, 5).unwrap();
    assert!(session(&env, &task).is_ok(), "the session that read it");
    let fault = session(&env, &task).err().unwrap().message;
    assert!(fault.starts_with("two resets of seed 5 give two tasks: "), "{fault}");
    let again = || open(odd, |_| ()).unwrap();
    let found = difference(&again(), &again(), &Echo).unwrap().unwrap();
    assert!(found.starts_with("train 0, the opening: "), "{found}");
    // A server may have room for one session, however many the run would play at a time.
    for server in ["serve(schema=CALLS)", "serve(schema=CALLS, room=1)"] {
        let same = || open(server, |_| ()).unwrap();
        assert_eq!(difference(&same(), &same(), &Echo), Ok(None), "{server}");
    }
    let random = r#"
def handle(session, message):
    answer = json.loads(usual(session, message))
    if message["type"] == "step": answer["data"]["reward"] = random.random()
    return json.dumps(answer)
serve(handle)"#;
    let random = || open(random, |_| ()).unwrap();
    let found = difference(&random(), &random(), &Echo).unwrap().unwrap();
    assert!(found.starts_with("train 0, turn 1, its rewards: "), "{found}");
}
