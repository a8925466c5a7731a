//! A step in the OpenMetrics text format (prometheus.io/docs/specs/om/open_metrics_spec).

use std::fmt::Write;

use super::series::numbers;
use crate::json_lines::Record;

/// One gauge per number, named `turnwise_…`, with the run and the turn as labels.
pub(super) fn text(run: &str, record: &Record) -> String {
    let step = record.get("step").and_then(serde_json::Value::as_f64).unwrap_or_default();
    let mut samples: Vec<(String, Option<usize>, f64)> = vec![("turnwise_step".into(), None, step)];
    samples.extend(numbers(record).into_iter().map(|n| (name(&n.keys), n.turn, n.value)));
    // A family's samples have to stand together.
    samples.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    let mut text = String::new();
    let mut family = String::new();
    for (name, turn, value) in samples {
        if name != family {
            writeln!(text, "# TYPE {name} gauge").expect("a string takes any text");
            family.clone_from(&name);
        }
        let turn = turn.map(|turn| format!(",turn=\"{turn}\"")).unwrap_or_default();
        writeln!(text, "{name}{{run=\"{}\"{turn}}} {value}", escaped(run)).expect("a string takes any text");
    }
    text + "# EOF\n"
}

fn name(keys: &[String]) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("turnwise_{}", keys.join("_").chars().map(plain).collect::<String>())
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn families_stand_together_and_labels_are_escaped() {
        let record = json!({
            "step": 3, "loss": null, "accuracy": 0.5, "guards": ["entropy"],
            "by_turn": [{"credit": {"reward": 1.0}, "calls": {"ok": 2}}, {"credit": {"reward": -0.1}, "calls": {"ok": 0}}],
        });
        let expect = r#"# TYPE turnwise_accuracy gauge
turnwise_accuracy{run="a\"b"} 0.5
# TYPE turnwise_by_turn_calls_ok gauge
turnwise_by_turn_calls_ok{run="a\"b",turn="0"} 2
turnwise_by_turn_calls_ok{run="a\"b",turn="1"} 0
# TYPE turnwise_by_turn_credit_reward gauge
turnwise_by_turn_credit_reward{run="a\"b",turn="0"} 1
turnwise_by_turn_credit_reward{run="a\"b",turn="1"} -0.1
# TYPE turnwise_loss gauge
turnwise_loss{run="a\"b"} NaN
# TYPE turnwise_step gauge
turnwise_step{run="a\"b"} 3
# EOF
"#;
        assert_eq!(text("a\"b", record.as_object().unwrap()), expect);
    }
}
