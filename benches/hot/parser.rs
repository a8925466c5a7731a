//! Call parsers: throughput on what a model writes, and on text made to be slow.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;
use turnwise_benches::{Sequence, snippet};
use turnwise_tools::{CallFormat, FormatName};
use turnwise_trajectory::ToolCall;

const SIZES: [usize; 3] = [1 << 10, 100 << 10, 10 << 20];

/// A call as the format writes it.
fn call(format: &dyn CallFormat, random: &mut Sequence) -> String {
    let serde_json::Value::Object(arguments) = json!({ "code": snippet(random) }) else {
        unreachable!("json! of braces is an object")
    };
    format.render(&ToolCall { name: "python".into(), arguments, span: 0..0 })
}

/// Reasoning and calls in turn, about `bytes` long.
fn completion(format: &dyn CallFormat, bytes: usize) -> String {
    let mut random = Sequence(3);
    let mut text = String::with_capacity(bytes + 256);
    while text.len() < bytes {
        text.push_str("First I compute the sum, then I check it against the question.\n");
        text.push_str(&call(format, &mut random));
        text.push('\n');
    }
    text
}

fn parser(c: &mut Criterion) {
    for name in FormatName::ALL {
        let format = name.build();
        let opener: String = call(&*format, &mut Sequence(3)).chars().take(12).collect();
        let mut table = c.benchmark_group(format!("parser {name}"));
        table.sample_size(10);
        for size in SIZES {
            let texts =
                [("calls", completion(&*format, size)), ("openers", opener.repeat(size / opener.len()))];
            for (kind, text) in texts {
                table.throughput(Throughput::Bytes(text.len() as u64));
                table.bench_with_input(BenchmarkId::new(kind, size), &text, |bencher, text| {
                    bencher.iter(|| format.parse(black_box(text)));
                });
            }
        }
    }
}

criterion_group!(benches, parser);
criterion_main!(benches);
