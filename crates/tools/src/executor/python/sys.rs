//! Wraps the system calls that the standard library lacks. It's the only module of this crate with `unsafe`.
#![allow(unsafe_code, reason = "each function is one system call with its arguments checked here")]

use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

/// The account of a root supervisor's children: `nobody` on every Linux.
pub(super) const NOBODY: libc::uid_t = 65534;

/// Describes the setup of a process between fork and exec.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setup {
    /// Gives up root, if the supervisor has it.
    pub(super) drop_root: bool,
    /// Enters new user, network, IPC, host-name, mount and cgroup namespaces.
    pub(super) namespaces: bool,
}

/// Names one step of [`prepare`] for the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Session,
    Groups,
    Group,
    User,
    Namespaces,
    Map,
    Capability,
    Death,
}

impl Step {
    const ALL: [Self; 8] = [
        Self::Session,
        Self::Groups,
        Self::Group,
        Self::User,
        Self::Namespaces,
        Self::Map,
        Self::Capability,
        Self::Death,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Session => "setsid",
            Self::Groups => "setgroups",
            Self::Group => "setresgid",
            Self::User => "setresuid",
            Self::Namespaces => "unshare",
            Self::Map => "writing /proc/self/uid_map",
            Self::Capability => "capset",
            Self::Death => "prctl",
        }
    }

    /// Returns whether it's a part of giving up root.
    pub(super) fn drops_root(self) -> bool {
        matches!(self, Self::Groups | Self::Group | Self::User)
    }

    /// Returns whether it's a part of entering namespaces.
    pub(super) fn enters_namespaces(self) -> bool {
        matches!(self, Self::Namespaces | Self::Map | Self::Capability)
    }
}

/// Returns whether the supervisor is root.
pub(super) fn is_root() -> bool {
    // SAFETY: takes and writes nothing.
    unsafe { libc::geteuid() == 0 }
}

/// Tells at which step a process failed to start.
#[derive(Debug)]
pub(super) struct Failed(PipeReader);

impl Failed {
    /// Returns the failed step, or none if all succeeded. Waits for the command to be dropped.
    pub(super) fn step(mut self) -> Option<Step> {
        let mut number = [0];
        self.0.read_exact(&mut number).ok()?;
        Step::ALL.get(usize::from(number[0])).copied()
    }
}

/// Applies `setup` to a command. The process dies with the thread that spawns it, and inherits only the
/// standard descriptors.
pub(super) fn prepare(command: &mut Command, setup: Setup) -> io::Result<Failed> {
    // Everything that the closure needs is made before the fork, because after it only system calls are safe.
    let (uid, gid) = ids(setup.drop_root);
    let uid_map = format!("{uid} {uid} 1");
    let gid_map = format!("{gid} {gid} 1");
    let (failed, report) = io::pipe()?;
    let descriptors = limit_of_descriptors();
    // SAFETY: the closure makes system calls only; it neither allocates nor locks.
    unsafe {
        command.pre_exec(move || {
            take(setup, (uid, gid), uid_map.as_bytes(), gid_map.as_bytes()).map_err(|(step, error)| {
                let number = [step as u8];
                // If this fails, the error lacks the name of its step.
                libc::write(report.as_raw_fd(), number.as_ptr().cast(), 1);
                error
            })?;
            close_at_exec(3, descriptors);
            Ok(())
        });
    }
    Ok(Failed(failed))
}

/// Takes the steps of a setup in a process that has just been forked.
fn take(
    setup: Setup,
    (uid, gid): (libc::uid_t, libc::gid_t),
    uid_map: &[u8],
    gid_map: &[u8],
) -> Result<(), (Step, io::Error)> {
    let number = |step: Step, result| check(result).map(drop).map_err(|error| (step, error));
    let write = |path, bytes| write_file(path, bytes).map_err(|error| (Step::Map, error));
    // SAFETY: plain numbers and a null pointer.
    unsafe {
        number(Step::Session, libc::setsid())?;
        if setup.drop_root {
            number(Step::Groups, libc::setgroups(0, std::ptr::null()))?;
            number(Step::Group, libc::setresgid(gid, gid, gid))?;
            number(Step::User, libc::setresuid(uid, uid, uid))?;
            // Changing accounts takes away the process's /proc/self/uid_map, and this gives it back.
            number(Step::User, libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0))?;
        }
        if setup.namespaces {
            number(Step::Namespaces, libc::unshare(NAMESPACES))?;
            write(c"/proc/self/setgroups", b"deny".as_slice())?;
            write(c"/proc/self/uid_map", uid_map)?;
            write(c"/proc/self/gid_map", gid_map)?;
            keep_sys_admin().map_err(|error| (Step::Capability, error))?;
        }
        number(Step::Death, libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0))
    }
}

