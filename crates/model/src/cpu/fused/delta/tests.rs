use super::super::testing::{check, numbers};
use super::*;

/// Computes the rule token by token: the recurrent form.
fn recurrent(config: &DeltaNetConfig, lengths: &[usize], inputs: &[Vec<f64>; 5]) -> Vec<f64> {
    let [qkv, b, a, a_log, dt_bias] = inputs;
    let &DeltaNetConfig { key_heads, value_heads, key_dim, value_dim, .. } = config;
    let (keys, width) = (key_heads * key_dim, config.conv_width());
    let mut out = vec![0.0; b.len() * value_dim];
    let mut start = 0;
    for &length in lengths {
        for head in 0..value_heads {
            let key = head / (value_heads / key_heads);
            let mut state = vec![vec![0.0; value_dim]; key_dim];
            for t in start..start + length {
                let part = |first: usize, dim: usize| &qkv[t * width + first..][..dim];
                let unit = |row: &[f64]| -> Vec<f64> {
                    let squares: f64 = row.iter().map(|x| x * x).sum();
                    row.iter().map(|x| x / (squares + 1e-6).sqrt()).collect()
                };
                let q = unit(part(key * key_dim, key_dim));
                let k = unit(part(keys + key * key_dim, key_dim));
                let v = part(2 * keys + head * value_dim, value_dim);
                let at = t * value_heads + head;
                let decay = (-a_log[head].exp() * (1.0 + (a[at] + dt_bias[head]).exp()).ln()).exp();
                let rate = 1.0 / (1.0 + (-b[at]).exp());
                state.iter_mut().flatten().for_each(|state| *state *= decay);
                for (column, v) in v.iter().enumerate() {
                    let recalled: f64 = k.iter().zip(&state).map(|(k, row)| k * row[column]).sum();
                    for (k, row) in k.iter().zip(&mut state) {
                        row[column] += k * rate * (v - recalled);
                    }
                    let sum: f64 = q.iter().zip(&state).map(|(q, row)| q * row[column]).sum();
                    out[at * value_dim + column] = sum / (key_dim as f64).sqrt();
                }
            }
        }
        start += length;
    }
    out
}

fn config(key_heads: usize, value_heads: usize, key_dim: usize, value_dim: usize) -> DeltaNetConfig {
    DeltaNetConfig { key_heads, value_heads, key_dim, value_dim, taps: 4 }
}

fn inputs(config: &DeltaNetConfig, tokens: usize) -> [Vec<f32>; 5] {
    let heads = config.value_heads;
    [
        numbers(tokens * config.conv_width(), 1),
        numbers(tokens * heads, 2).into_iter().map(|b| 3.0 * b).collect(),
        numbers(tokens * heads, 3).into_iter().map(|a| 3.0 * a - 3.0).collect(),
        numbers(heads, 4),
        numbers(heads, 5),
    ]
}

#[test]
fn chunks_are_the_recurrent_form_and_its_slopes() {
    for (config, lengths) in [
        (config(1, 1, 1, 1), &[3][..]),
        (config(1, 2, 5, 3), &[7, 0, 1, 63]),
        (config(2, 2, 8, 12), &[64, 2]),
        (config(1, 3, 6, 16), &[65]),
        (config(2, 4, 4, 20), &[130, 9]),
    ] {
        let op = FusedDelta { config: config.clone(), lengths: lengths.into() };
        let inputs = inputs(&config, lengths.iter().sum());
        check(&op, &inputs, |inputs| recurrent(&config, lengths, inputs));
    }
}

#[test]
fn a_sequence_does_not_depend_on_its_batch_or_on_threads() {
    let config = config(2, 4, 8, 12);
    let of = |lengths: &[usize]| {
        let inputs = inputs(&config, 140);
        let cut = |at: usize, width: usize| {
            let mut all = inputs[at][..100 * width].to_vec();
            all.resize(lengths.iter().sum::<usize>() * width, 0.3);
            all
        };
        let (qkv, b, a) = (cut(0, config.conv_width()), cut(1, 4), cut(2, 4));
        let op = FusedDelta { config: config.clone(), lengths: lengths.into() };
        let mut out = op.forward([&qkv, &b, &a, &inputs[3], &inputs[4]]).0;
        out.truncate(100 * config.value_width());
        out
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    let alone = of(&[100]);
    assert_eq!(alone, of(&[100, 40]));
    assert_eq!(alone, pool.install(|| of(&[100, 40])));
}
