//! The code of a trajectory is what its calls ask to run, whatever format they were written in.

use serde_json::{Value, json};
use turnwise_similarity::code_of;
use turnwise_tools::format::FormatName;
use turnwise_trajectory::{CallRecord, OutputStatus, Stop, ToolCall, ToolOutput, Trajectory, Turn};

const PROGRAM: &str = "# sum of squares\ntotal = 0\n\nfor i in range(3):  # three times\n    total += i * i\nprint(f\"{total} # not a comment\")\n";
const BARE: &str = "total = 0\nfor i in range(3):\n    total += i * i\nprint(f\"{total} # not a comment\")";

fn output() -> ToolOutput {
    ToolOutput {
        status: OutputStatus::Ok,
        stdout: "5\n".into(),
        value: None,
        error: None,
        truncated: false,
        wall_ms: 0.0,
        cpu_ms: 0.0,
    }
}

/// One turn as the policy writes it in a format: thoughts, then a call of the tool.
fn turn(name: FormatName, arguments: &Value) -> Turn {
    let format = name.build();
    let arguments = arguments.as_object().expect("an object").clone();
    let call = ToolCall { name: "python".into(), arguments, span: 0..0 };
    let text = format!("Let me compute.\n{}", format.render(&call));
    let calls = format
        .parse(&text)
        .into_iter()
        .map(|call| match call {
            Ok(call) => CallRecord::Executed { call, output: output() },
            Err(malformed) => CallRecord::Malformed(malformed),
        })
        .collect();
    Turn { text, calls, ..Turn::default() }
}

#[test]
fn the_code_of_a_call_is_the_same_in_every_format() {
    for name in FormatName::ALL {
        let turns =
            vec![turn(name, &json!({"code": PROGRAM})), turn(name, &json!({"code": "print(1)  # one"}))];
        let trajectory =
            Trajectory { task: "t".into(), sample: 0, prompt: vec![], turns, stop: Stop::TurnLimit };
        assert_eq!(code_of(&trajectory), format!("{BARE}\nprint(1)"), "{name}");
    }
}
