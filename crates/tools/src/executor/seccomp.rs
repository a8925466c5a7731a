//! Lists the system calls that model code may make, as programs for the kernel.
//!
//! Threads and pairs of sockets are allowed. Processes, other sockets, signals to others, tracing, mounts,
//! keys and io_uring are not.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Selects groups of system calls that code may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowed {
    /// Opens files for writing. Landlock decides which ones, so without landlock this must be false.
    pub(super) writes: bool,
    /// Changes files, folders and their names. It requires `writes`.
    pub(super) scratch: bool,
    /// Starts threads.
    pub(super) threads: bool,
}

/// Returns the programs in the order in which they are installed.
pub(super) fn programs(allowed: Allowed) -> Result<[BpfProgram; 2], String> {
    // The first program answers "no such call" to clone3, whose flags a filter can't read, so libc uses
    // clone. A later program can't soften an earlier answer, so the list below lets clone3 through.
    let errno = |code: i32| SeccompAction::Errno(code as u32);
    let clone3 = Rules::from([(libc::SYS_clone3, vec![])]);
    let no_clone3 = (clone3, SeccompAction::Allow, errno(libc::ENOSYS));
    let list = (rules(allowed)?, errno(libc::EPERM), SeccompAction::Allow);
    Ok([compiled(no_clone3)?, compiled(list)?])
}

fn compiled((rules, others, listed): (Rules, SeccompAction, SeccompAction)) -> Result<BpfProgram, String> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    let filter = SeccompFilter::new(rules, others, listed, arch);
    filter.and_then(BpfProgram::try_from).map_err(|error| error.to_string())
}

