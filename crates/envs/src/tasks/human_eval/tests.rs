//! Problems of both published forms: read, shown, tried and judged.

use super::*;
use crate::testing::program;
use serde_json::json;
use turnwise_tools::Executor;
use turnwise_trajectory::ToolCall;

const EXAMPLES: &str = ">>> up(3)\n    2\n    >>> up(4)\n    2";

/// Returns a record of the published form, with these lines of examples.
fn record_with(id: &str, examples: &str) -> String {
    json!({
        "task_id": id,
        "prompt": format!(
            "import math\n\ndef half(x):\n    return x / 2\n\ndef up(x):\n    \"\"\"Half of x, rounded up.\n    \
             {examples}\n    \"\"\"\n"
        ),
        "entry_point": "up",
        "canonical_solution": "    return math.ceil(half(x))\n",
        "test": "METADATA = {}\n\ndef check(candidate):\n    assert candidate(3) == 2\n    for x in range(9):\n        \
                 assert candidate(x) == math.ceil(half(x))\n",
    })
    .to_string()
        + "\n"
}

fn record(id: &str) -> String {
    record_with(id, EXAMPLES)
}

fn open(train: &str, held_out: &str) -> Result<HumanEval, EnvError> {
    let folder = tempfile::tempdir().unwrap();
    let config = HumanEvalConfig {
        train: folder.path().join("a.jsonl"),
        held_out: folder.path().join("b.jsonl"),
        columns: BTreeMap::new(),
    };
    std::fs::write(&config.train, train).unwrap();
    std::fs::write(&config.held_out, held_out).unwrap();
    HumanEval::new(&config, &PythonConfig::default())
}

const RIGHT: &str = "def up(x):\n    return math.ceil(half(x))";
const WRONG: &str = "def up(x):\n    return x // 2";

/// Returns what the tool prints for this code.
fn tried(python: &dyn Executor, env: &HumanEval, task: &Task, code: &str) -> String {
    let arguments = json!({"code": code}).as_object().unwrap().clone();
    let call = ToolCall { name: "python".into(), arguments, span: 0..0 };
    let program = program(env, task, &call);
    assert!(!program.contains("range(9)"), "a hidden test is in the tool's program");
    let output = python.run(&program).unwrap();
    assert_eq!(output.error, None);
    output.stdout.trim_end().to_string()
}

#[test]
fn the_published_form_is_read_tried_and_judged() {
    let env = open(&record_with("T/0", ""), &record("T/1")).unwrap();
    let python = ExecutorConfig::default().build().unwrap();
    let task = &env.held_out()[0];
    assert!(env.is_correct(task, RIGHT).unwrap());
    assert!(!env.is_correct(task, WRONG).unwrap());
    assert_eq!(tried(&*python, &env, task, RIGHT), "all 2 examples pass");
    assert_eq!(tried(&*python, &env, task, WRONG), "up(3) gave 1, want 2");
}

#[test]
fn examples_are_read_as_python_writes_them() {
    let cases = [
        ("up(3) == 2", "the code runs; there are no examples to try", ""),
        (">>> up(3)", "the code runs; there are no examples to try", ""),
        (">>> up(3)\n\n    2", "the code runs; there are no examples to try", ""),
        (
            ">>> up(3)\n    2 is more than half.",
            "up(3) gave 2, want 2 is more than half.",
            "up(3) gave 1, want 2 is more than half.",
        ),
        (">>> up(3)\n    2\n    and so on", "all 1 examples pass", "up(3) gave 1, want 2"),
        (
            ">>> [up(3),\n    ... up(4)]\n    [2,\n     2]",
            "all 1 examples pass",
            "[up(3),\nup(4)] gave [1, 2], want [2, 2]",
        ),
        (">>> up(4) == 2\n    >>> up(3) == 2", "all 2 examples pass", "up(3) == 2 gave False, want True"),
        (
            ">>> up('3')\n    Traceback (most recent call last):\n        ...\n    TypeError: \
             unsupported operand type(s) for /: 'str' and 'int'",
            "all 1 examples pass",
            "up('3') raised TypeError: unsupported operand type(s) for //: 'str' and 'int'",
        ),
    ];
    let records: String =
        (0..).zip(&cases).map(|(id, case)| record_with(&format!("T/{id}"), case.0)).collect();
    let env = open(&records, &record("T/held out")).unwrap();
    let python = ExecutorConfig::default().build().unwrap();
    for (task, (examples, right, wrong)) in env.train().iter().zip(cases) {
        assert_eq!(tried(&*python, &env, task, RIGHT), right, "{examples}");
        let wrong = if wrong.is_empty() { right } else { wrong };
        assert_eq!(tried(&*python, &env, task, WRONG), wrong, "{examples}");
    }
}

/// Returns a record of MBPP's form.
fn mbpp(id: u32, code: &str, tests: &[&str], setup: &str) -> String {
    let record = json!({
        "text": format!("Write function {id}."), "code": code, "task_id": id, "test_setup_code": setup,
        "test_list": tests, "challenge_test_list": [],
    });
    record.to_string() + "\n"
}

