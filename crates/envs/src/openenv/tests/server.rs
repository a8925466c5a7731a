//! The server itself: its end, its room, its silence, and what it leaves behind.

use super::*;

#[test]
fn a_server_that_ends_is_started_again() {
    let dies = r#"
def handle(session, message):
    if message["type"] == "step" and session.seed == 1:
        print("out of cheese"); os._exit(7)
    return usual(session, message)
serve(handle)"#;
    let env = open(dies, |_| ()).unwrap();
    let tasks: Vec<Task> = (0..2).map(|index| env.task(TaskSplit::Train, index).unwrap()).collect();
    for _ in 0..3 {
        let mut beside = session(&env, &tasks[0]).unwrap();
        let mut dying = session(&env, &tasks[1]).unwrap();
        assert!(says(&mut *beside, "hello").is_ok());
        let fault = says(&mut *dying, "hello").unwrap_err();
        let expect = "the server has ended (exit status: 7); the end of its stderr: out of cheese";
        assert_eq!((fault.message.as_str(), fault.cause), (expect, Cause::Shared));
        // Its session has ended with the server, and it wasn't to blame.
        assert_eq!(says(&mut *beside, "hello").unwrap_err().cause, Cause::Other);
    }
    let mut last = session(&env, &tasks[0]).unwrap();
    assert_eq!(reward(&says(&mut *last, "hello").unwrap()), 1.0 / 64.0);
    assert!(env.check().is_ok());
    let log = env.take_log();
    assert_eq!(log, ["env.openenv: out of cheese"; 3]);
}

#[test]
fn a_server_without_room_is_waited_for() {
    let env = open("serve(room=1)", |config| config.at_once = 4).unwrap();
    let tasks: Vec<Task> = (0..4).map(|index| env.task(TaskSplit::Train, index).unwrap()).collect();
    let first = session(&env, &tasks[0]).unwrap();
    let begun = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let played: Vec<_> = tasks[1..]
            .iter()
            .map(|task| {
                let (env, begun) = (&env, &begun);
                scope.spawn(move || {
                    let mut session = session(env, task).unwrap();
                    assert!(begun.load(Ordering::Acquire), "there was no room");
                    let reward = reward(&says(&mut *session, "hello").unwrap());
                    assert!(session.close().is_ok());
                    reward
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(200));
        begun.store(true, Ordering::Release);
        drop(first);
        for (seed, reward) in played.into_iter().enumerate() {
            assert_eq!(reward.join().unwrap(), (seed + 1) as f64 + 1.0 / 64.0);
        }
    });
    assert!(env.check().is_ok());
}

#[test]
fn room_that_somebody_else_keeps_is_waited_for_until_the_time_is_over() {
    let others = "serve(room=0)";
    let error = open(others, |config| config.start_seconds = 3.0).err().unwrap().to_string();
    assert!(error.contains("no room for a session for 3 s (CAPACITY_REACHED)"), "{error}");
}

#[test]
fn a_silent_session_answers_pings_and_hears_the_end() {
    // A server that pings, and waits for the pong before it answers anything.
    let pings = r#"
def handle(session, message):
    if message["type"] == "reset":
        session.say(usual(session, message))
        session.sock.sendall(frame(9, b"there?"))
        first, size = session.exactly(2)
        session.exactly(4 + (size & 127))
        if first & 15 != 10: return session.close()
        print("pong")
        return None
    return usual(session, message)
serve(handle)"#;
    let env = open(pings, |_| ()).unwrap();
    let task = env.task(TaskSplit::Train, 0).unwrap();
    let mut session = session(&env, &task).unwrap();
    let start = Instant::now();
    // No question is open meanwhile.
    while !env.take_log().iter().any(|line| line == "env.openenv: pong") {
        assert!(start.elapsed() < Duration::from_secs(20), "no pong");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(says(&mut *session, "hello").is_ok());
}

#[test]
fn a_server_that_runs_elsewhere_is_played_and_left_alone() {
    let env = open("serve(schema=CALLS)", |_| ()).unwrap();
    let url = env.server.address_for_tests();
    let other = OpenEnv::new(&OpenEnvConfig::at(url.replacen("ws:", "http:", 1) + "/")).unwrap();
    let task = other.task(TaskSplit::HeldOut, 0).unwrap();
    let step = |env: &OpenEnv| {
        let mut session = session(env, &task).unwrap();
        session.step(&Turn { calls: vec![look(1)], ..Turn::default() }, &[0]).unwrap()
    };
    let first = step(&other);
    drop(other);
    assert_eq!(step(&env), first);
    // Once the server is gone, the run that only connected to it ends after three tries.
    let gone = OpenEnv::new(&OpenEnvConfig::at(&url)).unwrap();
    drop(env);
    for _ in 0..3 {
        let why = session(&gone, &task).err().unwrap().message;
        assert!(why.contains(&format!("nothing listens at {url}")), "{why}");
    }
    let error = gone.check().unwrap_err().to_string();
    assert!(error.starts_with(&format!("env.openenv: url = {url:?}: failed 3 times in a row: ")), "{error}");
}

/// Returns whether a process of this number runs. One that is only not reaped yet doesn't.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[test]
fn the_server_and_what_it_started_end_with_the_environment() {
    let script = r#"
import signal, subprocess
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "600"])
print(os.getpid(), child.pid)
serve()"#;
    let env = open(script, |_| ()).unwrap();
    let start = Instant::now();
    let said = loop {
        if let Some(line) = env.take_log().pop() {
            break line;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "it told no numbers");
        std::thread::sleep(Duration::from_millis(5));
    };
    let pids: Vec<&str> = said.split(' ').skip(1).collect();
    assert!(pids.len() == 2 && pids.iter().all(|pid| lives(pid)), "{said}");
    drop(env);
    let end = Instant::now();
    while pids.iter().any(|pid| lives(pid)) {
        assert!(end.elapsed() < Duration::from_secs(5), "{said}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
