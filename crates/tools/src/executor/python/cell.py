"""Runs cells of Python in a child, under soft limits that leave its state alive. Loaded before zygote.py."""
import ast, atexit, io, json, signal, struct, sys, threading, types
import _signal, os

from json.encoder import encode_basestring_ascii as quote
from time import monotonic, process_time

read, write, _exit = os.read, os.write, os._exit
MAIN = types.ModuleType("__main__")

class Output(io.BufferedWriter):
    def seekable(self):
        """Returns False: it's a pipe in children, whatever it is here."""
        return False


# Both streams share one buffer, so that what is printed keeps its order.
OUTPUT = Output(io.FileIO(1, "w", closefd=False))


def text_stream():
    return io.TextIOWrapper(OUTPUT, "utf-8", "backslashreplace", newline="\n", write_through=True)


def receive(fd):
    """Returns one message (four bytes of length, then the body), or None at the end of the stream."""
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
    """Returns the JSON of a text, None or a number. Messages hold nothing else."""
    return quote(value) if isinstance(value, str) else "null" if value is None else str(value)


def send(fd, message):
    # A fresh child pays for every page that it touches, and json.dumps touches fifty.
    body = "{%s}" % ",".join(['"%s":%s' % (key, text_of(value)) for key, value in message.items()])
    body = body.encode()
    data = struct.pack("<I", len(body)) + body
    while data:
        data = data[write(fd, data):]


class Limit(BaseException):
    """Tells that a soft limit was hit. No Exception, so `except Exception` in a cell doesn't catch it."""


# The supervisor sends these when a clock has run out, again and again until the cell ends (see clocks.rs).
# Timers of the code have other signals, and it can send none.
CPU_OVER, WALL_OVER = 24, 16
armed = False
cpu_deadline = wall_deadline = raise_after = 0.0
raised = None


def on_limit(number, frame):
    global raise_after, raised
    now = monotonic()
    # Not while the last one is raising. One that was meant for an earlier cell comes before time is over.
    if not armed or now < raise_after:
        return
    over = process_time() >= cpu_deadline if number == CPU_OVER else now >= wall_deadline
    if over:
        raise_after, raised = now + 0.1, "cpu" if number == CPU_OVER else "wall"
        raise Limit(raised)


def on_own_timer(number, frame):
    """Ends the process as the signal would. The kernel doesn't end the first of a pid namespace by it."""
    try:
        OUTPUT.flush()
    except BaseException:
        pass
    _exit(128 + number)


def arm(settings):
    global armed, cpu_deadline, wall_deadline
    armed = True
    cpu_deadline = process_time() + settings["cpu_seconds"]
    wall_deadline = monotonic() + settings["wall_seconds"]


def run_cell(source, settings, session):
    """Returns the answer to one cell. Formatting values and errors runs the cell's code, so the limits hold."""
    global armed
    if session:
        # An earlier cell may have changed them. Not signal.signal, which makes enums of the numbers.
        _signal.signal(CPU_OVER, on_limit)
        _signal.signal(WALL_OVER, on_limit)
    try:
        arm(settings)
        answer = execute(source, settings["output_bytes"])
        if session:
            join_threads()
        else:
            finish()
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
    try:
        OUTPUT.flush()
    except BaseException:
        pass
    return answer


def execute(source, room):
    """Runs a cell and returns its answer. Raises limits and MemoryError."""
    try:
        value = evaluate(source)
        return {"status": "ok", "value": None if value is None else clip(repr(value), room)}
    except (Limit, MemoryError):
        raise
    except SystemExit as error:
        if error.code in (None, 0):
            return {"status": "ok"}
        return {"status": "error", "error": clip("SystemExit: %s" % (error.code,), room)}
    except BaseException as error:
        return {"status": "error", "error": clip(last_line(error), room)}


def join_threads():
    """Waits for the cell's threads. Workers of an executor, which wait for more work, live on with the state."""
    futures = sys.modules.get("concurrent.futures.thread")
    waiting = getattr(futures, "_threads_queues", ())
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon and thread not in waiting:
            thread.join()


def finish():
    """Ends a script as Python does: waits for its threads, calls functions of atexit, flushes the streams."""
    global raised
    raised = None
    try:
        if threading.active_count() > 1:
            threading._shutdown()
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except (Limit, MemoryError):
        raise
    except BaseException:
        # It has printed the error, and the cell ended before.
        pass
    # Functions of atexit can't let a limit through.
    if raised:
        raise Limit(raised)


def evaluate(source):
    """Runs the statements, and returns the value of the last one if it's an expression."""
    statements, last = split(source.decode())
    exec(statements, MAIN.__dict__)
    if last is not None:
        return eval(last, MAIN.__dict__)


def split(source):
    """Returns the compiled statements, and the last one apart if it's an expression, else None."""
    start, _, end = source.rstrip().rpartition("\n")
    if end and end[0] not in " \t\f#":
        # The parser would find a whole program and a last expression too. It makes an object of every node,
        # which costs a fresh child more than compiling does.
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
    """Returns the last line of the traceback, such as `ValueError: no`."""
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
    """Implements `exit()` and `quit()`, which models write."""
    raise SystemExit(code)


def prepare():
    """Makes the environment of cells."""
    MAIN.__dict__.update(__builtins__=__builtins__, exit=leave, quit=leave)
    sys.modules["__main__"] = MAIN
    sys.argv = [""]
    sys.stdout, sys.stderr = text_stream(), text_stream()
    # Keeps the stream open if code replaces it.
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr
    # Children have /dev/null there.
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, "r", closefd=False)), "utf-8")
    sys.__stdin__ = sys.stdin
    for number in (CPU_OVER, WALL_OVER):
        signal.signal(number, on_limit)
    for number in (signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF):
        signal.signal(number, on_own_timer)
