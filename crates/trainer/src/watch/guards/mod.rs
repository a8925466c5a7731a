//! Guards: what looks at each step's metrics and says, in words, that training is going wrong. Each is a function of the
//! metrics so far and of nothing else, so a run that goes on after a kill is guarded as if it had never stopped.

mod drift;
mod dropped;
mod entropy;
mod non_finite;
mod reward;
mod series;
mod tools;
mod truncation;

pub use crate::config::{Action, GuardsConfig, LimitsConfig};
use crate::json_lines::Record;

/// What a guard found.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The guard: its key in `[guards]`.
    pub guard: &'static str,
    /// What it does.
    pub action: Action,
    /// What the numbers say.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
}

/// What a run is, as far as guards care.
#[derive(Debug, Clone, Copy)]
pub struct Watched {
    /// Whether the policy that is trained has played the rollouts: it hasn't in a replay.
    pub on_policy: bool,
    /// Whether activations are f32.
    pub full_precision: bool,
    /// The name of the loss in the run file, for remedies that are keys of it.
    pub loss: &'static str,
}

/// Key of `metrics.jsonl` with the names of the guards that fire at a step.
pub const KEY: &str = "guards";

/// The guard after which there is nothing worth keeping.
pub(crate) const NON_FINITE: &str = "non_finite";

