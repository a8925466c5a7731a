//! Outcomes of calls of one server.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use turnwise_envs::{Env, EnvConfig};
use turnwise_mcp::{McpConfig, Per, Server, WithTools, open};
use turnwise_tools::executor::ExecutorConfig;
use turnwise_tools::{CallContext, Tool, observation};
use turnwise_trajectory::OutputStatus;

use crate::odd;

/// Calls a tool, and returns how that ends as text.
fn call(tool: &dyn Tool, how: &str) -> Result<(OutputStatus, String), String> {
    let arguments = json!({"place": "here", "how": how});
    let output = tool.call(arguments.as_object().unwrap(), CallContext::default());
    output.map(|output| (output.status, observation(&output))).map_err(|fault| fault.to_string())
}

fn server(config: &McpConfig) -> Server {
    Server::open("odd", config).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn failures_of_a_tool_are_read_by_the_model_and_those_of_a_server_are_faults() {
    let server = server(&McpConfig { timeout_seconds: 20.0, ..odd(&[]) });
    let answers = [
        ("ok", OutputStatus::Ok),
        ("fails", OutputStatus::Error),
        ("refused", OutputStatus::Error),
        ("chats", OutputStatus::Ok),
        ("twice", OutputStatus::Ok),
    ];
    let tools = server.tools();
    for (number, (how, status)) in answers.into_iter().enumerate() {
        let expect = (status, format!("left {} here", number + 1));
        assert_eq!(call(&*tools[0], how), Ok(expect), "{how}");
    }
    // It is well: the session goes on.
    let broken = call(&*tools[0], "broken").unwrap_err();
    assert_eq!(broken, "tools.odd: left 6 here (error -32603)");
    assert_eq!(call(&*tools[1], "ok"), Ok((OutputStatus::Ok, "right 7 here".into())));
    for (how, expect) in [
        ("dies", "the server has ended (exit status: 3); the end of its stderr: no space\\u{1b}[2J left"),
        ("closes", "the server has ended"),
        ("lies", "an answer to the request 1002, which was never asked"),
        ("nonsense", "a result that makes no sense: "),
        ("neither", "a message with neither a method, a result nor an error"),
        ("huge", "a message of more than 16777216 bytes"),
    ] {
        let tools = server.tools();
        let fault = call(&*tools[0], how).unwrap_err();
        assert!(fault.starts_with(&format!("tools.odd: {expect}")), "{how}: {fault}");
        let after = call(&*tools[1], "ok").unwrap_err();
        assert!(after.starts_with("tools.odd: the trajectory's server is gone: "), "{after}");
    }
    let again = server.tools();
    assert_eq!(call(&*again[0], "ok"), Ok((OutputStatus::Ok, "left 1 here".into())), "another trajectory");
}

#[test]
fn a_server_that_is_late_is_a_fault() {
    let server = server(&McpConfig { timeout_seconds: 0.3, ..odd(&[]) });
    let fault = call(&*server.tools()[0], "silent").unwrap_err();
    assert!(fault.starts_with("tools.odd: no answer to `tools/call` for 0.3 s"), "{fault}");
}

#[test]
fn a_runs_server_is_replaced_and_keeps_its_state_meanwhile() {
    let server = server(&McpConfig { per: Per::Run, ..odd(&[]) });
    let (one, other) = (server.tools(), server.tools());
    assert_eq!(call(&*one[0], "ok").unwrap().1, "left 1 here");
    assert_eq!(call(&*other[1], "ok").unwrap().1, "right 2 here");
    assert!(call(&*one[0], "dies").is_err());
    assert_eq!(call(&*one[0], "ok").unwrap().1, "left 1 here");
}

/// Whether a process runs.
fn runs(id: &str) -> bool {
    let status = std::fs::read_to_string(Path::new("/proc").join(id).join("stat"));
    status.is_ok_and(|status| !status.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')))
}

#[test]
fn nothing_of_a_server_is_left_when_its_trajectory_has_ended() {
    if !Path::new("/proc/self/stat").exists() {
        return println!("skipped: there is no /proc");
    }
    let server = server(&odd(&[]));
    let tools = server.tools();
    let ids = call(&*tools[0], "child").unwrap().1;
    assert!(ids.split(' ').all(runs), "{ids}");
    drop(tools);
    drop(server);
    for _ in 0..500 {
        if !ids.split(' ').any(runs) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{ids} still run");
}

#[test]
fn a_server_sees_few_variables_and_what_the_run_file_gives() {
    let (path, hidden) = (std::env::var("PATH").unwrap(), std::env::var("CARGO_MANIFEST_DIR").unwrap());
    let env = [("ODD_A", "b"), ("ODD_C", "$CARGO_MANIFEST_DIR")];
    let env = env.map(|(name, value)| (name.to_string(), value.to_string())).into();
    let server = server(&McpConfig { env, ..odd(&[]) });
    let seen = call(&*server.tools()[0], "env").unwrap().1;
    let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
    // A shim of an interpreter may add folders to its front.
    assert!(seen["PATH"].as_str().is_some_and(|seen| seen.ends_with(&path)), "{seen}");
    assert_eq!((&seen["ODD_A"], &seen["ODD_C"]), (&json!("b"), &json!(hidden)));
    assert!(seen["CARGO_MANIFEST_DIR"].is_null(), "{seen}");
}

#[test]
fn what_cannot_be_offered_is_told_at_the_start() {
    // A wrong run file has another exit status than a server that fails.
    let told = |config: McpConfig, failed: bool| {
        let error = Server::open("odd", &config).err().expect("refused");
        assert_eq!(error.failed, failed, "{error}");
        error.to_string()
    };
    let (refused, wrong) = (|config| told(config, true), |config| told(config, false));
    let only = McpConfig { only: Some(vec!["left".into(), "up".into()]), ..odd(&[]) };
    let hint = "\n  hint: it offers left, right";
    assert_eq!(wrong(only), format!("tools.odd: `only`: the server has no tool \"up\"{hint}"));
    let version =
        |version: &str| McpConfig { env: [("ODD_VERSION".into(), version.into())].into(), ..odd(&[]) };
    assert!(Server::open("odd", &version("2024-11-05")).is_ok());
    let told = refused(version("2030-01-01"));
    assert!(
        told.starts_with("tools.odd: the server speaks MCP 2030-01-01\n  hint: turnwise speaks MCP "),
        "{told}"
    );
    let missing = McpConfig { env: [("A".into(), "$NO_SUCH_VARIABLE".into())].into(), ..odd(&[]) };
    assert_eq!(wrong(missing), "tools.odd: `env`: the environment has no variable NO_SUCH_VARIABLE");
    let command = |command: &[&str]| {
        let command = command.iter().map(ToString::to_string).collect();
        McpConfig::new(turnwise_mcp::Address::Command(command))
    };
    let absent = refused(command(&["/no/such/program"]));
    assert!(absent.starts_with("tools.odd: mcp = [\"/no/such/program\"] doesn't start: "), "{absent}");
    let ended = refused(command(&["python3", "-c", "import sys; sys.exit('no module named game')"]));
    let expect =
        "tools.odd: the server has ended (exit status: 1); the end of its stderr: no module named game";
    assert_eq!(ended, expect);
    let silent = McpConfig { start_seconds: 0.2, ..command(&["sleep", "100"]) };
    assert_eq!(refused(silent), "tools.odd: no answer to `initialize` for 0.2 s");
    let nobody = McpConfig::new(turnwise_mcp::Address::Url("http://127.0.0.1:9/mcp".into()));
    let nobody = refused(nobody);
    assert!(nobody.starts_with("tools.odd: http://127.0.0.1:9/mcp: "), "{nobody}");
}

#[test]
fn equal_names_are_refused() {
    let servers = |names: [&str; 2]| {
        let only = |name: &str| McpConfig { only: Some(vec![name.into()]), ..odd(&[]) };
        open(&[("a".to_string(), only(names[0])), ("b".to_string(), only(names[1]))].into())
    };
    let error = servers(["left", "left"]).err().expect("refused").to_string();
    let hint = "\n  hint: `only` names the tools on offer";
    assert_eq!(error, format!("tools.b: the tool \"left\" is offered by [tools.a] as well{hint}"));
    let servers = servers(["left", "right"]).unwrap_or_else(|error| panic!("{error}"));
    let env: EnvConfig = serde_json::from_value(json!({"arithmetic": {"train_tasks": 1}})).unwrap();
    let env = WithTools::new(env.open(&ExecutorConfig::default()).unwrap(), servers).unwrap();
    let names: Vec<&str> = env.tools().iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["python", "left", "right"]);
    // A second layer stands for an environment that has a tool of that name.
    let again = vec![server(&odd(&[]))];
    let error = WithTools::new(Box::new(env), again).err().expect("refused").to_string();
    assert_eq!(error, format!("tools.odd: the tool \"left\" is offered by [env.arithmetic] as well{hint}"));
}

#[test]
fn stderr_and_stray_lines_are_for_the_log() {
    let env: EnvConfig = serde_json::from_value(json!({"arithmetic": {"train_tasks": 1}})).unwrap();
    let server = server(&odd(&[]));
    let tools = server.tools();
    call(&*tools[0], "chats").unwrap();
    let env = WithTools::new(env.open(&ExecutorConfig::default()).unwrap(), vec![server]).unwrap();
    let mut lines = env.take_log();
    for _ in 0..500 {
        if lines.len() >= 2 {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
        lines.extend(env.take_log());
    }
    lines.sort();
    let stray = "tools.odd: on stdout, no message: a line that is no message";
    assert_eq!(lines, ["tools.odd: debugging\\u{1b}[2J", stray]);
}
