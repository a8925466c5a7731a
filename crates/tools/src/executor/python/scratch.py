"""Mounts private scratch space, a file system in memory, for one child alone. Loaded before zygote.py.

The zygote covers a folder with an empty read-only file system and lets landlock allow writing below it. Each
child mounts a file system on a folder in there, in a separate mount namespace, so it's gone with the child.
"""
import ctypes, errno

SYS_MOUNT_SETATTR, SYS_LANDLOCK_ADD_RULE, PATH_BENEATH = 442, 445, 1
MOUNT_ATTR_RDONLY, AT_FDCWD, AT_RECURSIVE = 1, -100, 0x8000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND = 1, 2, 4, 8, 32, 4096
HARMLESS = MS_NOSUID | MS_NODEV | MS_NOEXEC
# Write and read files, list, make and remove folders and files. No links, devices, sockets.
ACCESS, ACROSS_FOLDERS, TRUNCATE = 0x1BE, 0x2000, 0x4000
# Folders that exist everywhere. No Python lives in them, except perhaps in the last.
PLACES = ("/mnt", "/media", "/srv", "/tmp")
scratch_place = None

libc = ctypes.PyDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def failed(result):
    """Returns the errno of a C call that failed, 0 if it worked."""
    return ctypes.get_errno() if result == -1 else 0


class PathBeneath(ctypes.Structure):
    """`struct landlock_path_beneath_attr`."""

    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def mount(place, flags, options=None):
    return failed(libc.mount(b"tmpfs", place.encode(), b"tmpfs", ctypes.c_ulong(flags), options))


def read_only(place):
    """Makes every file system below a place read-only, in this mount namespace."""
    path, attributes = ctypes.create_string_buffer(place.encode()), (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY)
    where, size = ctypes.addressof(path), ctypes.sizeof(attributes)
    return failed(libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, where, AT_RECURSIVE, ctypes.addressof(attributes), size))


def allow_beneath(place, ruleset):
    """Adds a rule to the ruleset, with the rights that this kernel knows."""
    parent = os.open(place, os.O_PATH | os.O_DIRECTORY)
    code = errno.EINVAL
    for rights in (ACCESS | ACROSS_FOLDERS | TRUNCATE, ACCESS | ACROSS_FOLDERS, ACCESS):
        if code == errno.EINVAL:
            rule = PathBeneath(rights, parent)
            code = failed(libc.syscall(SYS_LANDLOCK_ADD_RULE, ruleset, PATH_BENEATH, ctypes.addressof(rule), 0, 0))
    os.close(parent)
    return code


def prepare_scratch(namespaces, ruleset):
    """Prepares the folder once, in the zygote. Returns the errno of the failed call, or 0."""
    global scratch_place
    if not namespaces or not ruleset:
        return errno.EPERM
    base = next((place for place in PLACES if os.path.isdir(place)), None)
    if base is None:
        return errno.ENOENT
    # Landlock doesn't cover changes of rights and times, so nothing outside may change at all.
    code = read_only("/") or mount(base, HARMLESS, b"size=64k,mode=755")
    if code:
        return code
    scratch_place = base + "/scratch"
    os.mkdir(scratch_place)
    os.environ["TMPDIR"] = scratch_place
    return allow_beneath(base, ruleset) or mount(base, HARMLESS | MS_REMOUNT | MS_BIND | MS_RDONLY)


def mount_scratch(size):
    """Mounts the file system of a child, before the child restricts itself. Returns the errno, or 0."""
    code = mount(scratch_place, HARMLESS, b"size=%d,nr_inodes=4096,mode=700" % size)
    if not code:
        os.chdir(scratch_place)
    return code
