"""Tries a program on the examples that everyone may see, and names the first one that fails."""
import ast


def same(value, want):
    try:
        return value == ast.literal_eval(want)
    except Exception:
        return repr(value) == want


def examples(context, code, examples):
    scope = {"__name__": "answer"}
    exec(context, scope)
    exec(compile(code, "<code>", "exec"), scope)
    for call, want in examples:
        try:
            value = eval(call, scope)
        except Exception as error:
            return "%s raised %s: %s" % (call, type(error).__name__, error)
        if not same(value, want):
            return "%s gave %r, want %s" % (call, value, want)
    return "all %d examples pass" % len(examples)

