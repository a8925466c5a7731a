//! Plays the worked examples of `env.process`, with the libraries of their authors.

mod endpoint;
mod installed;

use std::path::PathBuf;
use std::process::Command;

use serde_json::json;
use turnwise_envs::{
    Closing, Env, Process, ProcessConfig, RewardConfig, Session, Start, Step, Task, TaskSplit, score,
};
use turnwise_tools::executor::Echo;
use turnwise_trajectory::{CallRecord, OutputStatus, Stop, ToolCall, ToolOutput, Trajectory, Turn};

fn python_with(module: &str, package: &str) -> Option<String> {
    installed::python_with(module, package, &[&[package]])
}

fn example(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/process");
    folder.join(name).display().to_string()
}

/// Opens an example, after it has tested itself.
fn open(python: &str, name: &str, arguments: &[&str]) -> Process {
    let (program, checks) = (example(name), ["--check"]);
    let output = Command::new(python).arg(&program).args(arguments).args(checks).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("equal tasks get equal answers"), "{name}: {said}");
    let command = [python, &program].into_iter().chain(arguments.iter().copied());
    let command = command.map(String::from).collect();
    // Some libraries load slowly on a machine with other work.
    Process::new(&ProcessConfig { timeout_seconds: 120.0, ..ProcessConfig::of(command) }).unwrap()
}

fn session<'a>(env: &'a Process, task: &'a Task) -> Box<dyn Session + 'a> {
    env.session(Start::first(task, &Echo)).unwrap().session
}

/// Sends a text to a session, without a call.
fn says(session: &mut dyn Session, text: &str) -> Step {
    session.step(&Turn { text: text.into(), ..Turn::default() }, &[]).unwrap()
}

/// Ends a session after its last step. Returns its late rewards, and whether scoring takes it for right.
fn ends(env: &Process, task: &Task, session: &mut dyn Session, last: Step) -> (Closing, bool) {
    let closing = session.close().unwrap();
    let mut turn =
        Turn { rewards: last.rewards, correct: closing.correct.or(last.correct), ..Turn::default() };
    turn.rewards.extend(&closing.rewards);
    let (task_id, turns, stop) = (task.id.clone(), vec![turn], Stop::Done);
    let played = Trajectory { task: task_id, sample: 0, prompt: vec![0], turns, stop };
    (closing, score(env, task, &played, &RewardConfig::default()).unwrap().correct)
}

