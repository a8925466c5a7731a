"""Tries a program on the examples that everyone may see, and names the first one that fails."""
import ast


def wanted(text):
    """The fewest lines that are a literal: prose may follow a result. If none are, all of them."""
    lines = text.split("\n")
    for end in range(1, len(lines) + 1):
        shown = " ".join(lines[:end])
        try:
            return shown, [ast.literal_eval(shown)]
        except Exception:
            pass
    return text, []


def same(value, want, literal):
    try:
        return value == literal[0]
    except Exception:
        return repr(value) == want


def examples(context, code, examples):
    scope = {"__name__": "answer"}
    exec(context, scope)
    exec(compile(code, "<code>", "exec"), scope)
    for call, want in examples:
        want, literal = wanted(want)
        try:
            value = eval(call, scope)
        except Exception as error:
            line = "%s: %s" % (type(error).__name__, error)
            if want.startswith("Traceback ") and want.endswith("\n" + line):
                continue
            return "%s raised %s" % (call, line)
        if not same(value, want, literal):
            return "%s gave %r, want %s" % (call, value, want)
    if not examples:
        return "the code runs; there are no examples to try"
    return "all %d examples pass" % len(examples)

