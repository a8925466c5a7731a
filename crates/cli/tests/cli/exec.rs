//! `turnwise exec`.

use serde_json::Value;

use crate::binary::turnwise;

fn exec(args: &[&str], code: &str) -> Value {
    turnwise(&[&["exec"], args].concat(), code).json()
}

#[test]
fn the_record_holds_what_the_code_did() {
    let output = exec(&[], "print(6 * 7)");
    let keys: Vec<&str> = output.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["status", "stdout", "value", "error", "truncated", "wall_ms", "cpu_ms"]);
    assert_eq!((&output["status"], &output["stdout"]), (&"ok".into(), &"42\n".into()));
    assert_eq!(
        (&output["value"], &output["error"], &output["truncated"]),
        (&Value::Null, &Value::Null, &false.into())
    );
    assert!(output["wall_ms"].as_f64().unwrap() > 0.0);

    assert_eq!(exec(&[], "6 * 7")["value"], "42", "the value of the last expression");
    let raised = exec(&[], "1 / 0");
    assert_eq!(
        (&raised["status"], &raised["error"]),
        (&"error".into(), &"ZeroDivisionError: division by zero".into())
    );
}

#[test]
fn limits_are_kept() {
    let started = std::time::Instant::now();
    assert_eq!(exec(&["--timeout", "0.5"], "while True: pass")["status"], "timeout");
    assert_eq!(exec(&["--timeout", "0.5"], "import time; time.sleep(60)")["status"], "timeout");
    assert!(started.elapsed().as_secs() < 30, "it always comes back");
    assert_eq!(exec(&["--memory", "64"], "x = bytearray(256 << 20)")["status"], "out_of_memory");
    let long = exec(&[], "print('x' * 1_000_000)");
    assert_eq!(long["truncated"], true);
    assert!(long["stdout"].as_str().unwrap().len() < 100_000);
}

#[test]
fn a_session_keeps_its_state() {
    let cells = ["x = 1", "x += 41", "", "print(x)", "y"];
    let input: String = cells.map(|code| if code.is_empty() { "\n".into() } else { cell(code) }).concat();
    let outputs: Vec<Value> = turnwise(&["exec", "--session"], &input).lines();
    let seen: Vec<&str> = outputs.iter().map(|o| o["status"].as_str().unwrap()).collect();
    assert_eq!(seen, ["ok", "ok", "ok", "error"], "one line of output for each cell");
    assert_eq!(outputs[2]["stdout"], "42\n");
    assert_eq!(outputs[3]["error"], "NameError: name 'y' is not defined");
    assert!(turnwise(&["exec", "--session"], "").lines::<Value>().is_empty());

    let broken = turnwise(&["exec", "--session"], &format!("{}{{\"kode\": 1}}\n", cell("1")));
    assert_eq!(broken.code, Some(1));
    assert!(broken.stderr.starts_with("stdin:2: unknown field `kode`"), "{}", broken.stderr);
    assert_eq!(broken.stdout.lines().count(), 1, "the cells before it were answered");
}

fn cell(code: &str) -> String {
    format!("{}\n", serde_json::json!({"code": code}))
}

#[test]
fn wrong_usage_is_named() {
    turnwise(&["exec", "--timeout", "0"], "1")
        .fails(2, &["--timeout 0: expected a number from 0.001 to 3600000"]);
    turnwise(&["exec", "--memory", "0"], "1")
        .fails(2, &["--memory 0: expected a whole number from 1 to 16777216"]);
    turnwise(&["exec", "--executor", "pyhton"], "1").fails(2, &["--executor pyhton: unknown", "python"]);
}
