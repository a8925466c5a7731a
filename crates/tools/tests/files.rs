//! Holds which files of the user code may read and change.
#![cfg(target_os = "linux")]

mod machine;

use std::process::Command;

use machine::python::{alone, check, start};
use machine::setting::{Setting, User, again, skip};
use turnwise_tools::Executor;
use turnwise_tools::executor::{PythonConfig, PythonExecutor};
use turnwise_trajectory::OutputStatus::{Error, Ok};

fn refused(config: PythonConfig, expect: &str) {
    let error = PythonExecutor::new(config).unwrap_err().to_string();
    assert!(error.starts_with(expect) && error.contains("; hint: ") && !error.contains('\n'), "{error}");
}

/// Makes a folder that everyone may read, with a file and a program library.
fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("turnwise-tests").tempdir().unwrap();
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o777);
    std::fs::set_permissions(folder.path(), mode).unwrap();
    folder
}

const EVERY_WAY_IN: &str = "import os\ndone = []\n\
    for act in (lambda: os.open(P, os.O_RDONLY | os.O_TRUNC), lambda: os.open(P, 3 | os.O_TRUNC), lambda: open(P, 'a'),\n\
     \x20lambda: os.chmod(P, 0), lambda: os.utime(P, (0, 0)), lambda: os.truncate(P, 0), lambda: os.rename(P, P + '2'),\n\
     \x20lambda: os.unlink(P), lambda: os.fchmod(os.open(P, os.O_RDONLY), 0), lambda: os.setxattr(P, 'user.x', b'1'),\n\
     \x20lambda: os.link(P, P + '3'), lambda: os.symlink(P, P + '4'), lambda: os.mkdir(P + '5'), lambda: os.mkfifo(P + '6')):\n\
     \x20try: done.append(act())\n\x20except (OSError, NotImplementedError): pass\nprint(open(P).read(), done)";

/// Holds that the sandbox protects the user's files, which an ordinary user could change without it.
#[test]
fn what_may_be_read_can_not_be_changed() {
    let _alone = alone();
    let (setting, folder) = (Setting::enter(), open_folder());
    let path = folder.path().join("data");
    std::fs::write(&path, "whole").unwrap();
    let metadata = || std::fs::metadata(&path).map(|m| (m.permissions(), m.modified().unwrap())).unwrap();
    let before = metadata();
    let code = EVERY_WAY_IN.replace('P', &format!("{path:?}"));
    for scratch_mib in [0, 4] {
        let config =
            PythonConfig { scratch_mib, readable: vec![folder.path().into()], ..PythonConfig::default() };
        match setting.python(config) {
            Result::Ok(python) => check(&python, &code, Ok, "whole []\n", None, None),
            Err(error) => assert!(error.message.contains("no scratch space"), "{error}"),
        }
        assert_eq!((metadata(), std::fs::read_dir(folder.path()).unwrap().count()), (before.clone(), 1));
    }
    let unnamed = setting.python(PythonConfig::default()).unwrap();
    let denied = Some("PermissionError: [Errno 13] Permission denied: PATH");
    let denied = denied.map(|line| line.replace("PATH", &format!("'{}'", path.display())));
    check(&unnamed, &format!("open({path:?})"), Error, "", None, denied.as_deref());
}

#[test]
fn what_may_be_read_can_not_be_changed_wherever_it_runs() {
    let _alone = alone();
    for setting in
        [Setting::Here, Setting::Container, Setting::Landlock(5), Setting::Landlock(2), Setting::Landlock(1)]
    {
        again("what_may_be_read_can_not_be_changed", User::Nobody, setting, &[]);
    }
}

/// An editable install puts the sources of a project on `sys.path`, and its data beside them.
#[test]
fn only_the_library_is_readable_of_what_is_on_the_path() {
    let _alone = alone();
    let project = open_folder();
    std::fs::write(project.path().join("answers.txt"), "42").unwrap();
    std::fs::write(project.path().join("held_out.py"), "answer = 42").unwrap();
    let venv = open_folder();
    let made =
        Command::new("/usr/bin/python3").args(["-m", "venv", "--without-pip"]).arg(venv.path()).status();
    if !made.is_ok_and(|status| status.success()) {
        return skip("only_the_library_is_readable_of_what_is_on_the_path", "/usr/bin/python3 makes no venv");
    }
    let packages = std::fs::read_dir(venv.path().join("lib")).unwrap().flatten().next().unwrap().path();
    let link = packages.join("site-packages/__editable__.project.pth");
    std::fs::write(link, project.path().to_str().unwrap()).unwrap();
    std::fs::write(packages.join("site-packages/installed.py"), "x = 1").unwrap();
    let interpreter = Some(venv.path().join("bin/python3").to_str().unwrap().to_string());
    let config = PythonConfig { interpreter, ..PythonConfig::default() };
    let python = PythonExecutor::new(config.clone()).unwrap();
    check(&python, "import installed; installed.x", Ok, "", Some("1"), None);
    let missing = Some("ModuleNotFoundError: No module named 'held_out'");
    check(&python, "import held_out", Error, "", None, missing);
    let reads = format!("open('{}/answers.txt').read()", project.path().display());
    assert_eq!(python.run(&reads).unwrap().status, Error);
    let named =
        PythonExecutor::new(PythonConfig { readable: vec![project.path().into()], ..config }).unwrap();
    check(&named, "import held_out; held_out.answer", Ok, "", Some("42"), None);
}

#[test]
fn a_path_that_is_not_there_can_not_be_readable() {
    let _alone = alone();
    for path in ["/nowhere/at/all", "relative"] {
        let config = PythonConfig { readable: vec![path.into()], ..PythonConfig::default() };
        refused(config, &format!("executor python: readable = {path} is no absolute path"));
    }
}

/// Interpreters outside the dynamic linker's folders need that path, and so do their modules.
#[test]
fn libraries_are_found_where_the_linker_was_told() {
    let _alone = alone();
    let Some(folder) = std::env::var_os("TURNWISE_TEST_LIBRARIES") else {
        let folder = open_folder();
        let library =
            ["/lib/x86_64-linux-gnu/libz.so.1", "/lib/aarch64-linux-gnu/libz.so.1", "/usr/lib64/libz.so.1"];
        let Some(library) = library.iter().find(|path| std::path::Path::new(path).exists()) else {
            return skip("libraries_are_found_where_the_linker_was_told", "there is no libz.so.1");
        };
        std::fs::copy(library, folder.path().join("libours.so.1")).unwrap();
        std::fs::write(folder.path().join("secret"), "s").unwrap();
        let variables = [("LD_LIBRARY_PATH", folder.path()), ("TURNWISE_TEST_LIBRARIES", folder.path())];
        for user in [User::Same, User::Nobody] {
            again("libraries_are_found_where_the_linker_was_told", user, Setting::Here, &variables);
        }
        return;
    };
    let python = start();
    let load = "import ctypes, os\nctypes.CDLL('libours.so.1').zlibVersion.__name__, 'LD_LIBRARY_PATH' in os.environ";
    check(&python, load, Ok, "", Some("('zlibVersion', False)"), None);
    let folder = folder.to_str().unwrap();
    for code in [format!("open('{folder}/secret')"), format!("import os; os.listdir('{folder}')")] {
        assert_eq!(python.run(&code).unwrap().status, Error, "{code}");
    }
}