/// Returns how many descriptors this process may have, at most a million.
fn limit_of_descriptors() -> RawFd {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is writable. On failure it stays zero.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit.rlim_cur.min(1 << 20) as RawFd
}

/// Marks the descriptors from `first` on to be closed by exec, also those that others left open.
fn close_at_exec(first: RawFd, limit: RawFd) {
    // SAFETY: plain numbers; unknown descriptors are no harm.
    unsafe {
        let flags = libc::CLOSE_RANGE_CLOEXEC;
        if libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, flags) == 0 {
            return;
        }
        // Linux before 5.11, or a filter that doesn't know the call.
        for fd in first..limit {
            libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
        }
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

/// Returns the version of landlock that this kernel has. It fails if there's none, or if a filter denies the
/// call.
pub(super) fn landlock_version() -> io::Result<i32> {
    const VERSION: libc::c_uint = 1;
    // SAFETY: with this flag the call reads nothing and gives a number.
    let version = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<libc::c_void>(), 0usize, VERSION)
    };
    check(version as libc::c_int)
}

/// Room for the header of a control message and two descriptors, aligned as `cmsghdr`.
type Control = [u64; 4];

/// Sends one byte with at most two descriptors attached.
pub(super) fn send_with_fds(socket: &UnixStream, byte: u8, fds: &[BorrowedFd]) -> io::Result<()> {
    assert!(fds.len() <= 2, "the control buffer holds two descriptors");
    let mut control: Control = [0; 4];
    let byte = [byte];
    let mut vector = libc::iovec { iov_base: byte.as_ptr().cast_mut().cast(), iov_len: 1 };
    // SAFETY: every pointer in `message` outlives the call, and the control buffer has room for the
    // descriptors.
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

/// Waits for one byte and takes the descriptors, at most two, that come with it.
pub(super) fn receive_with_fds(socket: &UnixStream) -> io::Result<(u8, Vec<OwnedFd>)> {
    let mut control: Control = [0; 4];
    let mut byte = [0u8];
    let mut vector = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let mut fds = Vec::new();
    // SAFETY: every pointer in `message` outlives the call; the kernel writes no more than the stated
    // lengths, and the descriptors that it puts into the control buffer are new and ours.
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut vector;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of::<Control>() as _;
        loop {
            match libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) {
                1 => break,
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ => {}
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if !header.is_null()
            && (*header).cmsg_level == libc::SOL_SOCKET
            && (*header).cmsg_type == libc::SCM_RIGHTS
        {
            let bytes = (*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
            let numbers = std::slice::from_raw_parts(libc::CMSG_DATA(header), bytes);
            for number in numbers.as_chunks().0 {
                fds.push(OwnedFd::from_raw_fd(libc::c_int::from_ne_bytes(*number)));
            }
        }
    }
    Ok((byte[0], fds))
}

/// Holds the descriptor on which the kernel asks about system calls that a seccomp program reports.
#[derive(Debug)]
pub(super) struct Listener(OwnedFd);

impl Listener {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Returns a descriptor that is readable when there is a question.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Answers one question, if there is one. A refused call fails with `EAGAIN`.
    pub(super) fn answer(&self, allow: impl FnOnce() -> bool) -> io::Result<()> {
        let fd = self.0.as_raw_fd();
        // SAFETY: all zeros are valid values of both structs, which the calls read and write.
        unsafe {
            // A listener without processes is "readable" too, and waiting for it would never end.
            let mut polled = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
            if check(libc::poll(&raw mut polled, 1, 0))? == 0 || polled.revents & libc::POLLIN == 0 {
                return Ok(());
            }
            let mut question: libc::seccomp_notif = std::mem::zeroed();
            let mut answer: libc::seccomp_notif_resp = std::mem::zeroed();
            // The asking process may be gone, before or after the answer.
            if libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut question) == -1 {
                return Ok(());
            }
            answer.id = question.id;
            if allow() {
                answer.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
            } else {
                answer.error = -libc::EAGAIN;
            }
            libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer);
        }
        Ok(())
    }
}

