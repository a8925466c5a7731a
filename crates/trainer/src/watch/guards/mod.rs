//! Guards over each step's metrics that report in words when training goes wrong. Each is a function of the
//! metrics so far and of nothing else, so a resumed run is guarded like an uninterrupted one.

mod drift;
mod dropped;
mod entropy;
mod non_finite;
mod reward;
mod rounding;
mod series;
mod tools;
mod truncation;

use turnwise_run::StepMetrics;

pub use crate::config::{Action, GuardsConfig, LimitsConfig};
pub use rounding::Rounding;

/// Holds the message of a guard that fires.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The guard: its key in `[guards]`.
    pub guard: &'static str,
    /// The guard's action.
    pub action: Action,
    /// The metrics that made it fire.
    pub cause: String,
    /// Advice that prevents it.
    pub remedy: String,
}

/// Describes a run to its guards.
#[derive(Debug, Clone, Copy)]
pub struct Watched {
    /// Whether the trained policy has played the rollouts: it hasn't in a replay.
    pub on_policy: bool,
    /// The cause of differences between the log-probabilities of sampler and trainer.
    pub rounding: Rounding,
    /// The name of the loss in the run file, for remedies that are keys of it.
    pub loss: &'static str,
}

/// The guard after which the weights aren't worth keeping.
pub(crate) const NON_FINITE: &str = "non_finite";

/// The guards, in the order of their reports.
pub(crate) const NAMES: [&str; 7] =
    [NON_FINITE, "entropy", "tools", "drift", "reward", "truncation", "dropped"];

