"""Runs cells of Python in a child, under soft limits that leave its state alive. Loaded before zygote.py."""
import ast, io, json, signal, struct, sys, threading, types
import _signal, os

from json.encoder import encode_basestring_ascii as quote
from time import process_time

read, write, _exit = os.read, os.write, os._exit
MAIN = types.ModuleType("__main__")

# Both streams share one buffer, so that what is printed keeps its order.
OUTPUT = io.BufferedWriter(io.FileIO(1, "w", closefd=False))


def text_stream():
    return io.TextIOWrapper(OUTPUT, "utf-8", "backslashreplace", newline="\n", write_through=True)


def receive(fd):
    """One message: four bytes of length, then the body. None at the end of the stream."""
    head = receive_exactly(fd, 4)
    return None if head is None else receive_exactly(fd, struct.unpack("<I", head)[0])


def receive_exactly(fd, count):
    parts = []
    while count:
        part = read(fd, min(count, 1 << 16))
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def text_of(value):
    """JSON of a text, None or a number: what messages are made of."""
    return quote(value) if isinstance(value, str) else "null" if value is None else str(value)


def send(fd, message):
    # A fresh child pays for every page that it touches, and json.dumps touches fifty.
    body = "{%s}" % ",".join(['"%s":%s' % (key, text_of(value)) for key, value in message.items()])
    body = body.encode()
    data = struct.pack("<I", len(body)) + body
    while data:
        data = data[write(fd, data):]


class Limit(BaseException):
    """A soft limit was hit. Not an Exception, so that `except Exception` in a cell doesn't swallow it."""


armed = False
cpu_deadline = 0.0


def on_limit(number, frame):
    if not armed:
        return
    if number == signal.SIGALRM:
        raise Limit("wall")
    # The timer counts by ticks and may be early; the clock is exact.
    left = cpu_deadline - process_time()
    if left > 0:
        signal.setitimer(signal.ITIMER_PROF, left, 0.1)
    else:
        raise Limit("cpu")


def arm(settings):
    global armed, cpu_deadline
    armed, cpu_deadline = True, process_time() + settings["cpu_seconds"]
    # Not signal.signal, which makes enums of the numbers.
    _signal.signal(_signal.SIGPROF, on_limit)
    _signal.signal(_signal.SIGALRM, on_limit)
    # The intervals fire again if the cell swallows the first one.
    signal.setitimer(signal.ITIMER_PROF, settings["cpu_seconds"], 0.1)
    signal.setitimer(signal.ITIMER_REAL, settings["wall_seconds"], 0.1)


def run_cell(source, settings):
    """The answer to one cell. Formatting values and errors runs the cell's code too, so it's under the limits."""
    global armed
    try:
        arm(settings)
        answer = execute(source, settings["output_bytes"])
        armed = False
    except Limit as limit:
        armed = False
        answer = {"status": str(limit)}
    except MemoryError:
        armed = False
        answer = {"status": "memory"}
    except BaseException as error:
        armed = False
        answer = {"status": "error", "error": "%s, raised while an error was shown" % type(error).__name__}
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        OUTPUT.flush()
    except BaseException:
        pass
    return answer


def execute(source, room):
    """Runs a cell and returns its answer. Lets through limits and MemoryError."""
    try:
        value = evaluate(source)
        shown = None if value is None else clip(repr(value), room)
        # The cell ends when its threads end, as a script does.
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
        return {"status": "ok", "value": shown}
    except (Limit, MemoryError):
        raise
    except SystemExit as error:
        if error.code in (None, 0):
            return {"status": "ok"}
        return {"status": "error", "error": clip("SystemExit: %s" % (error.code,), room)}
    except BaseException as error:
        return {"status": "error", "error": clip(last_line(error), room)}


def evaluate(source):
    """Runs the statements; the value of the last one if it's an expression."""
    statements, last = split(source.decode())
    exec(statements, MAIN.__dict__)
    if last is not None:
        return eval(last, MAIN.__dict__)


def split(source):
    """The compiled statements, and apart from them the last one if it's an expression, else None."""
    start, _, end = source.rstrip().rpartition("\n")
    if end and end[0] not in " \t\f#":
        # A whole program and an expression on a line of its own are what the parser would find, too; it makes an object
        # of every node, which costs a fresh child more than compiling does.
        try:
            last = compile(end, "<cell>", "eval")
            return compile(start + "\n", "<cell>", "exec"), last
        except SyntaxError:
            pass
    tree = ast.parse(source, "<cell>")
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    value = last and compile(ast.Expression(last.value), "<cell>", "eval")
    return compile(tree, "<cell>", "exec"), value


def last_line(error):
    """The last line of the traceback, such as `ValueError: no`."""
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", "__main__"):
        name = kind.__module__ + "." + name
    text = error.msg if isinstance(error, SyntaxError) and error.msg else str(error)
    text = " ".join(text.split())
    return name + ": " + text if text else name


def clip(text, room):
    return text if len(text) <= room else text[:room] + "..."


def leave(code=None):
    """`exit()` and `quit()`, which models write."""
    raise SystemExit(code)


def prepare():
    """Makes the world that a cell sees."""
    MAIN.__dict__.update(__builtins__=__builtins__, exit=leave, quit=leave)
    sys.modules["__main__"] = MAIN
    sys.argv = [""]
    sys.stdout, sys.stderr = text_stream(), text_stream()
    sys.stdin = open(os.devnull)
