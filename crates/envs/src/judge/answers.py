"""Runs the policy's function on the calls that the tests make. Their expected results aren't here."""
import ast


def answers(context, code, entry, calls):
    scope = {"__name__": "answer"}
    exec(context, scope)
    exec(compile(code, "<answer>", "exec"), scope)
    results = []
    for args, kwargs in ast.literal_eval(calls):
        try:
            results.append(("value", repr(scope[entry](*args, **kwargs))))
        except Exception as error:
            results.append(("raised", type(error).__name__))
    return results

