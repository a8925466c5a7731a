"""Tries a program on the examples that everyone may see, and names the first one that fails."""
import ast, collections, decimal, fractions, math


def wanted(text, scope):
    """The fewest lines that are a literal, for prose may follow a result, and the value. If none are, all of them."""
    lines = text.split("\n")
    for end in range(1, len(lines) + 1):
        shown = " ".join(lines[:end])
        try:
            return shown, ast.literal_eval(shown)
        except Exception:
            pass
    try:
        return text, eval(text, {**vars(math), **vars(fractions), **vars(decimal), **vars(collections), **scope})
    except Exception:
        return text, scope


def same(value, want, wanted):
    try:
        if value == wanted:
            return True
    except Exception:
        pass
    # NaN, and values that only look alike.
    return repr(value) == want


def examples(context, code, examples):
    scope = {"__name__": "answer"}
    exec(context, scope)
    exec(compile(code, "<code>", "exec"), scope)
    for call, want in examples:
        want, result = wanted(want, scope)
        try:
            value = eval(call, scope)
        except Exception as error:
            line = "%s: %s" % (type(error).__name__, error)
            if want.startswith("Traceback ") and want.endswith("\n" + line):
                continue
            return "%s raised %s" % (call, line)
        if not same(value, want, result):
            return "%s gave %r, want %s" % (call, value, want)
    if not examples:
        return "the code runs; there are no examples to try"
    return "all %d examples pass" % len(examples)
