//! Sessions of one process: whose fault its end is, which of them plays a task, and how many it holds.

use turnwise_tools::Cause;

use super::*;

#[test]
fn a_task_that_ends_its_process_ends_no_run_and_blames_no_neighbour() {
    let dies = r#"
def answer(request):
    if request["method"] == "step" and sessions[request["session"]][0] == 3: os._exit(7)
    if request["method"] == "step" and sessions[request["session"]][0] == 5: return
    result(request, usual(request))
main(answer)"#;
    let env = open(dies, |_| ()).unwrap();
    let tasks: Vec<Task> = [3, 4, 5].map(|index| env.task(TaskSplit::Train, index).unwrap()).into();
    for _ in 0..6 {
        // One waits for an answer that never comes, one for nothing, and one ends the process.
        let [mut dying, mut idle, mut waiting] = [0, 1, 2].map(|at| session(&env, &tasks[at]).unwrap());
        let (dies, waits) = std::thread::scope(|scope| {
            let waits = scope.spawn(|| waiting.step(&looks(), &[0]).unwrap_err());
            std::thread::sleep(Duration::from_millis(300));
            (dying.step(&looks(), &[0]).unwrap_err(), waits.join().unwrap())
        });
        assert_eq!((dies.cause, waits.cause), (Cause::Shared, Cause::Shared), "{dies} {waits}");
        assert_eq!(idle.step(&looks(), &[0]).unwrap_err().cause, Cause::Other);
    }
    // Every failure can be that of one task.
    assert!(env.check().is_ok());
}

#[test]
fn the_session_that_read_a_task_plays_it_and_no_reset_is_wasted() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let script = r#"
def answer(request):
    if request["method"] in ("reset", "close"): open(LOG, "a").write(request["method"] + "\n")
    if request["method"] == "reset": return after(0.3, request, usual(request))
    result(request, usual(request))
main(answer)"#;
    let script = script.replace("LOG", &format!("{log:?}"));
    let told = |method: &str| {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.lines().filter(|line| *line == method).count()
    };
    let env = open(&script, |_| ()).unwrap();
    let started = std::time::Instant::now();
    let tasks = crate::read_tasks(&env, TaskSplit::Train, &(0..12).collect::<Vec<_>>()).unwrap();
    assert!(started.elapsed() < Duration::from_secs(2), "one after the other they take 3.6 s");
    assert_eq!((told("reset"), told("close")), (12, 0));
    for task in &tasks {
        let mut first = session(&env, task).unwrap();
        first.step(&looks(), &[0]).unwrap();
        first.close().unwrap();
    }
    assert_eq!((told("reset"), told("close")), (12, 12), "each session was played");
    let again = crate::read_tasks(&env, TaskSplit::Train, &[3, 3, 20, 5]).unwrap();
    assert_eq!((&again[0], &again[1], told("reset")), (&tasks[3], &tasks[3], 13), "known ones need none");
    // Those that nothing has played in are closed by the next reading.
    crate::read_tasks(&env, TaskSplit::Train, &[3]).unwrap();
    let mut last = session(&env, &tasks[3]).unwrap();
    last.step(&looks(), &[0]).unwrap();
    assert_eq!((told("reset"), told("close")), (14, 13));
}

#[test]
fn a_process_with_room_for_one_session_never_holds_two() {
    let narrow = r#"
open_now = set()
def answer(request):
    value = usual(request)
    if request["method"] == "reset": open_now.add(request["session"])
    if request["method"] == "close": open_now.discard(request["session"])
    if len(open_now) > 1: os._exit(9)
    result(request, value)
main(answer)"#;
    for workers in [1, 3] {
        let env = open(narrow, |config| (config.workers, config.at_once) = (workers, 1)).unwrap();
        assert_eq!(env.sessions_at_once(), workers);
        let tasks = crate::read_tasks(&env, TaskSplit::Train, &(0..8).collect::<Vec<_>>()).unwrap();
        std::thread::scope(|scope| {
            for task in &tasks {
                let env = &env;
                scope.spawn(move || {
                    let mut session = session(env, task).unwrap();
                    (0..3).for_each(|_| drop(session.step(&looks(), &[0]).unwrap()));
                    session.close().unwrap();
                });
            }
        });
    }
}