#[test]
fn any_generator_of_reasoning_gym_scores_answers() {
    let Some(python) = python_with("reasoning_gym", "reasoning-gym==0.1.25") else { return };
    for (generator, settings) in [("chain_sum", r#"{"max_terms": 3}"#), ("word_sorting", "{}")] {
        let env = open(&python, "reasoning.py", &[generator, settings]);
        let task = env.task(TaskSplit::HeldOut, 3).unwrap();
        assert_ne!(task.messages, env.task(TaskSplit::Train, 3).unwrap().messages);
        let asked = &task.messages.last().unwrap().content;
        let right = match generator {
            "chain_sum" => sum(asked.rsplit_once(": ").unwrap().1),
            _ => sorted(asked),
        };
        for (answer, expect) in [(right.as_str(), 1.0), ("no idea", 0.0)] {
            let mut session = session(&env, &task);
            let step = says(&mut *session, &format!("I think.\nAnswer: {answer}"));
            assert!(
                step.done && (0.0..=1.0).contains(&step.rewards.get("score")),
                "{asked} {answer}: {step:?}"
            );
            assert_eq!(step.rewards.acc(), expect, "{asked} {answer}");
            assert_eq!(step.rewards.get("score") >= 1.0, expect >= 1.0);
            assert_eq!(ends(&env, &task, &mut *session, step).1, expect >= 1.0);
        }
    }
}

/// Returns the value of `4 + 3 - 2 =`.
fn sum(expression: &str) -> String {
    let mut words = expression.trim_end_matches('=').split_whitespace();
    let mut value: i64 = words.next().unwrap().parse().unwrap();
    while let (Some(sign), Some(term)) = (words.next(), words.next()) {
        let term: i64 = term.parse().unwrap();
        value += if sign == "-" { -term } else { term };
    }
    value.to_string()
}

/// Returns the words of a task of `word_sorting` in the order that it asks for.
fn sorted(task: &str) -> String {
    let list = task.lines().find_map(|line| line.split_once("sort these words").map(|_| line)).unwrap();
    let mut words: Vec<&str> = list.rsplit_once(": ").unwrap().1.split(", ").collect();
    words.sort_unstable();
    if list.contains("descending") {
        words.reverse();
    }
    words.join(", ")
}

#[test]
fn a_game_of_textarena_is_held_as_a_conversation() {
    let Some(python) = python_with("textarena", "textarena==0.7.4") else { return };
    let env = open(&python, "game.py", &["TowerOfHanoi-v0"]);
    let task = env.task(TaskSplit::Train, 0).unwrap();
    // Two games at a time, in alternate moves: each has its state.
    let (mut won, mut lost) = (session(&env, &task), session(&env, &task));
    let mut over = Step::default();
    let moves = ["[A C]", "[A B]", "[C B]", "[A C]", "[B A]", "[B C]"];
    for (at, text) in moves.iter().enumerate() {
        let step = says(&mut *won, text);
        assert!(!step.done && step.message.unwrap().contains("You moved disk"), "{text}");
        if at == 0 {
            let refused = says(&mut *lost, "I take [C A].");
            assert_eq!(refused.rewards.get("refused"), -0.1, "{refused:?}");
            over = says(&mut *lost, "[C A]");
            assert!(over.done && over.rewards.get("game") < 1.0, "{over:?}");
        }
    }
    let last = says(&mut *won, "The last one: [A C]");
    assert!(last.done && last.rewards.get("game") == 1.0 && last.rewards.acc() == 1.0, "{last:?}");
    assert!(ends(&env, &task, &mut *won, last).1 && !ends(&env, &task, &mut *lost, over).1);
}

#[test]
fn a_search_finds_what_the_documents_say() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name).display().to_string()
    };
    std::fs::create_dir(folder.path().join("texts")).unwrap();
    file("texts/rivers.md", "The Elbe ends in the North Sea.\n\nThe Danube ends in the Black Sea.\n");
    file("texts/hills.txt", "Deneb Hill is 90 metres high.\n");
    let question =
        |n: u32| json!({"question": format!("{n}: Where does the Danube end?"), "answer": "Black Sea"});
    let questions: String = (0..10).map(|n| question(n).to_string() + "\n").collect();
    let questions = file("questions.jsonl", &questions);
    let texts = folder.path().join("texts").display().to_string();
    let env = open("python3", "search.py", &[&texts, &questions]);
    assert_eq!((env.count(TaskSplit::Train), env.count(TaskSplit::HeldOut)), (9, 1));
    let task = env.task(TaskSplit::HeldOut, 0).unwrap();
    let mut session = session(&env, &task);
    let mut search = |query: &str| {
        let arguments = json!({"query": query}).as_object().unwrap().clone();
        let call = ToolCall { name: "search".into(), arguments, span: 0..0 };
        let output = ToolOutput::of(OutputStatus::Rejected);
        let turn = Turn { calls: vec![CallRecord::Executed { call, output }], ..Turn::default() };
        let step = session.step(&turn, &[0]).unwrap();
        (step.outputs[0].stdout.clone(), step.rewards.get("found"))
    };
    assert_eq!(search("hill"), ("hills.txt: Deneb Hill is 90 metres high.".into(), 0.0));
    assert_eq!(search("NEAR( \"'"), ("nothing found".into(), 0.0));
    let (found, reward) = search("Where does the Danube end?");
    assert!(found.starts_with("rivers.md: The Danube ends in the Black Sea.") && reward == 0.2, "{found}");
    assert_eq!(search("danube").1, 0.0, "it was found before");
    let last = says(&mut *session, "Answer: the Black Sea");
    assert!(last.done && last.rewards.acc() == 0.0, "the answer is the gold answer or none: {last:?}");
    assert!(!ends(&env, &task, &mut *session, last).1);
}