/// Returns the program that asks a listener before each `clone`. Refusals of the list win over it.
pub(super) fn asks_for_threads() -> BpfProgram {
    let instruction = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        instruction((libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, 0, 0, 0),
        instruction((libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16, 0, 1, libc::SYS_clone as u32),
        instruction((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, libc::SECCOMP_RET_USER_NOTIF),
        instruction((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

/// Returns `struct sock_filter[]` as the kernel reads it.
pub(super) fn bytes(program: &BpfProgram) -> Vec<u8> {
    let instruction = |i: &sock_filter| {
        let mut bytes = i.code.to_ne_bytes().to_vec();
        bytes.extend([i.jt, i.jf]);
        bytes.extend(i.k.to_ne_bytes());
        bytes
    };
    program.iter().flat_map(instruction).collect()
}

fn rules(allowed: Allowed) -> Result<Rules, String> {
    let scratch = allowed.scratch && allowed.writes;
    let own_files: &[i64] = if scratch { SCRATCH } else { &[] };
    let mut rules: Rules =
        ALWAYS.iter().chain(ARCH_ONLY).chain(own_files).map(|call| (*call, vec![])).collect();
    if allowed.threads {
        // Exactly as libc makes threads: one that shares less would have separate descriptors.
        rules.insert(
            libc::SYS_clone,
            vec![all(&[masked(0, !(THREAD | THREAD_TOO), 0)?, masked(0, THREAD, THREAD)?])?],
        );
    }
    // Reading limits, not setting them: the third argument is the address of new ones.
    rules.insert(libc::SYS_prlimit64, vec![all(&[equal(2, 0)?])?]);
    let command = |list: &[i32]| -> Result<Vec<SeccompRule>, String> {
        list.iter().map(|command| all(&[equal(1, *command as u64)?])).collect()
    };
    rules.insert(libc::SYS_ioctl, command(&IOCTLS)?);
    // Owners, signals, leases and notices of a descriptor would reach other processes, and larger pipes take
    // uncounted memory. `O_ASYNC` sends signals to the owner.
    let mut fcntls = command(&FCNTLS)?;
    fcntls.push(all(&[equal(1, libc::F_SETFL as u64)?, masked(2, libc::O_ASYNC as u64, 0)?])?);
    if scratch {
        fcntls.extend(command(&FILE_LOCKS)?);
    }
    rules.insert(libc::SYS_fcntl, fcntls);
    // A pair within the process is no network: asyncio wakes itself through one.
    let pair = [
        equal(0, libc::AF_UNIX as u64)?,
        masked(1, !((libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) as u64), libc::SOCK_STREAM as u64)?,
        equal(2, 0)?,
    ];
    rules.insert(libc::SYS_socketpair, vec![all(&pair)?]);
    rules.insert(libc::SYS_sendto, vec![all(&[equal(4, 0)?, equal(5, 0)?])?]);
    rules.insert(libc::SYS_openat, opens(allowed.writes, 2)?);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_open, opens(allowed.writes, 1)?);
    Ok(rules)
}

/// Restricts how files are opened, by the flags argument of the call. Landlock decides on writing, but its
/// first versions miss the truncation of a file that is opened for reading, or in mode 3.
fn opens(writes: bool, flags: u8) -> Result<Vec<SeccompRule>, String> {
    if !writes {
        return Ok(vec![all(&[masked(flags, WRITING, 0)?])?]);
    }
    let (write, both, cut) = (libc::O_WRONLY as u64, libc::O_RDWR as u64, libc::O_TRUNC as u64);
    [0, write, both, write | cut, both | cut]
        .into_iter()
        .map(|mode| all(&[masked(flags, libc::O_ACCMODE as u64 | cut, mode)?]))
        .collect()
}

fn all(conditions: &[SeccompCondition]) -> Result<SeccompRule, String> {
    SeccompRule::new(conditions.to_vec()).map_err(|error| error.to_string())
}

/// Returns a condition on an argument of which the kernel reads 32 bits.
fn equal(argument: u8, value: u64) -> Result<SeccompCondition, String> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, value)
        .map_err(|error| error.to_string())
}

fn masked(argument: u8, mask: u64, value: u64) -> Result<SeccompCondition, String> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(mask), value)
        .map_err(|error| error.to_string())
}

const THREAD: u64 = (libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM) as u64;
const THREAD_TOO: u64 = (libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_SETTID
    | libc::CLONE_CHILD_CLEARTID
    | libc::CLONE_DETACHED) as u64;
const WRITING: u64 = (libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC) as u64;
const IOCTLS: [i32; 5] = [
    libc::TCGETS as i32,
    libc::FIONREAD as i32,
    libc::FIONBIO as i32,
    libc::FIOCLEX as i32,
    libc::TIOCGWINSZ as i32,
];
const FCNTLS: [i32; 6] =
    [libc::F_DUPFD, libc::F_DUPFD_CLOEXEC, libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_GETPIPE_SZ];
const FILE_LOCKS: [i32; 3] = [libc::F_GETLK, libc::F_SETLK, libc::F_SETLKW];

#[rustfmt::skip]
const ALWAYS: &[i64] = &[
    // Open files, and metadata of others.
    libc::SYS_read, libc::SYS_write, libc::SYS_readv, libc::SYS_writev, libc::SYS_pread64, libc::SYS_pwrite64,
    libc::SYS_close, libc::SYS_close_range, libc::SYS_fstat, libc::SYS_newfstatat, libc::SYS_statx, libc::SYS_lseek,
    libc::SYS_dup, libc::SYS_dup3, libc::SYS_pipe2, libc::SYS_getcwd, libc::SYS_readlinkat, libc::SYS_faccessat,
    libc::SYS_faccessat2, libc::SYS_getdents64, libc::SYS_eventfd2, libc::SYS_ppoll, libc::SYS_pselect6,
    libc::SYS_epoll_create1, libc::SYS_epoll_ctl, libc::SYS_epoll_pwait,
    // The pair of sockets.
    libc::SYS_recvfrom, libc::SYS_shutdown, libc::SYS_getsockname,
    // Memory.
    libc::SYS_mmap, libc::SYS_mprotect, libc::SYS_munmap, libc::SYS_mremap, libc::SYS_madvise, libc::SYS_brk,
    libc::SYS_membarrier,
    // Identity and accounting.
    libc::SYS_getpid, libc::SYS_getppid, libc::SYS_gettid, libc::SYS_getuid, libc::SYS_geteuid, libc::SYS_getgid,
    libc::SYS_getegid, libc::SYS_getgroups, libc::SYS_getpgid, libc::SYS_getsid, libc::SYS_getresuid,
    libc::SYS_getresgid, libc::SYS_uname, libc::SYS_sysinfo, libc::SYS_times, libc::SYS_getrusage,
    libc::SYS_getpriority, libc::SYS_getcpu, libc::SYS_sched_getaffinity, libc::SYS_umask,
    // Time and randomness.
    libc::SYS_gettimeofday, libc::SYS_clock_gettime, libc::SYS_clock_getres, libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep, libc::SYS_getitimer, libc::SYS_setitimer, libc::SYS_getrandom,
    // Threads, signals of the process to itself, exit.
    libc::SYS_clone3, libc::SYS_futex, libc::SYS_set_robust_list, libc::SYS_get_robust_list, libc::SYS_rseq,
    libc::SYS_set_tid_address, libc::SYS_sched_yield, libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn, libc::SYS_rt_sigpending, libc::SYS_rt_sigtimedwait, libc::SYS_rt_sigsuspend,
    libc::SYS_sigaltstack, libc::SYS_restart_syscall, libc::SYS_exit, libc::SYS_exit_group,
];

/// Makes, renames and removes files, where landlock allows it.
#[rustfmt::skip]
const SCRATCH: &[i64] = &[
    libc::SYS_mkdirat, libc::SYS_unlinkat, libc::SYS_renameat, libc::SYS_renameat2, libc::SYS_ftruncate,
    libc::SYS_fallocate, libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_chdir, libc::SYS_utimensat,
    libc::SYS_fchmod, libc::SYS_fchmodat, libc::SYS_flock,
    #[cfg(target_arch = "x86_64")] libc::SYS_mkdir,
    #[cfg(target_arch = "x86_64")] libc::SYS_rmdir,
    #[cfg(target_arch = "x86_64")] libc::SYS_unlink,
    #[cfg(target_arch = "x86_64")] libc::SYS_rename,
    #[cfg(target_arch = "x86_64")] libc::SYS_chmod,
];

/// Older spellings that newer architectures don't have.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const ARCH_ONLY: &[i64] = &[
    libc::SYS_stat, libc::SYS_lstat, libc::SYS_access, libc::SYS_readlink, libc::SYS_pipe, libc::SYS_dup2,
    libc::SYS_poll, libc::SYS_select, libc::SYS_epoll_create, libc::SYS_epoll_wait, libc::SYS_time,
    libc::SYS_alarm, libc::SYS_pause, libc::SYS_arch_prctl, libc::SYS_getrlimit, libc::SYS_getpgrp,
];
#[cfg(not(target_arch = "x86_64"))]
const ARCH_ONLY: &[i64] = &[];

