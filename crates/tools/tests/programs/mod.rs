//! The table of hostile programs.

use turnwise_trajectory::OutputStatus::{self, Error, Killed, Ok, OutOfMemory, Timeout};

/// One program and how it may end. One that gets through what should hold it prints `BROKE OUT`.
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
    // Signals and tracing.
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
    ends("socket pair", &[Error], "import socket; socket.socketpair(); print('BROKE OUT')"),
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
    // The executor itself.
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
