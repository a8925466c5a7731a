//! Tries to break out once at the start. An executor that lets something through doesn't run.

use turnwise_trajectory::OutputStatus;

use super::NAME;
use super::config::Isolation;
use super::pool::Pool;
use crate::executor::ExecutorError;

/// Prints the name of every attempt that worked and must not.
const ATTEMPTS: &str = r#"
import os
def attempt(name, action):
    try:
        action()
    except (OSError, MemoryError, RuntimeError):
        return
    print(name)
def new_process():
    if os.fork() == 0:
        os._exit(0)
def new_socket():
    import _socket
    _socket.socket()
attempt("starting a process", new_process)
attempt("running a program", lambda: os.execv("/bin/true", ["true"]))
attempt("opening a socket", new_socket)
attempt("sending a signal", lambda: os.kill(os.getppid() or 1, 0))
attempt("creating a file", lambda: os.open("/tmp/turnwise-self-test", os.O_CREAT | os.O_WRONLY))
attempt("using more memory than allowed", lambda: bytearray(MEMORY))
if FILES:
    attempt("reading /etc/passwd", lambda: open("/etc/passwd").read())
    attempt("listing /", lambda: os.listdir("/"))
    attempt("reading /proc", lambda: open("/proc/self/environ").read())
print("done")
"#;

/// Runs the attempts that the achieved level must stop.
pub(super) fn run(pool: &Pool) -> Result<(), ExecutorError> {
    let level = pool.achieved().level;
    if level == Isolation::None {
        return Ok(());
    }
    let files = if level >= Isolation::Files { "True" } else { "False" };
    let memory = (pool.config().memory_mib + 1) << 20;
    let code = format!("MEMORY, FILES = {memory}, {files}\n{ATTEMPTS}");
    let refuse = |what: String| ExecutorError {
        backend: NAME,
        message: format!("self-test: {what}"),
        hint: "please report this with the output of `turnwise doctor`".into(),
    };
    let output = pool.run(&code).map_err(|fault| refuse(fault.message))?;
    // Limits too tight for the attempts themselves prove nothing against the sandbox.
    let too_tight = matches!(output.status, OutputStatus::Timeout | OutputStatus::OutOfMemory);
    match output.stdout.trim() {
        "done" => Ok(()),
        "" if too_tight => Ok(()),
        through => Err(refuse(format!(
            "got through: {} {}",
            through.replace('\n', ", "),
            output.error.unwrap_or_default()
        ))),
    }
}
