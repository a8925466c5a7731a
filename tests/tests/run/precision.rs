//! Runs whose sampler on the CPU plays from rounded weights.

use turnwise_model::HostPrecision;
use turnwise_run::Recorded;
use turnwise_tests::device;
use turnwise_trainer::{backend, check_precision};

use super::{SMALL, column, run, run_on};

/// Settings of two steps.
const TWO: [&str; 1] = ["train.steps=2"];

#[test]
fn the_ratio_is_to_the_trainer_s_policy_and_the_gap_is_told() {
    let parent = tempfile::tempdir().unwrap();
    for (precision, limit) in [("bf16", 0.2), ("int8", 1.0)] {
        let set = format!("rollout.precision={precision}");
        let sets = [&SMALL[..], &TWO, &[&set]].concat();
        let folder = parent.path().join(precision);
        run(&folder, &sets);
        for (step, gap) in column(&folder, "logprob_gap").into_iter().enumerate() {
            assert!(gap > 1e-4 && gap < limit, "{precision}, step {step}: {gap} nats");
        }
        // The first update of a step begins where its rollouts were recomputed.
        for name in ["ratio", "old_kl"] {
            let expected = if name == "ratio" { 1.0 } else { 0.0 };
            for found in column(&folder, name) {
                assert!((found - expected).abs() < 1e-4, "{precision}: {name} {found}");
            }
        }
        let read = |folder: &std::path::Path, file: &str| std::fs::read(folder.join(file)).unwrap();
        let metrics = String::from_utf8(read(&folder, "metrics.jsonl")).unwrap();
        assert!(!metrics.contains("drift"), "the guard knows the rounding: {metrics}");
        let replayed = parent.path().join(format!("{precision}-replayed"));
        run_on(&replayed, &sets, &Recorded::open(&folder).unwrap());
        let weights = "checkpoints/step_00002/model.safetensors";
        assert!(read(&replayed, weights) == read(&folder, weights), "{precision}: a replay learns otherwise");
    }
}

#[test]
fn importance_weights_correct_the_rounding() {
    let parent = tempfile::tempdir().unwrap();
    let sets = ["train.steps=1", "rollout.precision=int8", "loss.clip.tis_cap=2.0"];
    run(parent.path().join("a").as_path(), &[&SMALL[..], &sets].concat());
    let weight = column(&parent.path().join("a"), "tis_weight")[0];
    assert!((weight - 1.0).abs() < 0.05 && weight != 1.0, "mean weight {weight}");
}

#[test]
fn only_the_sampler_of_the_cpu_rounds_weights() {
    let flex = backend::device(Some("flex")).unwrap();
    for precision in [HostPrecision::F32, HostPrecision::Bf16, HostPrecision::Int8] {
        assert_eq!(check_precision(precision, &flex), Ok(()));
        let here = device();
        let refused = check_precision(precision, &here).err();
        let fits = precision == HostPrecision::F32 || here == flex;
        assert_eq!(refused.is_none(), fits, "{here:?}: {refused:?}");
        let named = format!("rollout.precision = \"{}\"", precision.name());
        assert!(refused.is_none_or(|error| error.starts_with(&named) && error.contains("hint:")));
    }
}
