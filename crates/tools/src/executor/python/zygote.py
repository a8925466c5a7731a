"""Forks locked-down children that run cells. Started by the supervisor, which sends everything it needs.

A zygote imports the standard library once and never runs a model's code. Each child belongs to the supervisor
(CLONE_PARENT), restricts itself, and then answers cells until it is killed. What a child says is advisory, as
the code that it runs could forge it: the supervisor trusts exit statuses, signals and its own clocks.
"""
import fcntl, gc, importlib, random, resource, socket

SYS_CLONE, SYS_SECCOMP = {"x86_64": (56, 317), "aarch64": (220, 277)}.get(os.uname().machine, (None, None))
SYS_CLOSE_RANGE, SYS_LANDLOCK_RESTRICT_SELF = 436, 446
CLONE_PARENT, CLONE_NEWNS, CLONE_NEWPID = 0x8000, 0x20000, 0x20000000
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 1, 22, 38, 2
SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER = 1, 8
CAPABILITY_VERSION_3 = 0x20080522
# The supervisor knows these exit statuses, and these bits for what a child hands over.
OUT_OF_MEMORY, BROKEN = 71, 72
WITH_LISTENER, WITH_SCRATCH = 1, 2

PRELOAD = (
    "abc bisect calendar cmath collections contextlib copy csv dataclasses datetime decimal enum fractions "
    "functools hashlib heapq inspect itertools json math numbers operator pprint queue random re secrets "
    "statistics string textwrap time traceback typing unicodedata warnings zlib"
).split()

libc.prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
libc.syscall.argtypes = (ctypes.c_long,) * 6
libc.capset.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
libc.mmap.restype = ctypes.c_long
libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t) + (ctypes.c_int,) * 3 + (ctypes.c_long,)
libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
MAP_PRIVATE, MAP_ANONYMOUS = 2, 32
NO_CAPABILITIES = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()


def prctl(option, first=0, second=None):
    return failed(libc.prctl(option, first, second, None, None))


class Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def program(code):
    instructions = ctypes.create_string_buffer(code, len(code))
    loaded = Program(len(code) // 8, ctypes.addressof(instructions))
    loaded.keep = instructions
    return loaded


def restrict_self(settings):
    """Applies the layers that children inherit at no cost. Keeps the errno of each."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    # Everything but the allow-list, which the zygote couldn't live with.
    settings["no_seccomp"] = settings["seccomp"] and filter_calls(settings["seccomp"]["inherited"])
    settings["no_rlimits"] = set_limits(
        {
            resource.RLIMIT_AS: address_space() + settings["memory_bytes"],
            resource.RLIMIT_FSIZE: settings["scratch_bytes"],
            resource.RLIMIT_NOFILE: 64,
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_STACK: 8 << 20,
        }
    )


def address_space():
    """Returns the bytes of address space in use. Tries whether one more page fits, as /proc may be missing."""
    limits, page = resource.getrlimit(resource.RLIMIT_AS), resource.getpagesize()
    low, high = 0, 1 << 47
    if limits[1] != resource.RLIM_INFINITY:
        high = min(high, limits[1])
    try:
        while high - low > page:
            middle = (low + high) // 2 // page * page
            try:
                resource.setrlimit(resource.RLIMIT_AS, (middle, limits[1]))
                place = libc.mmap(None, page, 0, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
            except MemoryError:
                place = -1
            if place == -1:
                low = middle
            else:
                libc.munmap(place, page)
                high = middle
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    return low


def end_first():
    """Makes the kernel end this process and its children first without memory. Returns the errno, or 0."""
    try:
        with open("/proc/self/oom_score_adj", "w") as score:
            score.write("1000")
    except OSError as error:
        return error.errno
    return 0


def restrict(settings, ruleset, session):
    """Applies every layer that it can, and returns the errno of each (0: it holds)."""
    # A fallback for supervisors that can't look. It counts whole seconds.
    cpu = {} if session else {resource.RLIMIT_CPU: int(settings["cpu_seconds"]) + 3}
    layers = {"rlimits": settings["no_rlimits"] or set_limits(cpu), "oom_score": settings["no_oom_score"]}
    if settings["namespaces"]:
        layers["pid_namespace"] = settings["no_pid_namespace"] or (errno.ENOSYS if os.getpid() != 1 else 0)
    scratch = -1
    if settings["scratch_bytes"]:
        layers["scratch"] = settings["no_scratch"] or mount_scratch(settings["scratch_bytes"])
        scratch = -1 if layers["scratch"] else os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # The ambient ones go with the others.
    libc.capset(*NO_CAPABILITIES)
    if ruleset:
        layers["landlock"] = failed(libc.syscall(SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0, 0, 0, 0))
    programs, listener = settings["seccomp"], -1
    if programs:
        listener, layers["threads"] = listen(programs["asks"])
    hand_over(listener, scratch)
    if programs:
        listed = programs["list" if listener >= 0 else "without_threads"]
        layers["seccomp"] = settings["no_seccomp"] or filter_calls(listed)
    return layers


def listen(loaded):
    """Installs a seccomp program that asks. Returns the descriptor to answer by, and the errno."""
    listener = libc.syscall(
        SYS_SECCOMP, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, ctypes.addressof(loaded), 0, 0
    )
    return listener, failed(listener)


def hand_over(listener, scratch):
    """Sends the supervisor the descriptors that only it may hold from now on."""
    fds = [fd for fd in (listener, scratch) if fd >= 0]
    what = (WITH_LISTENER if listener >= 0 else 0) | (WITH_SCRATCH if scratch >= 0 else 0)
    cell = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=3)
    socket.send_fds(cell, [bytes([what])], fds) if fds else cell.send(bytes([what]))
    cell.detach()
    for fd in fds:
        os.close(fd)


def filter_calls(loaded):
    """Installs a seccomp program. Returns the errno, or 0."""
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(loaded))


def set_limits(limits):
    """Sets limits of resources. Returns the errno of the first failure, or 0."""
    try:
        for name, value in limits.items():
            hard = resource.getrlimit(name)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(name, (value, value))
    except (OSError, ValueError) as error:
        return getattr(error, "errno", None) or errno.EINVAL
    return 0


def become_child(settings, session, fds, ruleset, null):
    """Answers cells until killed. Never returns into the zygote's loop."""
    try:
        # A separate session keeps signals to "my group" from the zygote and its siblings.
        os.setsid()
        # Above the numbers that they move to, so that no move overwrites another.
        cell, output = (fcntl.fcntl(fd, fcntl.F_DUPFD, 16) for fd in fds)
        kept = fcntl.fcntl(ruleset, fcntl.F_DUPFD, 16) if ruleset else 0
        os.dup2(null, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.dup2(cell, 3)
        ruleset = kept and os.dup2(kept, 4)
        close_from(5, settings["descriptors"])
        layers = restrict(settings, ruleset, session)
        if ruleset:
            os.close(ruleset)
        send(3, layers)
        while True:
            message = receive(3)
            if message is None:
                _exit(0)
            # The answer carries the cell's key, so that a forged answer isn't taken for the next cell's.
            send(3, dict(run_cell(message[8:], settings, session), key=message[:8].hex()))
    except MemoryError:
        _exit(OUT_OF_MEMORY)
    finally:
        _exit(BROKEN)


def close_from(first, limit):
    """Closes every descriptor from `first` on."""
    if libc.syscall(SYS_CLOSE_RANGE, first, 0xFFFFFFFF, 0, 0, 0):
        os.closerange(first, limit)


def fork(flags):
    """Returns the pid in the parent, 0 in the child, minus errno on failure.

    It skips the hooks of os.fork, which take locks of threads that don't exist here and double the pages that a
    child touches.
    """
    pid = libc.syscall(SYS_CLONE, flags | signal.SIGCHLD, 0, 0, 0, 0)
    code = failed(pid)
    return -code if code else pid


def is_below(path, folders):
    real = os.path.realpath(path) + "/"
    return any(real.startswith(os.path.realpath(folder) + "/") for folder in folders)


def start(settings):
    """Imports modules, and does everything else that should happen once instead of in every child."""
    settings["no_oom_score"] = end_first()
    settings["descriptors"] = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 1 << 20)
    programs = settings["seccomp"]
    settings["seccomp"] = programs and {name: program(bytes(code)) for name, code in programs.items()}
    sys.path = [entry for entry in sys.path if entry]
    for name in PRELOAD + settings["imports"]:
        importlib.import_module(name)
    for code in settings["warm_up"]:
        exec(code, {})
    os.environ.pop("LD_LIBRARY_PATH", None)
    # Entries that children can't read are removed.
    sys.path = [entry for entry in sys.path if is_below(entry, settings["readable"])]
    gc.collect()
    restrict_self(settings)
    prepare()
    # The same code should give the same numbers in every execution.
    random.seed(0)
    gc.collect()
    gc.freeze()


def main():
    control = socket.socket(fileno=0)
    _, rulesets, _, _ = socket.recv_fds(control, 1, 1)
    settings = json.loads(receive(0))
    try:
        start(settings)
    except BaseException as error:
        send(0, {"error": last_line(error)})
        _exit(1)
    if settings["scratch_bytes"]:
        settings["no_scratch"] = prepare_scratch(settings["namespaces"], rulesets and rulesets[0])
    send(0, {"version": sys.version.split()[0]})
    null = os.open(os.devnull, os.O_RDONLY)
    flags = CLONE_PARENT | (CLONE_NEWPID if settings["namespaces"] else 0)
    if settings["scratch_bytes"] and not settings["no_scratch"]:
        flags |= CLONE_NEWNS
    settings["no_pid_namespace"], forked = 0, False
    while True:
        kind, fds, _, _ = socket.recv_fds(control, 1, 2)
        if not kind:
            _exit(0)
        pid = fork(flags)
        if pid < 0 and pid != -errno.EAGAIN and flags & CLONE_NEWPID and not forked:
            # A layer that the first child can't have is off for all.
            settings["no_pid_namespace"] = -pid
            flags &= ~CLONE_NEWPID
            pid = fork(flags)
        if pid == 0:
            become_child(settings, kind == b"s", fds, rulesets and rulesets[0], null)
        forked = forked or pid > 0
        for fd in fds:
            os.close(fd)
        control.sendall(struct.pack("<i", pid))


main()