#[test]
fn mbpp_is_read_shown_tried_and_judged() {
    let twice = "def helper(x):\r\n    return x\r\ndef twice(x):\r\n    return helper(x) + x";
    let tests = ["assert twice(1) == 2", "assert twice('a') == 'aa'", "assert twice(1.5) == 3.0"];
    let sanitized = json!([
        {"task_id": 602, "prompt": "Root?", "code": "import math\ndef root(x): return math.sqrt(x)",
         "test_imports": ["import math"], "test_list": ["assert math.isclose(root(2), 2 ** 0.5)"], "source_file": "x"},
        {"task_id": 603, "prompt": "Check?", "code": "def check(x): return x > 0", "test_imports": [],
         "test_list": ["assert check(1) == True", "assert check(-1) == False"]},
    ]);
    let env = open(&sanitized.to_string(), &mbpp(11, twice, &tests, "")).unwrap();
    let task = &env.held_out()[0];
    assert_eq!(task.id, "mbpp/11");
    let shown = "Write function 11.\n\nIts name is `twice`, and this must hold:\nassert twice(1) == 2";
    assert_eq!(task.messages[1].content, shown);
    let python = ExecutorConfig::default().build().unwrap();
    let (right, wrong) = ("def twice(x): return x + x", "def twice(x): return 2");
    assert_eq!(tried(&*python, &env, task, right), "all 1 examples pass");
    assert_eq!(tried(&*python, &env, task, "def twice(x): return 3"), "twice(1) == 2 gave False, want True");
    assert!(env.is_correct(task, right).unwrap() && !env.is_correct(task, wrong).unwrap());
    let [root, check] = env.train() else { panic!("two tasks") };
    assert!(env.is_correct(root, "def root(x): return x ** 0.5").unwrap());
    assert!(!env.is_correct(root, "def root(x): return x").unwrap());
    assert!(env.is_correct(check, "def check(x): return x >= 1").unwrap());
    assert!(!env.is_correct(check, "def check(x): return True").unwrap());
    assert_eq!(env.vote(task, right), None, "programs have no majority");
}

/// Tests of MBPP may make objects of the program's classes, and use modules that only the program
/// imports.
#[test]
fn what_the_program_defines_is_the_programs() {
    let code = "import sys\nclass Node:\n    def __init__(self, x):\n        self.x, self.left = x, None\n\
                def depth(node):\n    return 1 + depth(node.left) if node else 0";
    let tests = ["assert depth(root) == 2", "assert sys.maxsize > depth(None) == 0"];
    let setup = "root = Node(1)\nroot.left = Node(2)";
    let env =
        open(&mbpp(601, "def f(): 1", &["assert f() == 1"], ""), &mbpp(12, code, &tests, setup)).unwrap();
    let task = &env.held_out()[0];
    assert!(env.is_correct(task, code).unwrap());
    assert!(!env.is_correct(task, &code.replace("1 + depth", "2 + depth")).unwrap());
    assert!(!env.is_correct(task, "def depth(node): return 2 if node else 0").unwrap(), "without the class");
}

#[test]
fn one_file_of_mbpp_is_divided_as_published() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mbpp.jsonl");
    let record = |id: u32| mbpp(id, "def f(x): return x", &["assert f(1) == 1"], "");
    std::fs::write(&file, [1, 10, 11, 510, 511, 600, 601, 974].map(record).concat()).unwrap();
    let config = HumanEvalConfig { train: file.clone(), held_out: file.clone(), columns: BTreeMap::new() };
    let env = HumanEval::new(&config, &PythonConfig::default()).unwrap();
    let ids = |tasks: &[Task]| tasks.iter().map(|task| task.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(env.held_out()), ["mbpp/11", "mbpp/510"]);
    assert_eq!(ids(env.train()), ["mbpp/601", "mbpp/974"]);
    std::fs::write(&file, record(1)).unwrap();
    let error = HumanEval::new(&config, &PythonConfig::default()).err().unwrap().to_string();
    assert!(error.contains("mbpp.jsonl holds no problem that is published to be held out"), "{error}");
}

#[test]
fn broken_files_are_named_by_line() {
    let without_check = record("T/2").replace("def check(", "def chuck(");
    for (train, held_out, expect) in [
        (record("T/0") + &without_check, record("T/1"), "a.jsonl:2: T/2: the test defines no check"),
        (record("T/0"), record("T/0"), "a.jsonl:1: T/0: another record has this task_id"),
        ("{}".into(), record("T/0"), "a.jsonl:1: missing field `task_id`"),
        (record("T/0"), record("T/1"), "a.jsonl:1: T/0: the same problem is in env.human_eval.held_out"),
        (
            mbpp(601, "x = 1", &["assert f(1)"], ""),
            record("T/1"),
            "a.jsonl:1: 601: its tests call no function that its code defines",
        ),
        (mbpp(601, "def f(): 1", &["assert f()"], "") + "{\"test_list\": [1]}", record("T/1"), "a.jsonl:2: "),
        (
            record_with("T/0", ""),
            record("T/1").replace("candidate(3)", "candidate(object())"),
            "b.jsonl:1: T/1: its tests don't run: Unsupported: a value of the class object",
        ),
        (
            record_with("T/0", ""),
            mbpp(11, "def f(): 1", &["assert f(np.ones(3))"], ""),
            "b.jsonl:1: 11: its tests don't run: NameError: name 'np' is not defined",
        ),
    ] {
        let error = open(&train, &held_out).err().unwrap().to_string();
        assert!(error.contains(expect), "{error}");
    }
}