#[cfg(test)]
mod tests {
    use super::*;

    const EVERYTHING: Allowed = Allowed { writes: true, scratch: true, threads: true };

    #[test]
    fn nothing_that_reaches_beyond_the_process_is_allowed() {
        let rules = rules(EVERYTHING).unwrap();
        let forbidden = [
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_socket,
            libc::SYS_connect,
            libc::SYS_bind,
            libc::SYS_sendmsg,
            libc::SYS_recvmsg,
            libc::SYS_setsockopt,
            libc::SYS_kill,
            libc::SYS_tkill,
            libc::SYS_tgkill,
            libc::SYS_pidfd_send_signal,
            libc::SYS_rt_sigqueueinfo,
            libc::SYS_ptrace,
            libc::SYS_process_vm_writev,
            libc::SYS_mount,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_bpf,
            libc::SYS_io_uring_setup,
            libc::SYS_prctl,
            libc::SYS_memfd_create,
            libc::SYS_shmget,
            libc::SYS_openat2,
            libc::SYS_setrlimit,
            libc::SYS_keyctl,
            libc::SYS_perf_event_open,
            libc::SYS_userfaultfd,
            libc::SYS_symlinkat,
            libc::SYS_linkat,
            libc::SYS_mknodat,
            libc::SYS_chroot,
        ];
        for call in forbidden {
            assert!(!rules.contains_key(&call), "system call {call}");
        }
    }

    #[test]
    fn programs_are_whole_instructions() {
        for program in programs(EVERYTHING).unwrap().iter().chain([&asks_for_threads()]) {
            assert_eq!(bytes(program).len() % 8, 0);
        }
    }
}
