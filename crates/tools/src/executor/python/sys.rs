//! The system calls that the standard library doesn't wrap. The only module of this crate with `unsafe`.
#![allow(unsafe_code, reason = "each function is one system call with its arguments checked here")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

/// The account that a root supervisor's children run as: `nobody` on every Linux.
pub(super) const NOBODY: libc::uid_t = 65534;

/// What becomes of a process between fork and exec.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setup {
    /// Give up root, if the supervisor has it.
    pub(super) drop_root: bool,
    /// Enter new user, network, IPC, host-name, mount and cgroup namespaces.
    pub(super) namespaces: bool,
}

/// Whether the supervisor is root.
pub(super) fn is_root() -> bool {
    // SAFETY: takes and writes nothing.
    unsafe { libc::geteuid() == 0 }
}

/// Applies `setup` to a command. The process dies with the thread that spawns it.
pub(super) fn prepare(command: &mut Command, setup: Setup) {
    // What the closure needs is made before the fork: after it, only system calls are safe.
    let (uid, gid) = ids(setup.drop_root);
    let uid_map = format!("{uid} {uid} 1");
    let gid_map = format!("{gid} {gid} 1");
    // SAFETY: the closure makes system calls only; it neither allocates nor locks.
    unsafe {
        command.pre_exec(move || {
            check(libc::setsid())?;
            if setup.drop_root {
                check(libc::setgroups(0, std::ptr::null()))?;
                check(libc::setresgid(gid, gid, gid))?;
                check(libc::setresuid(uid, uid, uid))?;
                // Changing accounts takes away one's own /proc/self/uid_map; this gives it back.
                check(libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0))?;
            }
            if setup.namespaces {
                check(libc::unshare(NAMESPACES))?;
                write_file(c"/proc/self/setgroups", b"deny")?;
                write_file(c"/proc/self/uid_map", uid_map.as_bytes())?;
                write_file(c"/proc/self/gid_map", gid_map.as_bytes())?;
                keep_sys_admin()?;
            }
            check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0))?;
            Ok(())
        });
    }
}

const NAMESPACES: libc::c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP;

fn ids(drop_root: bool) -> (libc::uid_t, libc::gid_t) {
    // SAFETY: both take and write nothing.
    if drop_root { (NOBODY, NOBODY) } else { unsafe { (libc::geteuid(), libc::getegid()) } }
}

/// Keeps, over exec, the one capability that a pid namespace per child needs. It counts inside the new user
/// namespace only, and children give it up.
fn keep_sys_admin() -> io::Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    const SYS_ADMIN: u32 = 21;
    const RAISE: libc::c_int = 2;
    let header: [u32; 2] = [VERSION_3, 0];
    let one = 1 << SYS_ADMIN;
    // Effective, permitted, inheritable; low words first, then the high words.
    let sets: [u32; 6] = [one, one, one, 0, 0, 0];
    // SAFETY: `capset` reads a header of two words and, for version 3, six words of sets.
    let result = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) };
    check(result as libc::c_int)?;
    // SAFETY: plain numbers.
    check(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, RAISE, SYS_ADMIN, 0, 0) })?;
    Ok(())
}

fn write_file(path: &std::ffi::CStr, bytes: &[u8]) -> io::Result<()> {
    // SAFETY: `path` ends in NUL, and `bytes` is as long as stated.
    unsafe {
        let fd = check(libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC))?;
        let written = libc::write(fd, bytes.as_ptr().cast(), bytes.len());
        let error = io::Error::last_os_error();
        libc::close(fd);
        if written == bytes.len() as isize { Ok(()) } else { Err(error) }
    }
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Sends one byte with at most two descriptors attached.
pub(super) fn send_with_fds(socket: &UnixStream, byte: u8, fds: &[BorrowedFd]) -> io::Result<()> {
    assert!(fds.len() <= 2, "the control buffer holds two descriptors");
    // Aligned as `cmsghdr` wants it: 16 bytes of header, 8 of descriptors.
    let mut control = [0u64; 4];
    let byte = [byte];
    let mut vector = libc::iovec { iov_base: byte.as_ptr().cast_mut().cast(), iov_len: 1 };
    // SAFETY: every pointer in `message` outlives the call, and the control buffer has room for the descriptors.
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut vector;
        message.msg_iovlen = 1;
        if !fds.is_empty() {
            let bytes = (fds.len() * size_of::<libc::c_int>()) as libc::c_uint;
            message.msg_control = control.as_mut_ptr().cast();
            message.msg_controllen = libc::CMSG_SPACE(bytes) as _;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(bytes) as _;
            let numbers: Vec<u8> = fds.iter().flat_map(|fd| fd.as_raw_fd().to_ne_bytes()).collect();
            libc::CMSG_DATA(header).copy_from_nonoverlapping(numbers.as_ptr(), numbers.len());
        }
        if libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) == 1 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// With this exit status.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
}

