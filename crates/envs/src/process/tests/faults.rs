//! Answers that break the contract, and processes that end: what they cost, and the line that says it.

use super::*;

#[test]
fn what_a_process_gets_wrong_costs_the_sessions_that_it_holds() {
    let odd = r#"
def answer(request):
    index = sessions[request["session"]][0] if request["method"] == "step" else 99
    if index == 0: return
    if index == 1: return say("Traceback")
    if index == 2: os._exit(3)
    value = usual(request)
    if index == 3: value["outputs"].append("one too many")
    rewarded = '{"id": %d, "result": {"outputs": ["x"], "rewards": {"a": %s}}}'
    if index == 4: return say(rewarded % (request["id"], "NaN"))
    if index == 5: return say(json.dumps({"id": request["id"], "error": {"message": "no such game"}}))
    if index == 6: return say(json.dumps({"id": 10 ** 9, "result": {}}))
    if index == 7: value["reward"] = 1
    if index == 8: return say(json.dumps({"id": request["id"], "result": {"rewards": {"a": "much"}}}))
    if index == 9: return say(rewarded % (request["id"], "1e999"))
    if index == 10: return (result(request, value), result(request, value))
    if index == 12: return say('"' + "x" * (17 << 20) + '"')
    if index == 13: os.kill(os.getpid(), 9)
    if index == 14: print("first\x1b[2J\nlast", file=sys.stderr, flush=True); os._exit(4)
    if index == 15: os.close(1); time.sleep(60)
    result(request, value)
main(answer)"#;
    let env = open(odd, |config| config.timeout_seconds = 1.5).unwrap();
    let tasks: Vec<Task> = (0..17).map(|index| env.task(TaskSplit::Train, index).unwrap()).collect();
    for (index, expect, process_ends) in [
        (0, "no answer for 1.5 s to step of train 0", true),
        (1, "it wrote \"Traceback\", which is no answer", true),
        (2, "the process has ended (exit status: 3)", true),
        (3, "env.process: step of train 3: 2 outputs for 1 calls", true),
        (4, "which is no answer", true),
        (5, "env.process: step of train 5: no such game", false),
        (6, "it answered the request 1000000000, which waits for no answer", true),
        (7, "unknown field `reward`", true),
        (8, "an answer that makes no sense", true),
        (9, "which is no answer", true),
        (12, "it wrote a line of more than 16 MiB: \"\\\"xxx", true),
        (13, "the process has ended (signal: 9 (SIGKILL))", true),
        (14, "(exit status: 4); the end of its stderr: first\\u{1b}[2J | last", true),
        (15, "the process has closed its stdout", true),
    ] {
        let mut beside = session(&env, &tasks[11]).unwrap();
        assert!(beside.step(&looks(), &[0]).is_ok(), "{index}");
        let mut odd = session(&env, &tasks[index]).unwrap();
        let fault = odd.step(&looks(), &[0]).unwrap_err().to_string();
        assert!(fault.starts_with("env.process: ") && fault.contains(expect), "{index}: {fault}");
        let after = beside.step(&looks(), &[0]);
        assert_eq!(after.is_err(), process_ends, "{index}: {after:?}");
    }
    // An answer that comes twice belongs to no request.
    let mut twice = session(&env, &tasks[10]).unwrap();
    let second = twice.step(&looks(), &[0]).and_then(|_| twice.step(&looks(), &[0]));
    assert!(second.unwrap_err().to_string().contains("which waits for no answer"));
    // The process that replaces it has none of its sessions.
    let mut last = session(&env, &tasks[16]).unwrap();
    assert_eq!(last.step(&looks(), &[0]).unwrap().rewards.get("place"), 16.0 + 1.0 / 64.0);
    assert!(env.check().is_ok());
    let log = env.take_log();
    for line in ["env.process 1: first\\u{1b}[2J", "env.process 1: last"] {
        assert!(log.iter().any(|said| said == line), "{log:?}");
    }
}

#[test]
fn three_failures_in_a_row_end_everything_in_one_line() {
    let dies = r#"
def answer(request):
    if request["method"] == "step": sys.exit("no module named game")
    result(request, usual(request))
main(answer)"#;
    let env = open(dies, |config| config.workers = 2).unwrap();
    // Resets are answered between the failures, and don't prove that it works.
    let tasks: Vec<Task> = (0..6).map(|index| env.task(TaskSplit::Train, index).unwrap()).collect();
    let task = &tasks[0];
    env.close_openings();
    let faults: Vec<String> = tasks
        .iter()
        .filter_map(|task| session(&env, task).and_then(|mut session| session.step(&looks(), &[0])).err())
        .map(|fault| fault.message)
        .collect();
    let expect = "the process has ended (exit status: 1); the end of its stderr: no module named game";
    assert_eq!(&faults[..5], [expect; 5]);
    let error = env.check().unwrap_err().to_string();
    assert!(error.starts_with("env.process: command = [\"python3\", "), "{error}");
    assert!(error.lines().next().unwrap().len() < 600, "{error}");
    let (line, hint) = error.rsplit_once('\n').unwrap();
    let worker = |number: u32| format!(", worker {number}: failed 3 times in a row: {expect}");
    assert!(line.ends_with(&worker(1)) || line.ends_with(&worker(2)), "{error}");
    assert!(hint.starts_with("  hint: ") && faults[5].contains("failed 3 times in a row"), "{hint}");
    assert!(session(&env, task).is_err(), "the other worker asks no more either");
    assert_eq!(env.task(TaskSplit::Train, 7).unwrap_err().to_string(), error);
}

