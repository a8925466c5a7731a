//! Order and time of answers, and the end of the processes.

use super::*;

#[test]
fn answers_in_any_order_reach_their_sessions() {
    let slow = "main(lambda request: after(random.random() * 0.01, request, usual(request)))";
    for workers in [1, 3] {
        let env = open(slow, |config| config.workers = workers).unwrap();
        let tasks: Vec<Task> = (0..24).map(|index| env.task(TaskSplit::Train, index).unwrap()).collect();
        std::thread::scope(|scope| {
            for (index, task) in tasks.iter().enumerate() {
                let env = &env;
                scope.spawn(move || {
                    let mut session = session(env, task).unwrap();
                    for turn in 1..6 {
                        let step = session.step(&looks(), &[0]).unwrap();
                        assert_eq!(step.outputs, [ToolOutput::says(format!("look {index}"))]);
                        assert_eq!(step.rewards.get("place"), index as f64 + f64::from(turn) / 64.0);
                    }
                    assert_eq!(session.close().unwrap().correct, None);
                });
            }
        });
    }
}

#[test]
fn a_process_that_answers_one_after_the_other_is_in_time_if_each_is() {
    let slow = r#"
def answer(request):
    if request["method"] == "step": time.sleep(0.4)
    result(request, usual(request))
main(answer)"#;
    let env = open(slow, |config| config.timeout_seconds = 1.0).unwrap();
    let task = env.task(TaskSplit::Train, 0).unwrap();
    std::thread::scope(|scope| {
        let steps: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| session(&env, &task).unwrap().step(&looks(), &[0]).map(drop)))
            .collect();
        for step in steps {
            step.join().unwrap().unwrap();
        }
    });
}

#[test]
fn an_answer_that_never_comes_is_missed_though_others_do() {
    let deaf = r#"
def answer(request):
    if request["method"] == "step" and sessions[request["session"]][0] == 0: return
    result(request, usual(request))
main(answer)"#;
    let env = open(deaf, |config| config.timeout_seconds = 1.0).unwrap();
    let tasks: Vec<Task> = (0..2).map(|index| env.task(TaskSplit::Train, index).unwrap()).collect();
    let ended = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut busy = session(&env, &tasks[1]).unwrap();
            let mut answered = 0_u64;
            while !ended.load(Ordering::Relaxed) && busy.step(&looks(), &[0]).is_ok() {
                answered += 1;
            }
            assert!(answered > 0);
        });
        let fault = session(&env, &tasks[0]).unwrap().step(&looks(), &[0]).unwrap_err();
        ended.store(true, Ordering::Relaxed);
        assert!(fault.message.starts_with("no answer for 1 s"), "{fault}");
    });
}

/// Returns whether a process of this number runs. One that is only not reaped yet doesn't.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[test]
fn processes_end_with_their_stdin_and_take_those_that_they_started_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let read = |name: &str| std::fs::read_to_string(file(name)).unwrap_or_default();
    // One cleans up after its stdin, the other ignores its end. Both have a child that does.
    let script = |ends: &str| {
        format!(
            r#"
import subprocess
child = subprocess.Popen(["sleep", "600"])
open({:?}, "w").write(f"{{os.getpid()}} {{child.pid}}")
{USUAL}
{ends}"#,
            file("pids")
        )
    };
    let cleans = script(&format!("time.sleep(0.2); open({:?}, 'w').write('clean')", file("ended")));
    for (script, clean) in [(cleans, "clean"), (script("time.sleep(600)"), "")] {
        drop(open(&script, |config| config.workers = 1).unwrap());
        assert_eq!(read("ended"), clean);
        // A signal takes a moment.
        std::thread::sleep(Duration::from_millis(100));
        let pids = read("pids");
        assert_eq!(pids.split(' ').filter(|pid| lives(pid)).count(), 0, "{pids}");
        let _ = std::fs::remove_file(file("ended"));
    }
}
