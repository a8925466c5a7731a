//! Lists hostile programs.

use turnwise_trajectory::OutputStatus::{self, Error, Killed, Ok, OutOfMemory, Timeout};

/// A program and its possible ends. One that gets past its layer prints `BROKE OUT`.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) code: &'static str,
    pub(crate) ends: &'static [OutputStatus],
    pub(crate) prints: &'static str,
}

const fn ends(name: &'static str, ends: &'static [OutputStatus], code: &'static str) -> Program {
    Program { name, code, ends, prints: "" }
}

const fn prints(name: &'static str, prints: &'static str, code: &'static str) -> Program {
    Program { name, code, ends: &[Ok], prints }
}

pub(crate) const PROGRAMS: &[Program] = &[
    // Time.
    ends("endless loop", &[Timeout], "while True: pass"),
    ends(
        "endless loop, limits swallowed",
        &[Timeout],
        "while True:\n try:\n  while True: pass\n except BaseException: pass",
    ),
    ends("sleep", &[Timeout], "import time; time.sleep(1000)"),
    ends(
        "sleep, all signals ignored",
        &[Timeout],
        "import signal, time\nfor s in signal.valid_signals():\n try: signal.signal(s, signal.SIG_IGN)\n except OSError: pass\ntime.sleep(1000)",
    ),
    ends(
        "loop, all signals blocked",
        &[Timeout],
        "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\nwhile True: pass",
    ),
    ends(
        "loop, timers turned off",
        &[Timeout],
        "import signal\nsignal.setitimer(signal.ITIMER_PROF, 0)\nsignal.setitimer(signal.ITIMER_REAL, 0)\nwhile True: pass",
    ),
    ends("huge integer", &[Timeout, OutOfMemory], "x = 10 ** (10 ** 9)"),
    ends(
        "huge integer to text",
        &[Timeout, Error],
        "import sys; sys.set_int_max_str_digits(0); str(7 ** 3000000)",
    ),
    ends("regular expression blow-up", &[Timeout], "import re; re.match(r'(a+)+$', 'a' * 40 + 'b')"),
    ends("endless repr of the value", &[Timeout], "class A:\n def __repr__(self):\n  while True: pass\nA()"),
    ends(
        "endless text of the error",
        &[Timeout],
        "class E(Exception):\n def __str__(self):\n  while True: pass\nraise E",
    ),
    ends("endless generator", &[Timeout, OutOfMemory], "import itertools; sum(itertools.count())"),
    ends("waits for input", &[Error], "input()"),
    ends("deadlock", &[Timeout], "import threading; l = threading.Lock(); l.acquire(); l.acquire()"),
    ends(
        "joins a thread that never ends",
        &[Timeout],
        "import threading\ndef f():\n while True: pass\nthreading.Thread(target=f).start()",
    ),
    // Memory.
    ends("10 GB at once", &[OutOfMemory], "x = bytearray(10 * 2 ** 30)"),
    ends("slow growth", &[OutOfMemory, Timeout], "x = []\nwhile True: x.append('a' * 100000)"),
    ends(
        "growth, errors swallowed",
        &[OutOfMemory, Timeout, Error],
        "x = []\nwhile True:\n try: x.append(bytearray(1 << 20))\n except MemoryError: pass",
    ),
    ends("string doubling", &[OutOfMemory, Timeout], "s = 'a'\nwhile True: s += s"),
    ends(
        "shared memory",
        &[OutOfMemory, Error],
        "import mmap\nx = [mmap.mmap(-1, 1 << 28) for _ in range(100)]",
    ),
    ends("memory file", &[Error], "import os; os.memfd_create('x')"),
    ends("many pipes", &[Error], "import os\nwhile True: os.pipe()"),
    ends(
        "deep recursion",
        &[Error, Killed, OutOfMemory, Timeout],
        "import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(): return f()\nf()",
    ),
    ends(
        "deep recursion in C",
        &[Error, Killed, OutOfMemory, Timeout],
        "import sys\nsys.setrecursionlimit(10 ** 9)\nx = []\nfor _ in range(10 ** 6): x = [x]\nrepr(x)",
    ),
    ends("deep nesting of source", &[Error, Killed, OutOfMemory], "eval('(' * 100000 + ')' * 100000)"),
    ends(
        "decompression bomb",
        &[OutOfMemory, Timeout],
        "import zlib\nb = zlib.compress(bytes(100 << 20))\nx = [zlib.decompress(b) for _ in range(100)]",
    ),
    // Output.
    ends("endless output", &[Killed, Timeout], "while True: print('x' * 100000)"),
    ends(
        "endless output, unbuffered",
        &[Killed, Timeout],
        "import os\nwhile True: os.write(1, b'y' * 65536)",
    ),
    prints("a lot on stderr", "yyy", "import sys; sys.stderr.write('y' * 1000000)"),
    ends("output that is not text", &[Ok], "import os; os.write(1, bytes(range(256)))"),
    ends("huge value", &[Ok], "'z' * 10000000"),
    ends("huge error", &[Error], "raise ValueError('z' * 10000000)"),
    // Processes.
    ends("fork bomb", &[Error], "import os\nwhile True: os.fork()"),
    ends(
        "double-forked daemon",
        &[Error],
        "import os\nif os.fork() == 0:\n os.setsid()\n if os.fork() == 0:\n  while True: pass",
    ),
    ends("subprocess", &[Error], "import subprocess; subprocess.run(['sh', '-c', 'echo BROKE OUT'])"),
    ends("exec", &[Error], "import os; os.execv('/bin/echo', ['echo', 'BROKE OUT'])"),
    ends("posix_spawn", &[Error], "import os; os.posix_spawn('/bin/echo', ['echo', 'BROKE OUT'], {})"),
    ends(
        "multiprocessing",
        &[Error],
        "import multiprocessing as m; m.get_context('fork').Process(target=print, args=('BROKE OUT',)).start()",
    ),
    ends(
        "thread bomb",
        &[Error, OutOfMemory, Timeout],
        "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()",
    ),
    prints(
        "threads made by the system call",
        "few\n",
        "import ctypes\nlibc = ctypes.CDLL(None)\nstacks = ctypes.create_string_buffer(500 << 12)\ntop = ctypes.addressof(stacks) & -16\n\
         made = sum(libc.clone(ctypes.cast(libc.pause, ctypes.c_void_p), ctypes.c_void_p(top + (i << 12)), 0x50f00, None) > 0 for i in range(1, 500))\n\
         print('few' if 0 < made < 130 else 'BROKE OUT %d' % made)",
    ),
    prints(
        "threads that share less than libc's",
        "none\n",
        "import ctypes\nlibc = ctypes.CDLL(None)\nstack = ctypes.create_string_buffer(1 << 16)\ntop = ctypes.c_void_p(ctypes.addressof(stack) + 60000 & -16)\n\
         flags = [0x50b00, 0x10f00, 0x50d00, 0x40f11, 0x20050f00, 0x10050f00, 0x40050f00, 0x58f00, 0x4111, 0]\n\
         made = [hex(f) for f in flags if libc.clone(ctypes.cast(libc.pause, ctypes.c_void_p), top, f, None) > 0]\nprint('BROKE OUT %s' % made if made else 'none')",
    ),
    ends(
        "threads without an end, one after the other",
        &[Ok, Error, Timeout],
        "import threading\nwhile True:\n t = threading.Thread(target=int)\n t.start()\n t.join()",
    ),
    // Signals and tracing.
    prints(
        "signals through a descriptor's owner",
        "none",
        "import fcntl, os, signal\nread, write = os.pipe()\ndone = []\n\
         for fd in (read, write, 0, 1, 3):\n for command, value in ((8, os.getppid()), (8, 1), (8, -1), (8, os.getpid()), (10, 9), (15, b'\\0' * 8), (1024, 0), (1026, 1), (1031, 1 << 20), (4, os.O_ASYNC)):\n  try:\n   fcntl.fcntl(fd, command, value)\n   done.append((fd, command))\n  except OSError: pass\n\
         os.write(write, b'x')\nprint('BROKE OUT %s' % done if done else 'none')",
    ),
    prints(
        "its own alarm",
        "before\n",
        "import signal, time\nclass Rang(Exception): pass\ndef ring(*_): raise Rang\nsignal.signal(signal.SIGALRM, ring)\nsignal.setitimer(signal.ITIMER_REAL, 0.05)\ntry:\n while True: time.sleep(0.01)\nexcept Rang: print('before')",
    ),
    ends(
        "its own alarm, unhandled",
        &[Killed],
        "import signal, time\nsignal.setitimer(signal.ITIMER_REAL, 0.05)\nwhile True: time.sleep(0.01)",
    ),
    ends(
        "its own timer, unhandled",
        &[Killed],
        "import signal\nsignal.setitimer(signal.ITIMER_VIRTUAL, 0.05)\nwhile True: pass",
    ),
    ends("signal to the parent", &[Error], "import os; os.kill(os.getppid(), 9); print('BROKE OUT')"),
    ends("signal to everyone", &[Error], "import os; os.kill(-1, 9); print('BROKE OUT')"),
    ends("signal to the group", &[Error], "import os; os.killpg(0, 9); print('BROKE OUT')"),
    ends(
        "stops itself",
        &[Error],
        "import os, signal; os.kill(os.getpid(), signal.SIGSTOP); print('BROKE OUT')",
    ),
    ends("aborts", &[Killed, Timeout], "import os; os.abort()"),
    ends("segfault", &[Killed], "import ctypes; ctypes.string_at(1)"),
    ends("exit without goodbye", &[Error], "import os; os._exit(7)"),
    ends("exit that looks like success", &[Ok], "import os; os._exit(0)"),
    prints("ptrace", "-1", "import ctypes; print(ctypes.CDLL(None).ptrace(16, 1, 0, 0))"),
    prints(
        "system calls by number",
        "[-1, -1, -1, -1, -1, -1]",
        "import ctypes, os\nn = {'x86_64': [272, 165, 101, 321, 425, 310], 'aarch64': [97, 40, 117, 280, 425, 270]}[os.uname().machine]\nprint([ctypes.CDLL(None).syscall(i, 0x10000000, 0, 0, 0, 0) for i in n])",
    ),
    // The network.
    prints(
        "sockets of every family",
        "none",
        "import _socket\nopened = []\nfor family in range(0, 46):\n for kind in (1, 2, 3, 5):\n  try: opened.append(_socket.socket(family, kind))\n  except OSError: pass\nprint(opened or 'none')",
    ),
    ends(
        "fetches a page",
        &[Error],
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1/'); print('BROKE OUT')",
    ),
    prints(
        "a pair of sockets within the process, and no other",
        "none",
        "import socket\na, b = socket.socketpair()\na.send(b'x')\nassert b.recv(9) == b'x'\nopened = []\n\
         for family in range(0, 46):\n for kind in (1, 2, 3, 5):\n  if (family, kind) != (1, 1):\n   try: opened.append(socket.socketpair(family, kind))\n   except OSError: pass\nprint(opened or 'none')",
    ),
    prints(
        "what a pair of sockets could be used for",
        "none",
        "import socket\na, b = socket.socketpair()\ndone = []\n\
         for act in (lambda: a.sendto(b'x', '/run/systemd/journal/dev-log'), lambda: a.connect('\\0x'), lambda: b.bind('\\0turnwise'),\n\
          \x20lambda: socket.send_fds(a, [b'x'], [0]), lambda: a.setsockopt(1, 7, 1 << 24), lambda: socket.recv_fds(b, 1, 1)):\n try: done.append(act())\n except OSError: pass\nprint(done or 'none')",
    ),
    prints(
        "an event loop",
        "[5, 6] 7\n",
        "import asyncio\nasync def f(x):\n await asyncio.sleep(0.01)\n return x\nasync def both():\n return await asyncio.gather(f(5), f(6)), await asyncio.to_thread(lambda: 7)\nprint(*asyncio.run(both()))",
    ),
    // Files.
    ends("reads the passwords", &[Error], "print('BROKE OUT', open('/etc/shadow').read())"),
    ends("reads the accounts", &[Error], "print('BROKE OUT', open('/etc/passwd').read())"),
    ends("reads its environment", &[Error], "print('BROKE OUT', open('/proc/self/environ').read())"),
    ends(
        "reads another's memory",
        &[Error],
        "import os; print('BROKE OUT', open('/proc/%d/maps' % os.getppid()).read())",
    ),
    prints(
        "reads any process",
        "none",
        "seen = []\nfor pid in list(range(1, 3000)):\n for name in ('environ', 'cmdline', 'maps'):\n  try: seen.append(open('/proc/%d/%s' % (pid, name)).read())\n  except OSError: pass\nprint('BROKE OUT' if seen else 'none')",
    ),
    ends("lists the home folders", &[Error], "import os; print('BROKE OUT', os.listdir('/home'))"),
    prints(
        "writes anywhere",
        "none",
        "done = []\nfor folder in ('/tmp', '/var/tmp', '/dev/shm', '/', '/root', '/home', '.'):\n try: done.append(open(folder + '/turnwise-hostile', 'w'))\n except OSError: pass\nprint('BROKE OUT' if done else 'none')",
    ),
    ends(
        "links its way out",
        &[Error],
        "import os; os.symlink('/etc/passwd', '/tmp/turnwise-hostile'); print('BROKE OUT')",
    ),
    ends("a link that is there", &[Error], "print('BROKE OUT', open('/lib/../etc/passwd').read())"),
    ends("makes a folder", &[Error], "import os; os.mkdir('/tmp/turnwise-hostile'); print('BROKE OUT')"),
    ends("deletes the library", &[Error], "import os; os.unlink(os.__file__); print('BROKE OUT')"),
    ends(
        "fills temporary space",
        &[Error],
        "import tempfile\nwith tempfile.TemporaryFile() as f:\n while True: f.write(bytes(1 << 20))",
    ),
    prints(
        "cuts off and changes what it may read",
        "none",
        "import os\ndone = []\nown = os.__file__\n\
         for act in (lambda: os.open(own, os.O_RDONLY | os.O_TRUNC), lambda: os.open(own, 3), lambda: os.open(own, 3 | os.O_TRUNC), lambda: os.open(own, os.O_RDWR),\n\
          \x20lambda: os.chmod(own, 0o777), lambda: os.utime(own), lambda: os.truncate(own, 0), lambda: os.rename(own, own + '2'), lambda: os.setxattr(own, 'user.x', b'1'),\n\
          \x20lambda: os.chmod(os.open(own, os.O_RDONLY), 0o777)):\n try: done.append(act())\n except OSError: pass\nprint('BROKE OUT %s' % done if done else 'none')",
    ),
    prints(
        "inherited descriptors",
        "[0, 1, 2, 3]\n",
        "import os\nopened = []\nfor fd in range(2000):\n try: opened.append(os.fstat(fd) and fd)\n except OSError: pass\nprint(opened)",
    ),
    // The executor itself.
    ends(
        "a flood of forged answers",
        &[Killed],
        "import os, struct, threading\nm = b'{\"status\":\"ok\",\"key\":\"0\"}'\nm = (struct.pack('<I', len(m)) + m) * 1000\n\
         def flood():\n while True: os.write(3, m)\nfor _ in range(4): threading.Thread(target=flood).start()",
    ),
    ends(
        "a forged value beyond the limit",
        &[Ok],
        "import json, os, struct, sys\nf = sys._getframe()\nwhile 'message' not in f.f_locals: f = f.f_back\nm = json.dumps(dict(status='ok', key=f.f_locals['message'][:8].hex(), value='z' * 180000)).encode()\nos.write(3, struct.pack('<I', len(m)) + m)\nwhile True: pass",
    ),
    ends("closes every descriptor", &[Error], "import os; os.closerange(0, 100)"),
    ends(
        "closes every descriptor and runs on",
        &[Timeout, Error],
        "import os; os.closerange(0, 100)\nwhile True: pass",
    ),
    ends("closes stdout", &[Ok], "import sys; sys.stdout.close()"),
    ends(
        "forged status",
        &[Ok, Error, Timeout, Killed],
        "import os, struct\nm = b'{\"status\":\"ok\"}'\nos.write(3, struct.pack('<I', len(m)) + m)\nwhile True: pass",
    ),
    ends("forged length", &[Killed], "import os\nos.write(3, b'\\xff' * 100)\nwhile True: pass"),
    ends(
        "nonsense for a status",
        &[Killed],
        "import os\nos.write(3, b'\\x04\\0\\0\\0junk')\nwhile True: pass",
    ),
    ends("eats its own channel", &[Error, Timeout], "import os\nos.read(3, 100)"),
    ends(
        "breaks the runner",
        &[Ok, Error, Killed],
        "import json, sys, os, struct\njson.dumps = None\nstruct.pack = None\nsys.modules.clear()",
    ),
    ends(
        "breaks the builtins",
        &[Ok, Error, Killed],
        "import builtins\nfor n in list(vars(builtins)): delattr(builtins, n)",
    ),
    ends(
        "raises limits",
        &[OutOfMemory, Error],
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))\nx = bytearray(10 * 2 ** 30)",
    ),
    ends("imports what kills on import", &[Ok, Error], "import antigravity, this"),
    ends(
        "marks the world",
        &[Ok],
        "leak = 1\nimport os, builtins\nos.environ['MARK'] = '1'\nbuiltins.print = None",
    ),
    ends(
        "frames of the runner",
        &[Ok, Error],
        "import sys\nf = sys._getframe()\nwhile f.f_back: f = f.f_back\nf.f_globals.clear()",
    ),
    ends("null byte in the source", &[Error], "x = 1\0"),
    ends("not Python at all", &[Error], "))) <tool_call>"),
    ends("a lone escape", &[Ok], "print('\\ud800')"),
];
