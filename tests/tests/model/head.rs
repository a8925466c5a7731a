//! The vocabulary in chunks: the gradients are those of one graph, and a large vocabulary's logits are never
//! whole.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use turnwise_model::{
    AttentionConfig, BlockConfig, LogitConfig, LogprobQuery, ModelConfig, TokenBatch, TokenLogprobs,
    Transformer, gradients, token_logprobs,
};
use turnwise_tests::{alone, device, max_abs_diff, values};

/// A block of the smallest kind under a vocabulary of any size.
fn model(vocab_size: usize, tied_embeddings: bool, logits: LogitConfig) -> Transformer {
    let attention = AttentionConfig::new(2, 1, 8);
    let config = ModelConfig {
        max_position: 512,
        tied_embeddings,
        logits,
        ..ModelConfig::new(vocab_size, 16, vec![BlockConfig::new(attention, 32)])
    };
    Transformer::random(&config, 3, &device().autodiff())
}

fn batch(rows: usize, columns: usize, vocabulary: usize) -> TokenBatch {
    let token = |at: usize| (at * 7919 % vocabulary) as u32;
    let rows: Vec<Vec<u32>> =
        (0..rows).map(|row| (0..columns).map(|column| token(row * columns + column)).collect()).collect();
    TokenBatch::new(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// A loss whose slopes differ from token to token.
fn loss(answer: TokenLogprobs) -> (Tensor<1>, f32) {
    let entropies = answer.entropies.expect("asked for");
    let value = (answer.logprobs.square() + entropies.mul_scalar(0.3)).sum();
    (value.clone(), value.inner().into_scalar())
}

#[test]
fn chunks_of_the_vocabulary_give_the_gradients_of_one_graph() {
    struct Compare<'a>(&'a GradientsParams, &'a GradientsParams, &'a str);
    impl ModuleVisitor for Compare<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let of =
                |all: &GradientsParams| values(all.get::<D>(param.id).expect("every parameter is trained"));
            let (ours, theirs) = (of(self.0), of(self.1));
            let scale = theirs.iter().fold(1e-6_f32, |most, slope| most.max(slope.abs()));
            let off = max_abs_diff(&ours, &theirs) / scale;
            assert!(off <= 1e-4, "{}: {off} of the largest entry", self.2);
        }
    }
    let bounded = LogitConfig { divisor: 0.05, softcap: Some(0.6) };
    for (name, tied, logits) in [
        ("tied", true, LogitConfig::default()),
        ("untied", false, LogitConfig::default()),
        ("bounded", true, bounded),
    ] {
        // 299 wanted rows of 70,000 logits are two chunks.
        let (model, batch) = (model(70_000, tied, logits), batch(2, 200, 70_000));
        let wanted: Vec<bool> = (0..400).map(|cell| cell % 4 != 2).collect();
        let question = LogprobQuery { batch: &batch, wanted: &wanted, temperature: 0.7, with_entropy: true };
        let (value, whole) = loss(token_logprobs(&model, &batch, &wanted, 0.7, true));
        let one_graph = GradientsParams::from_grads(value.backward(), &model);
        for kept in [usize::MAX, 1, 0] {
            let (in_chunks, value) = gradients(&model, &question, kept, loss);
            assert!((value - whole).abs() <= 1e-5 * whole, "{name}: loss {value} and {whole}");
            assert_eq!(in_chunks.len(), one_graph.len());
            model.visit(&mut Compare(&in_chunks, &one_graph, name));
        }
    }
}

/// The most memory that this process has held, in bytes.
#[cfg(target_os = "linux")]
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the peak");
    line.trim().strip_suffix(" kB").expect("in kB").trim().parse::<u64>().expect("a number") * 1024
}

/// Qwen's vocabulary and 2,048 tokens: one `[N, V]` would be 1.16 GiB.
#[cfg(target_os = "linux")]
#[test]
fn logits_of_a_large_vocabulary_are_never_whole() {
    alone("head::logits_of_a_large_vocabulary_are_never_whole", large_vocabulary_in_chunks);
}

#[cfg(target_os = "linux")]
fn large_vocabulary_in_chunks() {
    let model = model(151_936, true, LogitConfig::default());
    let batch = batch(8, 257, 151_936);
    let wanted = vec![true; 8 * 257];
    let question = LogprobQuery { batch: &batch, wanted: &wanted, temperature: 1.0, with_entropy: true };
    let whole = 8 * 256 * 151_936 * 4;
    for kept in [usize::MAX, 1, 0] {
        let before = peak();
        let (gradients, value) = gradients(&model, &question, kept, loss);
        assert!(value.is_finite() && !gradients.is_empty());
        assert!(peak() - before < whole, "{} MiB more", (peak() - before) >> 20);
    }
}
