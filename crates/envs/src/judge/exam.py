"""Runs hidden tests against results that were computed elsewhere. No code of the policy ever runs in this process, and
what it gave back is read as literals only."""
import ast, contextlib, io


class Unanswered(BaseException):
    """The result of a call isn't known yet."""


class Patient(ast.NodeTransformer):
    """Goes on behind an assertion or a round of a loop that lacks a result, so that few rounds collect all calls."""

    def patient(self, body):
        caught = ast.ExceptHandler(type=ast.Name("Unanswered", ast.Load()), name=None, body=[ast.Pass()])
        return ast.Try(body=body, handlers=[caught], orelse=[], finalbody=[])

    def visit_Assert(self, node):
        return self.patient([node])

    def visit_For(self, node):
        self.generic_visit(node)
        node.body = [self.patient(node.body)]
        return node


def read(known):
    results = {}
    for calls, answers in known:
        for call, answer in zip(ast.literal_eval(calls), ast.literal_eval(answers)):
            results[repr(call)] = answer
    return results


def examine(context, tests, entry, known):
    try:
        results = read(known)
    except Exception:
        return "fail"
    asked = []

    def candidate(*args, **kwargs):
        call = repr((args, kwargs))
        if call not in results:
            ast.literal_eval(call)
            if call not in asked:
                asked.append(call)
            raise Unanswered
        kind, text = results[call]
        if kind != "value":
            raise RuntimeError(text)
        return ast.literal_eval(text)

    scope = {"__name__": "tests", "Unanswered": Unanswered}
    tree = ast.fix_missing_locations(Patient().visit(ast.parse(tests)))
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(context, scope)
            exec(compile(tree, "<tests>", "exec"), scope)
            # Some tests call the function by its own name.
            scope[entry] = candidate
            scope["check"](candidate)
    except Unanswered:
        pass
    except Exception:
        if known:
            return "fail"
        raise
    return "ask [%s]" % ", ".join(asked) if asked else "pass"

