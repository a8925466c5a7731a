//! Sets up conditions in which people run the sandbox: root or an ordinary user, containers, older kernels.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};
use turnwise_tools::executor::{ExecutorError, PythonConfig, PythonExecutor};

/// Restrictions around the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    /// The restrictions of this machine.
    Here,
    /// Docker's default seccomp profile, which denies namespaces and mounts among others.
    Container,
    /// Landlock up to this version: 5 has no scopes of signals, 1 doesn't cover truncation.
    Landlock(i32),
    /// Root without a capability, in the words of setpriv: `kill`, or `all`.
    Without(&'static str),
}

const VARIABLE: &str = "TURNWISE_TEST_SETTING";

impl Setting {
    /// Enters the setting that [`again`] started this process for. Call it before there's an executor.
    pub(crate) fn enter() -> Self {
        let setting = match std::env::var(VARIABLE).as_deref() {
            Ok("container") => Self::Container,
            Ok("kill") => Self::Without("kill"),
            Ok("all") => Self::Without("all"),
            Ok(version) => Self::Landlock(version.parse().unwrap()),
            Err(_) => Self::Here,
        };
        if setting == Self::Container {
            for program in container() {
                seccompiler::apply_filter_all_threads(&program).unwrap();
            }
        }
        setting
    }

    /// Starts an executor in the setting.
    pub(crate) fn python(self, config: PythonConfig) -> Result<PythonExecutor, ExecutorError> {
        match self {
            Self::Landlock(version) => PythonExecutor::with_landlock(config, version),
            Self::Here | Self::Container | Self::Without(_) => PythonExecutor::new(config),
        }
    }
}

/// Returns a filter as Docker installs it: it denies calls that need capabilities, and answers "no such call"
/// to clone3.
fn container() -> [BpfProgram; 2] {
    let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let filter = |rules, refusal: i32| -> BpfProgram {
        let refusal = SeccompAction::Errno(refusal.cast_unsigned());
        SeccompFilter::new(rules, SeccompAction::Allow, refusal, arch).unwrap().try_into().unwrap()
    };
    #[rustfmt::skip]
    let denied = [
        libc::SYS_unshare, libc::SYS_setns, libc::SYS_mount, libc::SYS_umount2, libc::SYS_mount_setattr,
        libc::SYS_move_mount, libc::SYS_open_tree, libc::SYS_fsopen, libc::SYS_fsconfig, libc::SYS_fsmount,
        libc::SYS_pivot_root, libc::SYS_bpf, libc::SYS_perf_event_open, libc::SYS_userfaultfd, libc::SYS_keyctl,
        libc::SYS_pidfd_getfd, libc::SYS_kcmp, libc::SYS_io_uring_setup, libc::SYS_ptrace,
    ];
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = denied.into_iter().map(|call| (call, vec![])).collect();
    let namespace = |flag: i32| {
        let flag = u64::from(flag.cast_unsigned());
        let equal = SeccompCmpOp::MaskedEq(flag);
        let has = SeccompCondition::new(0, SeccompCmpArgLen::Qword, equal, flag).unwrap();
        SeccompRule::new(vec![has]).unwrap()
    };
    let flags = [
        libc::CLONE_NEWNS,
        libc::CLONE_NEWCGROUP,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
    ];
    rules.insert(libc::SYS_clone, flags.map(namespace).to_vec());
    let clone3 = BTreeMap::from([(libc::SYS_clone3, vec![])]);
    [filter(clone3, libc::ENOSYS), filter(rules, libc::EPERM)]
}

/// User of the processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    /// The user who runs the tests.
    Same,
    /// `nobody`. Only root can become it. An ordinary user has run the same test as itself.
    Nobody,
}

/// Runs one test of this binary in a separate process: as a user, in a setting, with descriptors left open
/// and with variables set.
pub(crate) fn again(test: &str, user: User, setting: Setting, variables: &[(&str, &Path)]) {
    // The binary may lie in a folder that other users can't enter.
    let folder = tempfile::Builder::new().prefix("turnwise-tests").tempdir().unwrap();
    let is_root = fs::metadata(folder.path()).unwrap().uid() == 0;
    if user == User::Nobody && !is_root {
        return skip(test, "becoming an ordinary user takes root; it ran as this one");
    }
    let without = match setting {
        Setting::Without(_) if !is_root => return skip(test, "an ordinary user has no capabilities to lose"),
        Setting::Without(capability) => {
            format!("setpriv --bounding-set=-{capability} --inh-caps=-{capability} ")
        }
        _ => String::new(),
    };
    let copy = folder.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    for path in [folder.path(), &copy] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    // A shell leaves descriptors open, as the starter of a run may have.
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &format!("exec {without}\"$0\" \"$@\" 9</etc/passwd 7>&1 8</")]).arg(&copy);
    command.args(["--exact", test, "--nocapture"]).current_dir("/");
    command.env_remove("PYENV_VERSION").env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command.envs(variables.iter().copied());
    match setting {
        Setting::Here => command.env_remove(VARIABLE),
        Setting::Container => command.env(VARIABLE, "container"),
        Setting::Landlock(version) => command.env(VARIABLE, version.to_string()),
        Setting::Without(capability) => command.env(VARIABLE, capability),
    };
    if user == User::Nobody {
        command.uid(65534).gid(65534);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{user:?}, {setting:?}: {said}");
    assert!(said.contains("1 passed"), "{user:?}, {setting:?}: {said}");
}

/// Reports a skipped test. With `TURNWISE_TEST_NO_SKIPS` a skip is a failure.
pub(crate) fn skip(test: &str, reason: &str) {
    assert!(std::env::var_os("TURNWISE_TEST_NO_SKIPS").is_none(), "{test} must not be skipped: {reason}");
    eprintln!("skipped {test}: {reason}");
}
