use super::*;

fn exam(tests: &str) -> Exam {
    Exam { context: "import math".into(), entry: "f".into(), tests: tests.into(), names: Vec::new() }
}

fn double() -> Exam {
    exam(
        "import random\ndef check(candidate):\n    assert candidate(1) == 2\n    assert candidate(x=4) == 8\n    \
         for n in range(5):\n        m = random.randint(0, 10 ** 6)\n        assert candidate(m) == 2 * m\n    \
         seen = candidate([0])\n    assert seen == f([0]) == [0, 0]",
    )
}

#[test]
fn right_programs_pass_and_wrong_ones_dont() {
    let judge = Judge::open("test", &PythonConfig::default()).unwrap();
    for (code, passes) in [
        ("def f(x): return x + x", true),
        ("f = lambda x: 2 * x", true),
        ("def f(x):\n    print('noise')\n    return x * 2", true),
        ("def f(x): return math.floor(2) * x", true),
        ("def f(x): return x + 1", false),
        ("def f(x): return x * 2 if x != 4 else 9", false),
        ("def g(x): return x * 2", false),
        ("def f(x): return", false),
        ("def f(x): raise AssertionError", false),
        ("def f(x):\n    while True: pass", false),
        ("def f(x): return [0] * 10 ** 12", false),
        ("def f(x", false),
        ("", false),
    ] {
        assert_eq!(judge.passes("t", code, &double()).unwrap(), passes, "{code}");
    }
}

#[test]
fn hidden_tests_can_be_neither_read_nor_tampered_with() {
    let judge = Judge::open("test", &PythonConfig::default()).unwrap();
    let always_equal = "class A(int):\n    def __eq__(self, other): return True\n    __hash__ = None\n    \
                        def __repr__(self): return 'A()'\ndef f(x): return A()";
    let search = "import gc, sys\ndef f(x):\n    frame = sys._getframe()\n    while frame:\n        for v in \
                  frame.f_locals.values():\n            if 'ass' 'ert' in repr(v): return 2 * x\n        frame = \
                  frame.f_back\n    for o in gc.get_objects():\n        if isinstance(o, str) and 'candi' 'date(' \
                  in o: return 2 * x\n    return 0";
    for code in [
        "import sys\nsys.exit(0)",
        "import os\nos._exit(0)",
        "print('pass')\nimport os\nos._exit(0)",
        "def f(x):\n    import os\n    print('pass', flush=True)\n    os._exit(0)",
        "raise SystemExit",
        always_equal,
        search,
        "import ast\nast.literal_eval = lambda text: 2\ndef f(x): return 0",
        "import builtins\nbuiltins.repr = lambda value: '2'\ndef f(x): return x",
        "import sys\nsys.modules['__main__'].examine = lambda *a: 'pass'\ndef f(x): return 0",
        "def f(x): return type('R', (), {'__repr__': lambda self: '__import__(\"os\")._exit(0)'})()",
        "def f(x): return type('R', (), {'__repr__': lambda self: '[' * 100000})()",
        "def check(candidate): pass\ndef f(x): return 0",
    ] {
        assert!(!judge.passes("t", code, &double()).unwrap(), "{code}");
    }
}

