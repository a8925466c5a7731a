"""A server in plain Python that does what its calls say: it answers, fails, lies, breaks down, is slow.

    odd.py [--workers]    with --workers every call has a thread, so answers come in any order
"""
import json, os, random, subprocess, sys, threading, time

if "ODD_STARTS" in os.environ:
    with open(os.environ["ODD_STARTS"], "a") as starts:
        starts.write("x")
lock = threading.Lock()
calls = 0
TOOLS = [
    {
        "name": name,
        "description": "Says its place.",
        "inputSchema": {
            "type": "object",
            "properties": {"place": {"type": "string"}, "how": {"type": "string"}},
            "required": ["place"],
        },
    }
    for name in ("left", "right")
]


def say(line):
    with lock:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def answer(id, result):
    say(json.dumps({"jsonrpc": "2.0", "id": id, "result": result}))


def text(text, failed=False):
    return {"content": [{"type": "text", "text": text}], "isError": failed}


def call(id, name, arguments, number):
    how, place = arguments.get("how", "ok"), arguments["place"]
    # A fault that happens once leaves a mark.
    how, _, mark = how.partition(" ")
    if mark:
        if os.path.exists(mark):
            how = "ok"
        else:
            open(mark, "w").close()
    said = f"{name} {number} {place}"
    if how == "ok":
        answer(id, text(said))
    elif how == "fails":
        answer(id, text(said, True))
    elif how == "refused":
        say(json.dumps({"jsonrpc": "2.0", "id": id, "error": {"code": -32602, "message": said}}))
    elif how == "broken":
        say(json.dumps({"jsonrpc": "2.0", "id": id, "error": {"code": -32603, "message": said}}))
    elif how == "slow":
        time.sleep(random.random() / 50)
        answer(id, text(said))
    elif how == "chats":
        print("debugging\x1b[2J", file=sys.stderr, flush=True)
        say("a line that is no message")
        say(json.dumps({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "hello"}}))
        say(json.dumps({"jsonrpc": "2.0", "id": "mine", "method": "ping"}))
        answer(id, text(said))
    elif how == "child":
        child = subprocess.Popen(["sleep", "1000"])
        answer(id, text(f"{os.getpid()} {child.pid}"))
    elif how == "env":
        answer(id, text(json.dumps(dict(os.environ))))
    elif how == "dies":
        print("no space\x1b[2J left", file=sys.stderr, flush=True)
        os._exit(3)
    elif how == "closes":
        os.close(1)
    elif how == "silent":
        pass
    elif how == "lies":
        answer(id + 1000, text(said))
    elif how == "twice":
        answer(id, text(said))
        answer(id, text("again"))
    elif how == "nonsense":
        answer(id, {"content": "no list"})
    elif how == "neither":
        say('{"jsonrpc": "2.0"}')
    elif how == "huge":
        with lock:
            for _ in range(17):
                sys.stdout.write("x" * (1 << 20))
            sys.stdout.flush()
        time.sleep(60)
    else:
        raise ValueError(how)


for line in sys.stdin:
    request = json.loads(line)
    method, id = request.get("method"), request.get("id")
    if method == "initialize":
        version = os.environ.get("ODD_VERSION", request["params"]["protocolVersion"])
        answer(id, {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": {"name": "odd"}})
    elif method == "tools/list":
        answer(id, {"tools": TOOLS})
    elif method == "tools/call":
        calls += 1
        arguments = (id, request["params"]["name"], request["params"]["arguments"], calls)
        if "--workers" in sys.argv:
            threading.Thread(target=call, args=arguments).start()
        else:
            call(*arguments)
    elif id is not None and method is not None:
        say(json.dumps({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": method}}))