#[test]
fn a_task_is_asked_for_again_after_a_fault() {
    // The first process dies of any reset, and the second one refuses the first.
    let folder = tempfile::tempdir().unwrap();
    let script = r#"
second = os.path.exists(FLAG)
open(FLAG, "w")
first = [True]
def answer(request):
    if request["method"] == "reset" and first:
        first.clear()
        if not second: os._exit(1)
        return say(json.dumps({"id": request["id"], "error": {"message": "not yet"}}))
    result(request, usual(request))
main(answer)"#;
    let script = script.replace("FLAG", &format!("{:?}", folder.path().join("born")));
    let env = open(&script, |_| ()).unwrap();
    assert_eq!(env.task(TaskSplit::Train, 4).unwrap().id, "train/4");
    let never = r#"
def answer(request):
    if request["method"] == "describe": return result(request, usual(request))
    say(json.dumps({"id": request["id"], "error": {"message": "no\nsuch task"}}))
main(answer)"#;
    assert_eq!(unopened(never, TaskSplit::HeldOut, 4), "reset of held_out 4: no\\nsuch task");
}

#[test]
fn two_resets_that_give_two_tasks_are_a_fault() {
    let odd = r#"
def answer(request):
    value = usual(request)
    if request["method"] == "reset": value["messages"][0]["content"] += request["session"]
    result(request, value)
main(answer)"#;
    let env = open(odd, |_| ()).unwrap();
    let task = env.task(TaskSplit::Train, 2).unwrap();
    let first = session(&env, &task).unwrap();
    let fault = session(&env, &task).err().unwrap().message;
    drop(first);
    assert!(fault.starts_with("two resets of train 2 give two tasks: "), "{fault}");
    let (a, b) = ("s0\\\"", "s1\\\"");
    assert!(fault.contains(a) && fault.contains(b) && fault.contains("\n  hint: equal seeds"), "{fault}");
}

#[test]
fn an_id_that_every_record_would_hold_is_bounded() {
    let long = r#"
def answer(request):
    value = usual(request)
    if request["method"] == "reset": value["task"] = "x" * 4097
    result(request, value)
main(answer)"#;
    let why = unopened(long, TaskSplit::Train, 0);
    assert_eq!(why, "reset of train 0: an id of 4097 bytes, at most 4096");
}

#[test]
fn settings_that_cannot_serve_are_named() {
    let config = |command: &[&str]| {
        let command = command.iter().map(ToString::to_string).collect();
        Process::new(&ProcessConfig { timeout_seconds: 1.0, ..ProcessConfig::of(command) })
    };
    for (result, expect) in [
        (config(&[]), "command = [] names no program"),
        (config(&["no-such-command"]), "doesn't start"),
        (config(&["python3", "-c", "pass"]), "describe: the process has ended (exit status: 0)"),
        (config(&["python3", "-c", "import no_such"]), "No module named 'no_such'\n  hint: run "),
        (config(&["python3", "-c", "input(); print('{\"id\":1,\"result\":{}}')"]), "missing field `train`"),
        (config(&["python3", "-c", "print({'id': float('nan')})"]), "\n  hint: stdout is for answers"),
        (config(&["python3", "-c", "print('{\"id\": NaN}')"]), "NaN is no finite number\n  hint: "),
        (
            config(&["python3", "-c", "print('{\"id\": -Infinity}')"]),
            "Infinity is no finite number\n  hint: ",
        ),
        (
            config(&["python3", "-c", "input(); print('{\"id\":1,\"result\":[10,5]}')"]),
            "describe: an answer that makes no sense: a list, expected an object",
        ),
        (config(&["sleep", "9"]), "no answer for 1 s\n  hint: env.process.timeout_seconds bounds the start"),
        (
            open(&USUAL.replace("usual(request)", "{**usual(request), 'builtin': ['bash']}"), |_| ()),
            "turnwise has the tool \"python\" only",
        ),
        (
            open(&USUAL.replace("usual(request)", "{**usual(request), 'tools': [TOOL, TOOL]}"), |_| ()),
            "two tools are called \"look\"",
        ),
        (
            open(
                &USUAL.replace(
                    "usual(request)",
                    "{**usual(request), 'tools': [{'name': 'f', 'parameters': {'type': 'objekt'}}]}",
                ),
                |_| (),
            ),
            "parameters.type: \"objekt\" is no type of JSON schema (did you mean \"object\"?)",
        ),
        (
            open(&USUAL.replace("usual(request)", "{**usual(request), 'train': 2**62}"), |_| ()),
            "train is 4611686018427387904, expected a whole number from 0 to 16777216",
        ),
    ] {
        let error = result.err().unwrap().to_string();
        assert!(error.starts_with("env.process: ") && error.contains(expect), "{error}");
    }
}
