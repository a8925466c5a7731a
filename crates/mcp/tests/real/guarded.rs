//! A server that wants a token, ends its streams before it answers, and speaks TLS.

use std::path::{Path, PathBuf};

use serde_json::json;
use turnwise_mcp::{Address, McpConfig, Server};
use turnwise_trajectory::OutputStatus::Ok;

use crate::{Ends, calls, free_port, install, listening, on_http, open, skip};

/// A variable that Cargo sets for its tests. Its value is the token.
const TOKEN: &str = "CARGO_PKG_NAME";

fn script(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/servers").join(name).display().to_string()
}

/// Starts the server. Returns its settings without a token; none if it can't be installed.
fn guarded(test: &str, files: &[&Path]) -> Option<(McpConfig, Ends)> {
    let python = install::python().map_err(|reason| skip(test, &reason)).ok()?;
    let (port, token) = (free_port(), std::env::var(TOKEN).expect("a variable of Cargo"));
    let mut command = vec![python, script("guarded.py"), port.to_string(), token];
    command.extend(files.iter().map(|file| file.display().to_string()));
    Some((on_http(port), listening(&command, port)))
}

fn with_token(config: McpConfig) -> McpConfig {
    McpConfig { bearer: Some(TOKEN.into()), ..config }
}

fn answers(config: McpConfig) {
    let server = open(&with_token(config));
    let arguments = [("slow", json!({"text": "a"})), ("slow", json!({"text": "b"}))];
    assert_eq!(calls(&server, &arguments), [(Ok, "a".into()), (Ok, "b".into())]);
}

#[test]
fn a_token_is_sent_and_a_stream_that_ended_is_continued() {
    let test = "a_token_is_sent_and_a_stream_that_ended_is_continued";
    let Some((config, _running)) = guarded(test, &[]) else { return };
    let refused = Server::open("real", &config).err().expect("a server that wants a token").message;
    let hint = "\n  hint: `bearer` names the environment variable of the token";
    assert!(refused.contains("status 401") && refused.ends_with(hint), "{refused}");
    answers(config);
}

/// Runs in a process whose environment names the certificate.
#[test]
#[cfg(feature = "https")]
fn tls_is_spoken_to_servers_with_a_certificate_that_is_trusted() {
    let test = "guarded::tls_is_spoken_to_servers_with_a_certificate_that_is_trusted";
    let folder = tempfile::tempdir().unwrap();
    if std::env::var_os("TURNWISE_KEY_FILE").is_none() {
        let Some(python) = install::python().map_err(|reason| skip(test, &reason)).ok() else { return };
        let files = [folder.path().join("certificate.pem"), folder.path().join("key.pem")];
        let mut make = std::process::Command::new(python);
        assert!(make.arg(script("certificate.py")).args(&files).status().unwrap().success());
        let again = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .env("SSL_CERT_FILE", &files[0])
            .env("TURNWISE_KEY_FILE", &files[1])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&again.stdout);
        let failed = String::from_utf8_lossy(&again.stderr);
        assert!(again.status.success() && said.contains("1 passed"), "{said}{failed}");
        return;
    }
    let file = |name: &str| PathBuf::from(std::env::var_os(name).expect("a file"));
    let (certificate, key) = (file("SSL_CERT_FILE"), file("TURNWISE_KEY_FILE"));
    let Some((config, _running)) = guarded(test, &[&certificate, &key]) else { return };
    let Address::Url(url) = &config.mcp else { panic!("a URL") };
    let at = |host: &str| Address::Url(url.replace("http://127.0.0.1", &format!("https://{host}")));
    answers(McpConfig { mcp: at("localhost"), ..config.clone() });
    let other = McpConfig { mcp: at("127.0.0.1"), ..with_token(config) };
    let refused = Server::open("real", &other).err().expect("another name").message;
    assert!(refused.contains("certificate"), "{refused}");
}

#[test]
#[cfg(not(feature = "https"))]
fn a_build_without_tls_says_so() {
    let url = Address::Url("https://127.0.0.1:9/mcp".into());
    let refused = Server::open("real", &McpConfig::new(url)).err().expect("no TLS").message;
    assert_eq!(refused, "https needs a build with `--features https`");
}
