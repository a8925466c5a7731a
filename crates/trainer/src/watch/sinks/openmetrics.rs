//! Writes a step in the OpenMetrics text format (prometheus.io/docs/specs/om/open_metrics_spec).

use std::fmt::Write;

use turnwise_run::StepMetrics;

use super::series::{Number, numbers};

/// Returns one gauge per number, named `turnwise_…`. The run, the turn and the name of a reward are labels.
pub(super) fn text(run: &str, metrics: &StepMetrics) -> String {
    let mut samples: Vec<Sample> = numbers(metrics).into_iter().map(Sample::of).collect();
    let step = metrics.step as f64;
    samples.push(Sample { family: "turnwise_step".into(), name: None, turn: None, value: step });
    // A family's samples have to stand together.
    samples.sort_by(|a, b| a.place().cmp(&b.place()));
    let (mut text, mut family) = (String::new(), "");
    for sample in &samples {
        if sample.family != family {
            writeln!(text, "# TYPE {} gauge", sample.family).expect("a string takes any text");
            family = &sample.family;
        }
        writeln!(text, "{}", sample.line(run)).expect("a string takes any text");
    }
    text + "# EOF\n"
}

/// A number under the names that the format allows.
struct Sample {
    family: String,
    /// The name of a reward: an environment may choose any text, and no two may be one.
    name: Option<String>,
    turn: Option<usize>,
    value: f64,
}

impl Sample {
    fn of(Number { mut keys, turn, value }: Number) -> Self {
        let name = (keys.len() > 2 && keys[0] == REWARDS).then(|| keys.remove(1));
        Self { family: format!("turnwise_{}", keys.join("_")), name, turn, value }
    }

    fn place(&self) -> (&str, Option<&str>, Option<usize>) {
        (&self.family, self.name.as_deref(), self.turn)
    }

    fn line(&self, run: &str) -> String {
        let name = self.name.as_deref().map(|name| format!(",name=\"{}\"", escaped(name)));
        let turn = self.turn.map(|turn| format!(",turn=\"{turn}\""));
        let (name, turn) = (name.unwrap_or_default(), turn.unwrap_or_default());
        format!("{}{{run=\"{}\"{name}{turn}}} {}", self.family, escaped(run), self.value)
    }
}

/// Key of the metrics by name.
const REWARDS: &str = "rewards";

/// Escapes the value of a label as the format says: backslash, quote and line feed.
fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use turnwise_run::{RewardMetrics, TurnCalls, TurnCredit, TurnMetrics};

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

    #[test]
    fn every_name_of_a_reward_has_its_samples_whatever_it_holds() {
        let names = ["a.b", "a_b", "a-b", "", "mean", "é", "q\"\\\n", "x_mean"];
        let rewards = names.iter().enumerate().map(|(at, name)| {
            let mean = (at as f64).into();
            ((*name).to_string(), RewardMetrics { mean, by_turn: vec![mean, mean] })
        });
        let text = text("r", &StepMetrics { rewards: rewards.collect(), ..StepMetrics::default() });
        let families: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        // The names of families are ours alone, and the format allows them.
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ' ';
        assert!(families.iter().all(|family| family.chars().all(allowed)), "{families:?}");
        let of_rewards = families.iter().filter(|family| family.starts_with("turnwise_rewards_"));
        assert_eq!(
            of_rewards.collect::<Vec<_>>(),
            [&"turnwise_rewards_by_turn gauge", &"turnwise_rewards_mean gauge"]
        );
        for (at, name) in ["a.b", "a_b", "a-b", "", "mean", "é", r#"q\"\\\n"#, "x_mean"].iter().enumerate() {
            let mean = format!("turnwise_rewards_mean{{run=\"r\",name=\"{name}\"}} {at}\n");
            assert_eq!(text.matches(&mean).count(), 1, "{mean}{text}");
            let turn = format!("turnwise_rewards_by_turn{{run=\"r\",name=\"{name}\",turn=\"1\"}} {at}\n");
            assert_eq!(text.matches(&turn).count(), 1, "{turn}{text}");
        }
        let samples: std::collections::BTreeSet<&str> =
            text.lines().filter_map(|line| line.rsplit_once(' ').map(|(sample, _)| sample)).collect();
        assert_eq!(samples.len(), text.lines().count(), "no two samples are one");
    }
}