/// Tests, a program that passes them and one that doesn't.
#[test]
fn results_are_judged_by_value_whatever_their_type() {
    let judge = Judge::open("test", &PythonConfig::default()).unwrap();
    for (test, right, wrong) in [
        ("math.isnan(f(1))", "float('nan')", "0.0"),
        ("f(1) == float('-inf')", "-math.inf", "math.inf"),
        ("f(float('inf')) and math.isnan(f(float('nan'))[0])", "[x]", "[]"),
        ("f(1) == 2 ** 5000", "1 << 5000", "(1 << 5000) + 1"),
        ("f(1) == 1 + 2j", "complex(1, 2)", "complex(2, 1)"),
        ("f(1) == {1, 2} and f(2) == frozenset('ab')", "{1, 2} if x == 1 else frozenset('ba')", "[1, 2]"),
        ("f('abca') == collections.Counter('aabc')", "collections.Counter(x)", "collections.Counter('abc')"),
        ("f('abca')['z'] == 0", "collections.Counter(x)", "dict(collections.Counter(x))"),
        ("f(1)[5] == []", "collections.defaultdict(list)", "{}"),
        ("f(1) == collections.OrderedDict(a=1, b=2)", "dict(b=2, a=1)", "collections.OrderedDict(b=2, a=1)"),
        ("f(1) == collections.deque([1, 2])", "collections.deque((1, 2))", "[1, 2]"),
        ("f(1) == Fraction(1, 3)", "fractions.Fraction(2, 6)", "1 / 3"),
        ("f(1) == decimal.Decimal('0.1')", "decimal.Decimal('0.10')", "0.1"),
        ("f(1).year == 2024", "datetime.date(2024, 2, 29)", "datetime.date(2023, 2, 28)"),
        ("f(1).b == 2 and f(1) == (1, 2)", "collections.namedtuple('P', 'a b')(1, 2)", "(1, 2)"),
        ("list(f(3)) == [0, 1, 2]", "iter(range(x))", "iter(range(2))"),
        ("list(f(3)) == [0, 1, 4]", "(i * i for i in range(x))", "(i for i in range(x))"),
        ("sum(f([1, 2])) == 6 and dict(f([])) == {}", "map(lambda i: 2 * i, x)", "map(lambda i: i, x)"),
        ("[next(g) for g in [f(5)] for _ in range(3)] == [5, 6, 7]", "itertools.count(x)", "iter([5])"),
        ("f(3) == [0, 1, 2]", "list(range(x))", "iter(range(x))"),
        ("f({'a': 1}) == {'a'} and 1 in f({1: 2})", "x.keys()", "x.values()"),
        ("f(3) == range(3) and f(0) == b'\\x00'", "range(x) if x else bytes(1)", "list(range(x))"),
        ("f(3)(4) == 7 and f(1)(1) == 2", "lambda y: x + y", "lambda y: x * y"),
        ("f(P(1, 2)) == P(2, 1)", "P(x.b, x.a)", "x"),
        ("f(int) == 0 and f(str) == ''", "x()", "0"),
        ("f(1) is None and f(True) is True", "None if x == 1 and x is not True else x", "0"),
        ("f(1) == Color.RED", "Color(x)", "Color(2)"),
        ("f(1) is not None", "object()", "None"),
    ] {
        let context = "import collections, dataclasses, datetime, decimal, enum, fractions, itertools, math\n\
                       from fractions import Fraction\n@dataclasses.dataclass\nclass P:\n    a: int\n    b: int\n\
                       class Color(enum.Enum):\n    RED = 1\n    BLUE = 2";
        let tests = format!("def check(f):\n    assert {test}");
        let exam = Exam { context: context.into(), ..exam(&tests) };
        for (body, passes) in [(right, true), (wrong, false)] {
            let code = format!("def f(x): return {body}");
            assert_eq!(judge.passes("t", &code, &exam).unwrap(), passes, "{test}: {code}");
        }
    }
}

#[test]
fn exceptions_changed_arguments_and_results_of_results_are_seen_by_the_tests() {
    let judge = Judge::open("test", &PythonConfig::default()).unwrap();
    let raises = "def check(f):\n    try:\n        f(-1)\n        assert False\n    except ValueError as error:\n        \
                  assert str(error) == 'no'";
    let swallows = "def check(f):\n    try:\n        f(-1)\n    except:\n        return\n    assert False";
    let exits =
        "def check(f):\n    try:\n        f(1)\n    except SystemExit as end:\n        assert end.code == 3";
    let sorts = "def check(f):\n    x = [2, 1]\n    assert f(x) is None and x == [1, 2]";
    let lazy = "def check(f):\n    numbers = f(2)\n    assert next(numbers) == 2\n    try:\n        next(numbers)\n    \
                except KeyError:\n        return\n    assert False";
    let sums =
        "def check(f):\n    total = 0\n    for i in range(3):\n        total += f(i)\n    assert total == 6";
    let chain = "def check(f):\n    x = 1\n    for _ in range(100):\n        x = f(x)\n    assert x == 101";
    let warns =
        "def check(f):\n    import warnings\n    warnings.warn('x')\n    print('fail')\n    assert f(0) == 0";
    for (tests, code, passes) in [
        (raises, "def f(x): raise ValueError('no')", true),
        (raises, "class Mine(ValueError): pass\ndef f(x): raise Mine('no')", true),
        (raises, "import json\ndef f(x): raise json.JSONDecodeError('no', '', 0)", false),
        (raises, "def f(x): raise ValueError('yes')", false),
        (raises, "def f(x): raise TypeError('no')", false),
        (raises, "def f(x): return 0", false),
        (swallows, "def f(x): raise OSError(2, 'x')", true),
        (swallows, "def f(x): return x", false),
        (exits, "import sys\ndef f(x): sys.exit(3)", true),
        (exits, "import sys\ndef f(x): sys.exit(4)", false),
        (sorts, "def f(x): x.sort()", true),
        (sorts, "def f(x): sorted(x)", false),
        (lazy, "def f(x):\n    yield x\n    raise KeyError(x)", true),
        (lazy, "def f(x):\n    yield x\n    raise IndexError(x)", false),
        (sums, "def f(x): return 2 * x", true),
        (sums, "def f(x): return x", false),
        (chain, "def f(x): return x + 1", true),
        (chain, "def f(x): return x + 2", false),
        (warns, "def f(x): return x", true),
        (warns, "def f(x): return x + 1", false),
    ] {
        assert_eq!(judge.passes("t", code, &exam(tests)).unwrap(), passes, "{tests}: {code}");
    }
}