/// A child of this process, to be killed and reaped exactly once.
#[derive(Debug)]
pub(super) struct Process {
    pid: libc::pid_t,
    pidfd: OwnedFd,
    reaped: bool,
}

impl Process {
    /// Takes charge of a child. Until it's reaped its number can't be given to another process.
    pub(super) fn adopt(pid: i32) -> io::Result<Self> {
        // SAFETY: takes numbers, gives a new descriptor or -1.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as libc::c_int;
        // SAFETY: the descriptor is new and ours.
        let pidfd = unsafe { OwnedFd::from_raw_fd(check(fd)?) };
        Ok(Self { pid, pidfd, reaped: false })
    }

    /// CPU time used so far by all its threads.
    pub(super) fn cpu_time(&self) -> Duration {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // The kernel's encoding of "CPU clock of process `pid`" (see clock_getcpuclockid(3)).
        let clock = (!self.pid << 3) | 2;
        // SAFETY: `time` is writable. On failure it stays zero.
        unsafe { libc::clock_gettime(clock, &raw mut time) };
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }

    /// Readable once it has ended.
    pub(super) fn ended_fd(&self) -> &OwnedFd {
        &self.pidfd
    }

    /// How it ended, once it has; it stays to be reaped.
    pub(super) fn peek(&self) -> io::Result<Ended> {
        // SAFETY: all zeros is a valid `siginfo_t`, and the pointer is writable.
        unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let flags = libc::WEXITED | libc::WNOWAIT;
            check(libc::waitid(libc::P_PID, self.pid as libc::id_t, &raw mut info, flags))?;
            let status = info.si_status();
            Ok(if info.si_code == libc::CLD_EXITED {
                Ended::Exited(status)
            } else {
                Ended::Signalled(status)
            })
        }
    }

    /// Waits for its end; gives its CPU time.
    pub(super) fn reap(&mut self) -> io::Result<Duration> {
        let mut status = 0;
        // SAFETY: all zeros is a valid `rusage`; both pointers are writable.
        let usage = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            while libc::wait4(self.pid, &raw mut status, 0, &raw mut usage) == -1 {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    self.reaped = true;
                    return Err(error);
                }
            }
            usage
        };
        self.reaped = true;
        let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
        Ok(time(usage.ru_utime) + time(usage.ru_stime))
    }

    /// Kills it. Does nothing if it has ended.
    pub(super) fn kill(&self) {
        // SAFETY: plain numbers and a null `siginfo`.
        unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.pidfd.as_raw_fd(),
                libc::SIGKILL,
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
            // An error says that someone else has reaped it: it's gone either way.
            let _ = self.reap();
        }
    }
}

/// Waits until one of the descriptors is readable or closed, or the time is over. A missing one is never ready.
pub(super) fn wait_readable<const N: usize>(
    fds: [Option<BorrowedFd>; N],
    timeout: Duration,
) -> io::Result<[bool; N]> {
    let mut polled = fds.map(|fd| libc::pollfd {
        // `poll` skips negative descriptors.
        fd: fd.map_or(-1, |fd| fd.as_raw_fd()),
        events: libc::POLLIN,
        revents: 0,
    });
    // Rounded up, so that a wait never ends before its time.
    let milliseconds = timeout.as_micros().div_ceil(1000).min(60_000) as libc::c_int;
    // SAFETY: `polled` holds N entries.
    let result = unsafe { libc::poll(polled.as_mut_ptr(), N as libc::nfds_t, milliseconds) };
    match check(result) {
        Ok(_) => Ok(polled.map(|p| p.revents != 0)),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok([false; N]),
        Err(error) => Err(error),
    }
}

/// Makes reads and writes of a descriptor return instead of waiting.
pub(super) fn set_nonblocking(fd: BorrowedFd) -> io::Result<()> {
    // SAFETY: plain numbers.
    unsafe {
        let flags = check(libc::fcntl(fd.as_raw_fd(), libc::F_GETFL))?;
        check(libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK))?;
    }
    Ok(())
}
