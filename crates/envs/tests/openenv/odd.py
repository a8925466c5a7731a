"""A server with the protocol of OpenEnv in plain Python, whose answers a test writes.

    serve(handle, schema)   answers GET /schema, and hands each message of /ws to handle(session, message)
    usual(session, message) is how a server answers that works
"""

import base64
import hashlib
import json
import os
import random
import socket
import struct
import sys
import threading
import time

TEXT = {"title": "Say", "properties": {"message": {"type": "string"}, "metadata": {"type": "object"}}}
CALLS = {"title": "CallToolAction", "properties": {"tool_name": {"type": "string"}, "arguments": {}}}
LOOK = {
    "name": "look",
    "description": "",
    "input_schema": {"type": "object", "properties": {"n": {"type": "integer"}}},
}


def frame(kind, data):
    size = len(data)
    head = bytes([0x80 | kind])
    if size < 126:
        return head + bytes([size]) + data
    return head + (struct.pack("!BH", 126, size) if size < 1 << 16 else struct.pack("!BQ", 127, size)) + data


class Session:
    """A connection. seed, sample and turn are free for a test's own use."""

    def __init__(self, sock):
        self.sock, self.seed, self.steps, self.sample = sock, None, 0, None

    def exactly(self, size):
        data = b""
        while len(data) < size:
            more = self.sock.recv(size - len(data))
            if not more:
                raise ConnectionError
            data += more
        return data

    def read(self):
        """Returns the next message; none at the end."""
        while True:
            first, size = self.exactly(2)
            size &= 127
            if size >= 126:
                size = int.from_bytes(self.exactly(2 if size == 126 else 8), "big")
            mask = self.exactly(4)
            data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.exactly(size)))
            if first & 15 == 8:
                return None
            if first & 15 == 1:
                return json.loads(data)

    def say(self, *texts):
        """Sends texts, all of them at once."""
        self.sock.sendall(b"".join(frame(1, text.encode()) for text in texts))

    def observe(self, observation, reward=None, done=False):
        data = {"observation": observation, "reward": reward, "done": done}
        return json.dumps({"type": "observation", "data": data})

    def refuse(self, code, message, **more):
        return json.dumps({"type": "error", "data": {"message": message, "code": code, **more}})

    def close(self):
        self.sock.sendall(frame(8, struct.pack("!H", 1011) + b"gone"))


def usual(session, message):
    """Returns the answer of a server that works: rewards are the seed and, in 64ths, the step."""
    kind, data = message["type"], message.get("data")
    if kind == "state":
        return json.dumps({"type": "state", "data": {"step_count": session.steps}})
    if kind == "reset":
        session.seed, session.steps = data["seed"], 0
        return session.observe({"prompt": f"seed {session.seed}"})
    if data.get("type") == "list_tools":
        return session.observe({"tools": [LOOK], "metadata": {}})
    session.steps += 1
    reward = (session.seed or 0) + session.steps / 64
    if data.get("type") == "call_tool":
        text = f"look {session.seed} {data['arguments'].get('n')}"
        result = {"content": [{"type": "text", "text": text}], "is_error": False}
        return session.observe({"tool_name": "look", "result": result, "error": None}, reward)
    return session.observe({"message": f"heard {data['message']}"}, reward)


def serve(handle=None, schema=TEXT, room=1000):
    """Listens at PORT until the process ends. handle answers itself, or returns the answer."""
    handle, lock, open_now = handle or usual, threading.Lock(), []

    def connected(sock):
        head = b""
        while b"\r\n\r\n" not in head:
            more = sock.recv(4096)
            if not more:
                return
            head += more
        if head.startswith(b"GET /schema "):
            body = json.dumps({"action": schema}).encode()
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
            return
        lines = head.decode().split("\r\n")
        key = next(line.split(": ")[1] for line in lines if line.lower().startswith("sec-websocket-key:"))
        digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        accept = base64.b64encode(digest).decode()
        agreed = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        sock.sendall(f"{agreed}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())
        session = Session(sock)
        with lock:
            full = len(open_now) >= room
            if not full:
                open_now.append(session)
        if full:
            session.say(session.refuse("CAPACITY_REACHED", "full", active_sessions=room, max_sessions=room))
            session.close()
            session.read()
            return
        try:
            while (message := session.read()) is not None and message["type"] != "close":
                answer = handle(session, message)
                if answer is not None:
                    session.say(answer)
        finally:
            with lock:
                open_now.remove(session)

    def quietly(sock):
        try:
            connected(sock)
        except (OSError, StopIteration):
            pass
        finally:
            sock.close()

    listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])), backlog=200)
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=quietly, args=(sock,), daemon=True).start()