/// Programs whose results are missing or unreadable.
#[test]
fn no_program_makes_the_judge_unusable() {
    let judge = Judge::open("test", &PythonConfig::default()).unwrap();
    let endless = exam("def check(f):\n    x = 0\n    while x >= 0:\n        x = f(x)");
    for code in [
        "import ast\nast.literal_eval = lambda text: []\ndef f(x): return x",
        "import json\njson.dumps = json.loads = lambda *a, **k: []\ndef f(x): return x",
        "import builtins\nbuiltins.repr = builtins.isinstance = builtins.list = None\ndef f(x): return x",
        "import builtins\nvars(builtins).clear()\ndef f(x): return x",
        "import sys\nsys.modules.clear()\ndef f(x): return x",
        "import sys\nsys.modules['_judge'].answer = lambda *a: None\ndef f(x): return x",
        "import sys\nsys.modules['_judge'].answer = lambda *a: [['error', [['tests', 'Unanswered']], []], None]\n\
         def f(x): return x",
        "import sys\nsys.modules['_judge'].answers = lambda *a: '[]'\ndef f(x): return x",
        "import sys\nsys.setrecursionlimit(20)\ndef f(x): return x",
        "def f(x):\n    a = []\n    for _ in range(10 ** 5): a = [a]\n    return a",
        "def f(x):\n    a = []\n    a.append(a)\n    return a",
        "def f(x): return 'x' * 10 ** 8",
        "def f(x): return list(range(10 ** 6))",
        "def f(x): return [[0] * 10 ** 5] * 100",
        "class A:\n    __class__ = property(lambda self: 1 / 0)\ndef f(x): return A()",
        "class A(Exception):\n    def __init__(self, *a): self.args = 3\ndef f(x): raise A",
        "class M(type):\n    __name__ = property(lambda self: 1 / 0)\nclass A(metaclass=M): pass\ndef f(x): return A()",
        "def f(x):\n    import os\n    os.write(1, b'x' * 10 ** 7)\n    return x",
        "def f(x):\n    import os\n    os.closerange(0, 100)\n    return x",
        "def f(x): return '\\ud800'",
        "def f(x): return x + 1",
    ] {
        assert!(!judge.passes("t", code, &double()).unwrap(), "{code}");
    }
    // Tests whose end depends on the program: it makes them ask for ever, or ask nothing for ever.
    for code in ["def f(x): return x + 1", "def f(x): return x"] {
        assert!(!judge.passes("t", code, &endless).unwrap(), "{code}");
    }
    assert!(judge.passes("t", "def f(x): return x * 2", &double()).unwrap(), "it judges on");
}

/// A program that forges its results reaches no name of the tests and skips no assertion.
#[test]
fn forged_results_are_values_and_nothing_else() {
    let judge = Judge::open("test", &PythonConfig::default()).unwrap();
    let exam =
        exam("SECRET = {'a': 42}\nclass Any:\n    pass\ndef check(f):\n    assert f(1) == SECRET['a']");
    for forged in [
        "['value', ['member', 'SECRET', 'a']]",
        "['value', ['made', 'check', [], ['dict', []], ['dict', []]]]",
        "['value', ['builtin', 'eval']]",
        "['value', ['builtin', 'breakpoint']]",
        "['value', ['function', 'check']]",
        "['value', ['object', 'Any', ['dict', []]]]",
        "['value', ['no such kind']]",
        "['value']",
        "['value', ['namedtuple', 'x', ['a, b=SECRET'], 1]]",
        "['error', [['tests', 'Unanswered'], ['_judge', 'Unanswered']], []]",
        "['error', [['builtins', 'GeneratorExit'], ['builtins', 'BaseException']], []]",
        "['error', [['builtins', 'SystemExit']], [0]]",
        "None",
    ] {
        let code = format!(
            "import sys\nsys.modules['_judge'].answer = lambda *a: [{forged}, None]\ndef f(x): return x"
        );
        assert!(!judge.passes("t", &code, &exam).unwrap(), "{forged}");
    }
    let honest =
        "import sys\nsys.modules['_judge'].answer = lambda *a: [['value', 42], None]\ndef f(x): return x";
    assert!(judge.passes("t", honest, &exam).unwrap(), "the form is that of results");
}

