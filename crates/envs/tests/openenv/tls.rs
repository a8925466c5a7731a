//! A server of OpenEnv over TLS, in builds that have it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use turnwise_envs::{Env, OpenEnv, OpenEnvConfig, TaskSplit};

use crate::{library, path, says, session};

/// Serves the words of the example: the folder of the example, port, certificate, key.
const SERVER: &str = "import sys; sys.path.insert(0, sys.argv[1]); import uvicorn, words; uvicorn.run(words.app, \
    host='127.0.0.1', port=int(sys.argv[2]), ssl_certfile=sys.argv[3], ssl_keyfile=sys.argv[4], \
    log_level='warning')";
const TEST: &str = "tls::a_server_with_a_certificate_that_is_trusted_is_played_over_tls";

/// Runs in a process whose environment names the certificate.
#[test]
fn a_server_with_a_certificate_that_is_trusted_is_played_over_tls() {
    let Some(python) = library::python() else { return };
    if std::env::var_os("TURNWISE_KEY_FILE").is_none() {
        let folder = tempfile::tempdir().unwrap();
        let files = [folder.path().join("certificate.pem"), folder.path().join("key.pem")];
        let script = path("../mcp/tests/servers/certificate.py");
        assert!(Command::new(python).arg(script).args(&files).status().unwrap().success());
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", TEST]).env("SSL_CERT_FILE", &files[0]).env("TURNWISE_KEY_FILE", &files[1]);
        let ran = again.output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        let failed = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success() && said.contains("1 passed"), "{said}{failed}");
        return;
    }
    let file = |name: &str| PathBuf::from(std::env::var_os(name).expect("a file"));
    let port = crate::free_port();
    let mut server = Command::new(&python);
    server.args(["-c", SERVER, &path("examples/openenv"), &port.to_string()]);
    let server = server.args([file("SSL_CERT_FILE"), file("TURNWISE_KEY_FILE")]).stdin(Stdio::null());
    let _server = crate::serving(server, port);
    let at = |host: &str| OpenEnvConfig {
        timeout_seconds: 60.0,
        ..OpenEnvConfig::at(format!("wss://{host}:{port}"))
    };
    let env = OpenEnv::new(&at("localhost")).unwrap();
    let task = env.task(TaskSplit::Train, 0).unwrap();
    let (mut one, mut other) = (session(&env, &task), session(&env, &task));
    for turn in 0..3 {
        let (step, again) = (says(&mut *one, "einrst"), says(&mut *other, "einrst"));
        assert_eq!(step, again);
        assert_eq!((step.rewards.get("reward"), step.done), (1.0 / 6.0, turn == 2));
    }
    let refused = OpenEnv::new(&at("127.0.0.1")).err().expect("another name").to_string();
    assert!(refused.contains("certificate"), "{refused}");
}
