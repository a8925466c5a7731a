//! Writes a step in the OpenMetrics text format (prometheus.io/docs/specs/om/open_metrics_spec).

use std::fmt::Write;

use turnwise_run::StepMetrics;

use super::series::numbers;

/// Returns one gauge per number, named `turnwise_…`, with the run and the turn as labels.
pub(super) fn text(run: &str, metrics: &StepMetrics) -> String {
    let step = metrics.step as f64;
    let mut samples: Vec<(String, Option<usize>, f64)> = vec![("turnwise_step".into(), None, step)];
    samples.extend(numbers(metrics).into_iter().map(|n| (name(&n.keys), n.turn, n.value)));
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
    use turnwise_run::{TurnCalls, TurnCredit, TurnMetrics};

    use super::*;

    #[test]
    fn families_stand_together_and_labels_are_escaped() {
        let turn = |reward: f64, ok: usize| TurnMetrics {
            credit: TurnCredit { reward: reward.into(), ..TurnCredit::default() },
            calls: TurnCalls { ok, ..TurnCalls::default() },
            ..TurnMetrics::default()
        };
        let metrics = StepMetrics {
            step: 3,
            loss: f64::NAN.into(),
            accuracy: 0.5.into(),
            guards: vec!["entropy".into()],
            by_turn: vec![turn(1.0, 2), turn(-0.1, 0)],
            ..StepMetrics::default()
        };
        let text = text("a\"b", &metrics);
        assert!(text.ends_with("# EOF\n"), "{text}");
        let names = ["accuracy", "by_turn_calls_ok", "by_turn_credit_reward", "loss", "step"];
        let wanted =
            |family: &&str| names.iter().any(|name| family.starts_with(&format!("turnwise_{name} ")));
        let shown: String =
            text.split("# TYPE ").filter(wanted).flat_map(|family| ["# TYPE ", family]).collect();
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
"#;
        assert_eq!(shown, expect);
    }
}
