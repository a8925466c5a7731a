//! Servers in Python.

use std::path::Path;

use serde_json::json;
use turnwise_mcp::{McpConfig, Per};
use turnwise_trajectory::OutputStatus::{Error, Ok};

use crate::{calls, free_port, install, listening, note, on_http, on_stdio, only, open, skip};

/// Returns the command of the server of a library; none if it can't be installed.
fn command(test: &str, library: &str) -> Option<Vec<String>> {
    let python = install::python().map_err(|reason| skip(test, &reason)).ok()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/notes.py");
    Some(vec![python, script.display().to_string(), library.into()])
}

/// Every trajectory has its notes, and what fails is told to the model.
fn keeps_notes(config: &McpConfig, failure: &str) {
    let server = open(config);
    let mut names: Vec<&str> = server.specs().iter().map(|spec| spec.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["add", "fail", "note"]);
    let required = |name: &str| {
        let spec = server.specs().iter().find(|spec| spec.name == name).expect("a tool");
        spec.parameters["required"].clone()
    };
    assert_eq!((required("add"), required("note")), (json!(["a"]), json!(["text"])));
    let answers = calls(&server, &[("add", json!({"a": 3})), ("add", json!({"a": 3, "b": 4})), note("x")]);
    assert_eq!(answers, [(Ok, "4".into()), (Ok, "7".into()), (Ok, "x".into())]);
    let wrong = calls(&server, &[("fail", json!({})), ("add", json!({"a": "three"}))]);
    assert!(wrong.iter().all(|(status, _)| *status == Error), "{wrong:?}");
    assert!(wrong[0].1.contains(failure) && wrong[1].1.contains("valid integer"), "{wrong:?}");
}

#[test]
fn the_official_sdk_is_spoken_to_on_stdio() {
    let Some(command) = command("the_official_sdk_is_spoken_to_on_stdio", "mcp") else { return };
    let config = on_stdio(&command);
    keeps_notes(&config, "Error executing tool fail");
    let server = open(&only(config, "note"));
    assert_eq!(calls(&server, &[note("x"), note("y")])[1].1, "x, y");
    assert_eq!(calls(&server, &[note("z")])[0].1, "z", "another trajectory has another server");
}

#[test]
fn fastmcp_is_spoken_to_on_stdio() {
    let Some(command) = command("fastmcp_is_spoken_to_on_stdio", "fastmcp") else { return };
    keeps_notes(&on_stdio(&command), "no such thing");
}

/// A server's state of a session is a trajectory's own, and its state for all sessions is not.
#[test]
fn a_trajectory_has_its_session_of_a_url_and_no_server_to_itself() {
    let test = "a_trajectory_has_its_session_of_a_url_and_no_server_to_itself";
    let Some(mut command) = command(test, "fastmcp") else { return };
    let port = free_port();
    command.extend([port.to_string(), "whose".into()]);
    let _running = listening(&command, port);
    let whose = || ("whose", json!({}));
    let server = open(&on_http(port));
    let first = calls(&server, &[whose(), whose(), note("x")]);
    let second = calls(&server, &[whose(), note("y")]);
    assert_eq!(first[0], first[1], "a session for the calls of a trajectory");
    assert!(first[0].0 == Ok && first[0] != second[0], "{first:?} {second:?}");
    assert_eq!(second[1].1, "x, y", "the server is one");
    let server = open(&McpConfig { per: Per::Run, ..on_http(port) });
    assert_eq!(calls(&server, &[whose()]), calls(&server, &[whose()]), "a session for the run");
}

#[test]
fn a_session_over_http_is_begun_again_when_the_server_forgets_it() {
    let test = "a_session_over_http_is_begun_again_when_the_server_forgets_it";
    for library in ["mcp", "fastmcp"] {
        let Some(mut command) = command(test, library) else { return };
        let port = free_port();
        command.push(port.to_string());
        let running = listening(&command, port);
        keeps_notes(&on_http(port), "");
        let server = open(&McpConfig { per: Per::Run, ..on_http(port) });
        assert_eq!(calls(&server, &[note("x")])[0].0, Ok);
        drop(running);
        // It knows nothing of the session.
        let _running = listening(&command, port);
        assert_eq!(calls(&server, &[note("y")]), [(Ok, "y".into())], "{library}");
    }
}