#[test]
fn a_model_behind_an_endpoint_grades_answers() {
    let folder = tempfile::tempdir().unwrap();
    let questions = folder.path().join("questions.jsonl");
    let line = |n: u32| json!({"question": format!("Question {n}?"), "rubric": "It says yes."}).to_string();
    std::fs::write(&questions, (0..10).map(|n| line(n) + "\n").collect::<String>()).unwrap();
    // A grader that prefers answers with a yes in them, and fails for some.
    let url = endpoint::serve(|asked| match asked {
        _ if asked.contains("Answer: broken") => None,
        _ if asked.contains("Answer: yes") => Some("9".into()),
        _ if asked.contains("Answer: maybe") => Some(" 3\n".into()),
        _ => Some("It depends.".into()),
    });
    let program =
        ["env".to_string(), format!("OPENAI_BASE_URL={url}"), "python3".into(), example("grader.py")];
    let command = program.into_iter().chain([questions.display().to_string()]).collect();
    let env = Process::new(&ProcessConfig::of(command)).unwrap();
    let task = env.task(TaskSplit::Train, 0).unwrap();
    for (answer, grade, right) in [("yes", 0.9, true), ("maybe", 0.3, false)] {
        let mut session = session(&env, &task);
        let step = says(&mut *session, answer);
        assert!(step.done);
        let (closing, correct) = ends(&env, &task, &mut *session, step);
        assert_eq!((closing.rewards.get("grade"), correct), (grade, right), "{answer}");
    }
    for (answer, expect) in [("broken", "HTTPError"), ("who knows", "the grader said 'It depends.'")] {
        let mut session = session(&env, &task);
        says(&mut *session, answer);
        let fault = session.close().unwrap_err().to_string();
        assert!(fault.contains(expect), "{fault}");
    }
    assert!(env.check().is_ok(), "an error of one session is no failure of the process");
}

/// A mistake that an environment can find in itself costs no run.
#[test]
fn an_environment_tests_itself() {
    let folder = tempfile::tempdir().unwrap();
    let module = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../python");
    let checked = |step: &str| {
        let program = folder.path().join("env.py");
        let text = format!(
            "import random, sys; sys.path.insert(0, {module:?})\n\
             import turnwise_env; from turnwise_env import Step, Task, tool\n\
             class Own(turnwise_env.Env):\n    \
                 train, tools = 2, [tool('look', 'Looks.', at='string')]\n    \
                 def reset(self, split, index, seed): return Task(str(index), 'Look.')\n    \
                 def step(self, text, calls, malformed): return {step}\n\
             turnwise_env.serve(Own)\n"
        );
        std::fs::write(&program, text).unwrap();
        let output = Command::new("python3").arg(&program).arg("--check").output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for (step, expect) in [
        ("Step(['x'] * len(calls), {'acc': 0.5}, done=not calls)", None),
        (
            "Step(['x'] * len(calls), {'acc': 0.75}, done=not calls)",
            Some("add up to 1.5, and a grade is at most 1"),
        ),
        ("Step(['x'] * len(calls), {'acc': 1.5})", Some("expected a grade from 0 to 1")),
        ("Step([str(random.random())] * len(calls))", Some("two answers")),
        ("Step([])", Some("0 outputs for 1 calls")),
        ("Step('xx')", Some("outputs is 'xx', expected a list")),
        ("Step(['x'] * len(calls), correct='no')", Some("correct is 'no', expected True or False")),
        ("Step(['x'] * len(calls), done='false')", Some("done is 'false', expected True or False")),
        ("Step(['x'] * len(calls), [1])", Some("the rewards are [1], expected a dict")),
        ("Step(['x'] * len(calls), {'acc': None})", Some("the reward 'acc' is None, expected a number")),
        ("None", Some("step returned nothing, expected a turnwise_env.Step")),
        ("{'outputs': []}", Some("step returned a dict, expected a turnwise_env.Step")),
        ("1 / 0", Some("ZeroDivisionError")),
    ] {
        let (passes, said) = checked(step);
        assert_eq!(passes, expect.is_none(), "{step}: {said}");
        assert!(said.contains(expect.unwrap_or("equal tasks get equal answers")), "{step}: {said}");
    }
}