/// Returns the bytes in use on the file system of a descriptor.
pub(super) fn bytes_in_use(fd: BorrowedFd) -> io::Result<u64> {
    // SAFETY: all zeros is a valid `statvfs`, and the pointer is writable.
    unsafe {
        let mut found: libc::statvfs = std::mem::zeroed();
        check(libc::fstatvfs(fd.as_raw_fd(), &raw mut found))?;
        Ok((found.f_blocks - found.f_bfree) as u64 * found.f_frsize as u64)
    }
}

/// Returns the bytes of a page of memory.
pub(super) fn page_size() -> u64 {
    // SAFETY: takes a number and gives one.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as u64 }
}

/// Kills the process of a pidfd. Has no effect if it has ended.
pub(super) fn kill(pidfd: BorrowedFd) {
    // An error says that it has ended.
    let _ = signal(pidfd, libc::SIGKILL);
}

fn signal(pidfd: BorrowedFd, signal: libc::c_int) -> io::Result<()> {
    // SAFETY: plain numbers and a null `siginfo`.
    let result = unsafe {
        let info = std::ptr::null::<libc::siginfo_t>();
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, info, 0)
    };
    check(result as libc::c_int).map(drop)
}

/// Says how a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It exited with this status.
    Exited(i32),
    /// This signal ended it.
    Signalled(i32),
}

/// Holds a child of this process, which is killed and reaped exactly once.
#[derive(Debug)]
pub(super) struct Process {
    pid: libc::pid_t,
    pidfd: OwnedFd,
    reaped: bool,
}

impl Process {
    /// Takes charge of a child. Until it's reaped, no other process gets its number.
    pub(super) fn adopt(pid: i32) -> io::Result<Self> {
        // SAFETY: takes numbers, gives a new descriptor or -1.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as libc::c_int;
        // SAFETY: the descriptor is new and ours.
        let pidfd = unsafe { OwnedFd::from_raw_fd(check(fd)?) };
        Ok(Self { pid, pidfd, reaped: false })
    }

    /// Returns the CPU time used so far by all its threads.
    pub(super) fn cpu_time(&self) -> Duration {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // The kernel's encoding of "CPU clock of process `pid`" (see clock_getcpuclockid(3)).
        let clock = (!self.pid << 3) | 2;
        // SAFETY: `time` is writable. On failure it stays zero.
        unsafe { libc::clock_gettime(clock, &raw mut time) };
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }

    /// Returns a descriptor that is readable once it has ended.
    pub(super) fn ended_fd(&self) -> &OwnedFd {
        &self.pidfd
    }

    /// Returns how it ended, once it has, without reaping it.
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

    /// Waits for its end and reaps it. Returns its CPU time.
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

    /// Returns its number, which no other process gets until it's reaped.
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, number: i32) -> io::Result<()> {
        signal(self.pidfd.as_fd(), number)
    }

    /// Kills the process group that it leads or led.
    pub(super) fn kill_group(&self) {
        // SAFETY: plain numbers. An error says that nobody is left.
        unsafe { libc::kill(-self.pid, libc::SIGKILL) };
    }

    /// Kills it. Has no effect if it has ended.
    pub(super) fn kill(&self) {
        kill(self.pidfd.as_fd());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
            // An error says that another owner has reaped it, so it's gone either way.
            let _ = self.reap();
        }
    }
}

/// Waits until one of the descriptors is readable or closed, or the time is over. A missing one is never
/// ready.
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