/// A cause and a remedy. `{loss}` in a remedy stands for the name of the loss that runs.
type Alarm = Option<(String, &'static str)>;

/// What the guards say about the last of the records, which are those of the steps 0, 1, 2, ….
pub fn findings(records: &[Record], config: &GuardsConfig, watched: Watched) -> Vec<Finding> {
    let limits = &config.limits;
    let looks: [(&'static str, Action, &dyn Fn() -> Alarm); 7] = [
        (NON_FINITE, config.non_finite, &|| non_finite::look(records)),
        ("entropy", config.entropy, &|| entropy::look(records, limits)),
        ("tools", config.tools, &|| tools::look(records, limits)),
        ("drift", config.drift, &|| drift::look(records, limits, watched)),
        ("reward", config.reward, &|| reward::look(records, limits)),
        ("truncation", config.truncation, &|| truncation::look(records, limits)),
        ("dropped", config.dropped, &|| dropped::look(records, limits)),
    ];
    let looks = looks.into_iter().filter(|(_, action, _)| *action != Action::Off);
    looks
        .filter_map(|(guard, action, look)| {
            let (cause, remedy) = look()?;
            Some(Finding { guard, action, cause, remedy: remedy.replace("{loss}", watched.loss) })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const WATCHED: Watched = Watched { on_policy: true, full_precision: true, loss: "clip" };

    /// A step of a healthy run.
    fn healthy(step: usize) -> Record {
        let wave = (step as f64 * 0.7).sin();
        let value = json!({
            "step": step, "loss": 0.1 * wave, "grad_norm": 1.0 + 0.5 * wave, "weight_norm": 20.0,
            "entropy": 0.6 + 0.2 * wave, "accuracy": 0.5 + 0.3 * wave, "truncated": 0.1 + 0.05 * wave,
            "dropped": 0.3 + 0.2 * wave, "logprob_gap": 1e-5, "ratio": 1.0, "old_kl": 0.01,
            "by_turn": [{"calls": {"turns": 8, "malformed": 0, "ok": 7, "error": 1, "stopped": 0}}],
        });
        value.as_object().unwrap().clone()
    }

    /// The guards that fire at each step of a run whose metrics are `change`d from some step on.
    fn fired(steps: usize, from: usize, change: impl Fn(usize, &mut Record)) -> Vec<Vec<&'static str>> {
        let mut records = Vec::new();
        (0..steps)
            .map(|step| {
                let mut record = healthy(step);
                if step >= from {
                    change(step, &mut record);
                }
                records.push(record);
                let found = findings(&records, &GuardsConfig::default(), WATCHED);
                assert!(found.iter().all(|f| !f.cause.is_empty() && !f.remedy.is_empty()));
                found.into_iter().map(|finding| finding.guard).collect()
            })
            .collect()
    }

    fn set(key: &'static str, value: impl Fn(usize) -> Value) -> impl Fn(usize, &mut Record) {
        move |step, record| {
            record.insert(key.into(), value(step));
        }
    }

    /// From step 20 on a metric goes wrong; its guard fires within `within` steps, none did before, and no other does.
    #[track_caller]
    fn check(guard: &str, within: usize, change: impl Fn(usize, &mut Record)) {
        let fired = fired(60, 20, change);
        assert!(fired[..20].iter().all(Vec::is_empty), "{guard}: too early");
        let first =
            fired.iter().position(|names| !names.is_empty()).unwrap_or_else(|| panic!("{guard}: never"));
        assert!(first < 20 + within, "{guard} at step {first}");
        assert!(fired[first..].iter().flatten().all(|name| *name == guard), "{fired:?}");
    }

    #[test]
    fn a_healthy_run_is_left_alone() {
        assert!(fired(200, 200, |_, _| {}).iter().all(Vec::is_empty));
    }

    #[test]
    fn each_collapse_is_found_by_its_guard() {
        for key in ["loss", "grad_norm", "weight_norm"] {
            check("non_finite", 1, set(key, |_| json!(f64::NAN)));
        }
        check("entropy", 9, set("entropy", |_| json!(0.01)));
        check("entropy", 30, set("entropy", |step| json!(0.6 * 0.7_f64.powi(step as i32 - 20))));
        let calls =
            |ok: usize| json!([{"calls": {"turns": 8, "malformed": 0, "ok": ok, "error": 0, "stopped": 0}}]);
        check("tools", 9, set("by_turn", |_| calls(0)));
        check("tools", 9, set("by_turn", |_| calls(1)));
        check("drift", 1, set("logprob_gap", |_| json!(0.3)));
        check("drift", 9, set("old_kl", |_| json!(0.5)));
        check("drift", 9, set("ratio", |_| json!(1.6)));
        check("reward", 9, set("accuracy", |_| json!(0.0)));
        check("reward", 9, set("accuracy", |_| json!(1.0)));
        check("truncation", 9, set("truncated", |_| json!(0.8)));
        check("dropped", 9, set("dropped", |_| json!(1.0)));
    }

    #[test]
    fn one_bad_step_is_not_a_collapse() {
        for (key, value) in
            [("entropy", 0.0), ("accuracy", 0.0), ("truncated", 1.0), ("dropped", 1.0), ("old_kl", 0.2)]
        {
            let once = move |step: usize, record: &mut Record| {
                if step == 20 {
                    record.insert(key.into(), json!(value));
                }
            };
            assert!(fired(60, 20, once).iter().all(Vec::is_empty), "{key}");
        }
    }

    /// Steps without an update say nothing of updates: they fire no guard and stop none from firing.
    #[test]
    fn steps_without_an_update_are_passed_over() {
        let none = |record: &mut Record| {
            for key in ["loss", "grad_norm", "weight_norm", "logprob_gap", "ratio", "old_kl"] {
                record.remove(key);
            }
        };
        assert!(fired(60, 0, |_, record| none(record)).iter().all(Vec::is_empty));
        check("drift", 12, |step, record| {
            record.insert("old_kl".into(), json!(0.5));
            if step % 3 == 0 {
                none(record);
            }
        });
    }

    #[test]
    fn a_guard_can_be_off_and_a_replay_may_drift() {
        let mut record = healthy(0);
        record.insert("logprob_gap".into(), json!(2.0));
        let records = [record];
        let names = |config: &GuardsConfig, watched| findings(&records, config, watched).len();
        let config = GuardsConfig::default();
        assert_eq!(names(&config, WATCHED), 1);
        assert_eq!(names(&config, Watched { on_policy: false, ..WATCHED }), 0);
        assert_eq!(names(&GuardsConfig { drift: Action::Off, ..config }, WATCHED), 0);
    }

    #[test]
    fn a_remedy_names_keys_of_the_loss_that_runs() {
        let record = |entropy: f64| {
            let mut record = healthy(0);
            record.insert("entropy".into(), json!(entropy));
            record
        };
        let records: Vec<Record> = (0..20).map(|step| record(if step < 10 { 1.0 } else { 0.01 })).collect();
        let found = findings(&records, &GuardsConfig::default(), Watched { loss: "gspo", ..WATCHED });
        let remedy = "lower optimizer.lr, raise loss.gspo.eps_high, or add loss.gspo.entropy";
        assert_eq!(found.iter().map(|finding| finding.remedy.as_str()).collect::<Vec<_>>(), [remedy]);
    }
}