/// A cause and a remedy. `{loss}` in a remedy stands for the name of the loss that runs.
type Alarm = Option<(String, &'static str)>;

/// Returns the findings about the last of `steps`, which are the steps 0, 1, 2, ….
pub fn findings(steps: &[StepMetrics], config: &GuardsConfig, watched: Watched) -> Vec<Finding> {
    let limits = &config.limits;
    let looks: [(&'static str, Action, &dyn Fn() -> Alarm); 7] = [
        (NON_FINITE, config.non_finite, &|| non_finite::look(steps)),
        ("entropy", config.entropy, &|| entropy::look(steps, limits)),
        ("tools", config.tools, &|| tools::look(steps, limits)),
        ("drift", config.drift, &|| drift::look(steps, limits, watched)),
        ("reward", config.reward, &|| reward::look(steps, limits)),
        ("truncation", config.truncation, &|| truncation::look(steps, limits)),
        ("dropped", config.dropped, &|| dropped::look(steps, limits)),
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
    use turnwise_model::HostPrecision;
    use turnwise_run::{Metric, TurnCalls, TurnMetrics};

    use super::*;

    const WATCHED: Watched = Watched { on_policy: true, rounding: Rounding::F32, loss: "clip" };

    /// Returns turns of eight trajectories with `ok` and `error` calls.
    fn calls(ok: usize, error: usize) -> Vec<TurnMetrics> {
        let calls = TurnCalls { turns: 8, ok, error, ..TurnCalls::default() };
        vec![TurnMetrics { calls, ..TurnMetrics::default() }]
    }

    /// Returns a step of a healthy run.
    fn healthy(step: usize) -> StepMetrics {
        let wave = (step as f64 * 0.7).sin();
        StepMetrics {
            step,
            loss: (0.1 * wave).into(),
            grad_norm: (1.0 + 0.5 * wave).into(),
            weight_norm: 20.0.into(),
            entropy: (0.6 + 0.2 * wave).into(),
            accuracy: (0.5 + 0.3 * wave).into(),
            truncated: (0.1 + 0.05 * wave).into(),
            dropped: (0.3 + 0.2 * wave).into(),
            logprob_gap: 1e-5.into(),
            ratio: 1.0.into(),
            old_kl: 0.01.into(),
            by_turn: calls(7, 1),
            ..StepMetrics::default()
        }
    }

    /// Returns the guards that fire at each step of a run whose metrics `change` alters from step `from` on.
    fn fired(steps: usize, from: usize, change: impl Fn(usize, &mut StepMetrics)) -> Vec<Vec<&'static str>> {
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

    /// Picks a metric of a step.
    type Field = fn(&mut StepMetrics) -> &mut Metric;

    fn set(field: Field, value: impl Fn(usize) -> f64) -> impl Fn(usize, &mut StepMetrics) {
        move |step, record| *field(record) = value(step).into()
    }

    /// Checks that `guard` fires within `within` steps after a metric goes wrong at step 20, not before, and
    /// alone.
    #[track_caller]
    fn check(guard: &str, within: usize, change: impl Fn(usize, &mut StepMetrics)) {
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
        let of_updates: [Field; 3] = [|m| &mut m.loss, |m| &mut m.grad_norm, |m| &mut m.weight_norm];
        for field in of_updates {
            check("non_finite", 1, set(field, |_| f64::NAN));
        }
        check("entropy", 9, set(|m| &mut m.entropy, |_| 0.01));
        check("entropy", 30, set(|m| &mut m.entropy, |step| 0.6 * 0.7_f64.powi(step as i32 - 20)));
        check("tools", 9, |_, record| record.by_turn = calls(0, 0));
        check("tools", 9, |_, record| record.by_turn = calls(1, 0));
        check("drift", 1, set(|m| &mut m.logprob_gap, |_| 0.3));
        check("drift", 9, set(|m| &mut m.old_kl, |_| 0.5));
        check("drift", 9, set(|m| &mut m.ratio, |_| 1.6));
        check("reward", 9, set(|m| &mut m.accuracy, |_| 0.0));
        check("reward", 9, set(|m| &mut m.accuracy, |_| 1.0));
        check("truncation", 9, set(|m| &mut m.truncated, |_| 0.8));
        check("dropped", 9, set(|m| &mut m.dropped, |_| 1.0));
    }

    #[test]
    fn prompts_that_leave_no_room_are_told_at_once() {
        let record = StepMetrics {
            turns: 0.0.into(),
            truncated: 1.0.into(),
            tokens: 570.0.into(),
            entropy: turnwise_run::Metric::default(),
            ..healthy(0)
        };
        let found = findings(&[record], &GuardsConfig::default(), WATCHED);
        assert_eq!(found[0].guard, "truncation");
        assert_eq!(found[0].cause, "prompts of 570 tokens leave no room for a turn");
    }

    #[test]
    fn one_bad_step_is_not_a_collapse() {
        let bad: [(&str, Field, f64); 5] = [
            ("entropy", |m| &mut m.entropy, 0.0),
            ("accuracy", |m| &mut m.accuracy, 0.0),
            ("truncated", |m| &mut m.truncated, 1.0),
            ("dropped", |m| &mut m.dropped, 1.0),
            ("old_kl", |m| &mut m.old_kl, 0.2),
        ];
        for (name, field, value) in bad {
            let once = move |step: usize, record: &mut StepMetrics| {
                if step == 20 {
                    *field(record) = value.into();
                }
            };
            assert!(fired(60, 20, once).iter().all(Vec::is_empty), "{name}");
        }
    }

    /// Steps without an update lack the metrics of updates: they fire no guard and stop none from firing.
    #[test]
    fn steps_without_an_update_are_passed_over() {
        let none = |m: &mut StepMetrics| {
            let of_updates = [&mut m.loss, &mut m.grad_norm, &mut m.weight_norm];
            let of_losses = [&mut m.logprob_gap, &mut m.ratio, &mut m.old_kl];
            of_updates.into_iter().chain(of_losses).for_each(|metric| *metric = Metric::default());
        };
        assert!(fired(60, 0, |_, record| none(record)).iter().all(Vec::is_empty));
        check("drift", 12, |step, record| {
            record.old_kl = 0.5.into();
            if step % 3 == 0 {
                none(record);
            }
        });
    }

    /// The record holds `null` for infinity: a resumed run must see the same as an uninterrupted one.
    #[test]
    fn infinity_fires_the_guards_that_null_fires() {
        for field in [(|m| &mut m.logprob_gap) as Field, |m| &mut m.old_kl, |m| &mut m.loss] {
            let names = |value: f64| {
                let mut steps: Vec<StepMetrics> = (0..9).map(healthy).collect();
                for step in &mut steps {
                    *field(step) = value.into();
                }
                let found = findings(&steps, &GuardsConfig::default(), WATCHED);
                found.into_iter().map(|finding| finding.guard).collect::<Vec<_>>()
            };
            assert_eq!(names(f64::INFINITY), names(f64::NAN));
        }
    }

    #[test]
    fn a_guard_can_be_off_and_a_replay_may_drift() {
        let record = StepMetrics { logprob_gap: 2.0.into(), ..healthy(0) };
        let records = [record];
        let names = |config: &GuardsConfig, watched| findings(&records, config, watched).len();
        let config = GuardsConfig::default();
        assert_eq!(names(&config, WATCHED), 1);
        assert_eq!(names(&config, Watched { on_policy: false, ..WATCHED }), 0);
        assert_eq!(names(&GuardsConfig { drift: Action::Off, ..config }, WATCHED), 0);
    }

    #[test]
    fn log_probabilities_may_differ_by_the_rounding_of_the_sampler() {
        let config = GuardsConfig::default();
        let fires = |gap: f64, rounding| {
            let record = StepMetrics { logprob_gap: gap.into(), ..healthy(0) };
            !findings(&[record], &config, Watched { rounding, ..WATCHED }).is_empty()
        };
        for (rounding, limit) in [
            (Rounding::F32, 0.01),
            (Rounding::Activations, 0.2),
            (Rounding::Weights(HostPrecision::Bf16), 0.2),
            (Rounding::Weights(HostPrecision::Int8), 1.0),
        ] {
            let found = [0.99, 1.01].map(|share| fires(share * limit, rounding));
            assert_eq!(found, [false, true], "{rounding:?} from {limit} nats on");
        }
    }

    #[test]
    fn a_remedy_names_keys_of_the_loss_that_runs() {
        let record = |entropy: f64| StepMetrics { entropy: entropy.into(), ..healthy(0) };
        let records: Vec<StepMetrics> =
            (0..20).map(|step| record(if step < 10 { 1.0 } else { 0.01 })).collect();
        let found = findings(&records, &GuardsConfig::default(), Watched { loss: "gspo", ..WATCHED });
        let remedy = "lower optimizer.lr, raise loss.gspo.eps_high, or add loss.gspo.entropy";
        assert_eq!(found.iter().map(|finding| finding.remedy.as_str()).collect::<Vec<_>>(), [remedy]);
    }
}
