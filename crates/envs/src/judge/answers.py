"""Runs the policy's functions on the calls that the tests make. Their expected results aren't here."""


def answers(context, code, calls):
    # Before the policy's code, which may patch the modules.
    write, calls = json.dumps, json.loads(calls)
    scope = {"__name__": "answer"}
    exec(context, scope)
    exec(compile(code, "<answer>", "exec"), scope)
    return write([answer(scope, *call) for call in calls])


def answer(scope, callee, args, kwargs):
    """Makes one call: returns its value or exception, and the arguments if it changed them."""
    reader, writer, before = Reader(scope), Writer(scope, True), []
    try:
        args, kwargs = reader.all(args), reader.read(kwargs)
        before = state(scope, args)
        shown = ["value", writer.write(reader.function(callee)(*args, **kwargs))]
    except Unsupported:
        shown = ["value", ["stranger"]]
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        shown = writer.error(error)
    now = state(scope, args) if before else []
    return [shown, None if now == before else now]


def state(scope, args):
    """The arguments that a call can change, as they are now. Empty if nothing can be told."""
    try:
        return [Writer(scope, True).write(arg) if isinstance(arg, CHANGEABLE) else None for arg in args]
    except Unsupported:
        return []
