//! The loss of supervised fine-tuning is that of `transformers` on the same tokens, and depends on trained
//! tokens only (tests/golden/sft/make.py).

use serde::Deserialize;
use turnwise_model::{TokenBatch, Transformer, load, token_logprobs};
use turnwise_tests::{device, golden, model_folder, values};
use turnwise_trainer::Optimizer;
use turnwise_trainer::config::OptimizerConfig;
use turnwise_trainer::nll::{Example, step};

#[derive(Deserialize)]
struct Golden {
    sequences: Vec<Sequence>,
    loss: f64,
}

#[derive(Deserialize)]
struct Sequence {
    ids: Vec<u32>,
    mask: Vec<u8>,
    loss: f64,
}

fn read() -> Golden {
    let text = std::fs::read_to_string(golden("sft/loss.json")).expect("a golden file");
    serde_json::from_str(&text).expect("JSON")
}

fn example(sequence: &Sequence) -> Example {
    Example {
        tokens: sequence.ids.clone(),
        mask: sequence.mask.iter().map(|trained| *trained == 1).collect(),
    }
}

/// A step of models/tiny with this learning rate, and the loss before it.
fn stepped(examples: &[Example], lr: f64, micro_batch_tokens: usize) -> (Transformer, f64) {
    let model = load(&model_folder("tiny"), &device().autodiff()).expect("the committed model");
    let config = OptimizerConfig { lr, warmup: 0, micro_batch_tokens, ..OptimizerConfig::default() };
    step(model, &mut Optimizer::new(&config), examples, &config)
}

#[test]
fn the_loss_is_that_of_transformers_for_each_sequence_and_for_all_packed_together() {
    let golden = read();
    let close =
        |ours: f64, theirs: f64| assert!((ours - theirs).abs() < 1e-4 * theirs, "{ours} and {theirs}");
    for sequence in &golden.sequences {
        close(stepped(&[example(sequence)], 0.0, 8192).1, sequence.loss);
    }
    let all: Vec<Example> = golden.sequences.iter().map(example).collect();
    // One micro-batch of all, and one for each: packed sequences don't see each other.
    close(stepped(&all, 0.0, 8192).1, golden.loss);
    close(stepped(&all, 0.0, 1).1, golden.loss);
}

#[test]
fn a_label_that_is_not_trained_changes_no_weight() {
    let sequence = read().sequences.remove(0);
    let whole = example(&sequence);
    let last = whole.mask.iter().rposition(|trained| *trained).expect("a trained token");
    let mut longer = whole.clone();
    longer.tokens.truncate(last + 1);
    longer.mask.truncate(last + 1);
    let scores = |examples: &[Example]| {
        let (model, loss) = stepped(examples, 1e-3, 8192);
        let batch = TokenBatch::new(&[&whole.tokens]);
        let wanted = vec![true; whole.tokens.len()];
        let logprobs = token_logprobs(&model, &batch, &wanted, 1.0, false).logprobs;
        (loss, values(logprobs.inner()))
    };
    let expect = scores(&[longer.clone()]);
    longer.tokens.push(7);
    longer.mask.push(false);
    let with_seven = scores(&[longer.clone()]);
    *longer.tokens.last_mut().expect("the token just pushed") = 9;
    assert_eq!(with_seven, scores(&[longer.clone()]), "another label that isn't trained");
    assert!((expect.0 - with_seven.0).abs() < 1e-6);
    let mut untrained = whole.clone();
    untrained.mask.fill(false);
    let beside = scores(&[longer, untrained]);
    let gap = beside.1.iter().zip(&expect.1).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(gap < 1e-3 && (beside.0 - expect.0).abs() < 1e-5, "a sequence without trained tokens: {gap}");
}