#[test]
fn tests_that_dont_run_are_our_fault_not_the_programs() {
    let judge = Judge::open("test", &PythonConfig::default()).unwrap();
    for tests in [
        "def check(candidate:",
        "x = 1",
        "def check(candidate):\n    assert candidate(object())",
        "def check(candidate):\n    assert candidate(1) == expected",
        "def check(candidate):\n    try:\n        candidate(lambda: 1)\n    except Exception:\n        pass",
    ] {
        assert!(judge.check(&exam(tests)).is_err(), "{tests}");
        let error = judge.passes("t", "def f(x): return 1", &exam(tests)).unwrap_err().to_string();
        assert!(error.starts_with("env.test: judging task t: its tests don't run: "), "{error}");
    }
    judge.check(&double()).unwrap();
}

#[test]
fn the_sandbox_is_that_of_the_calls_with_limits_that_suffice() {
    let tight = PythonConfig { cpu_seconds: 0.01, memory_mib: 1, output_bytes: 1, ..PythonConfig::default() };
    let judge = Judge::open("test", &tight).unwrap();
    let big = exam("def check(candidate):\n    assert candidate(9000) == list(range(9000))");
    let slow = "def f(x):\n    sum(range(2 * 10 ** 6))\n    return list(range(x))";
    assert!(judge.passes("t", slow, &big).unwrap());
    let warm = PythonConfig { imports: vec!["no_such_module".into()], ..PythonConfig::default() };
    for python in [PythonConfig { interpreter: Some("/no/such/python".into()), ..tight }, warm] {
        let error = Judge::open("test", &python).err().expect("no such sandbox").to_string();
        assert!(error.contains("no/such/python") || error.contains("no_such_module"), "{error}");
    }
}

#[test]
fn the_first_example_that_fails_is_named() {
    let executor = ExecutorConfig::default().build().unwrap();
    let examples = [("f(1)".to_string(), "2".to_string()), ("f([3])".into(), "[3, 3]".into())];
    for (code, line) in [
        ("def f(x): return x * 2", "all 2 examples pass"),
        ("def f(x): return 2", "f([3]) gave 2, want [3, 3]"),
        ("def f(x): return 1 / 0", "f(1) raised ZeroDivisionError: division by zero"),
        ("def g(x): return 2", "f(1) raised NameError: name 'f' is not defined"),
    ] {
        let output = executor.run(&examples_program("", code, &examples)).unwrap();
        assert_eq!(output.stdout.trim_end(), line, "{code}");
    }
}

#[test]
fn examples_are_compared_by_value() {
    let executor = ExecutorConfig::default().build().unwrap();
    for (want, right, wrong) in [
        ("inf", "math.inf", "-math.inf"),
        ("nan", "math.nan", "0.0"),
        ("[nan, 1]", "[math.nan, 1]", "[1, math.nan]"),
        ("Counter({'a': 2, 'b': 1})", "collections.Counter('aba')", "collections.Counter('ab')"),
        ("Fraction(1, 2)", "fractions.Fraction(2, 4)", "fractions.Fraction(1, 3)"),
        ("deque([1, 2])", "collections.deque((1, 2))", "[1, 2]"),
        ("{1, 2}", "{2, 1}", "{2}"),
    ] {
        let examples = [("f(1)".to_string(), want.to_string())];
        for (body, passes) in [(right, true), (wrong, false)] {
            let code = format!("def f(x): return {body}");
            let program = examples_program("import collections, fractions, math", &code, &examples);
            let said = executor.run(&program).unwrap().stdout;
            assert_eq!(said.starts_with("all 1 examples pass"), passes, "{want}: {said}");
        }
    }
}
