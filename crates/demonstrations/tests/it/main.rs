//! Conversations to tokens, with the tokenizer of models/tiny.

mod golden;
mod gsm8k;
mod masks;
mod rows;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use turnwise_demonstrations::{Conversation, DataConfig, Demonstrations, Sequence, TrainOn, Writer, read};
use turnwise_rollout::chat::{ChatName, Moment, Rendering, load_tokenizer, rendering};
use turnwise_tools::format::FormatName;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns a template over the tokenizer of models/tiny.
fn template(source: &str) -> Rendering {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
    write("chat_template.jinja", source);
    let settings = json!({"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>"});
    write("tokenizer_config.json", &settings.to_string());
    let tokenizer = load_tokenizer(&root().join("models/tiny/tokenizer.json")).expect("the committed model");
    rendering(ChatName::Template, Some(folder.path()), tokenizer, Moment::from_unix(0)).expect("a template")
}

/// Returns a template of the golden files.
fn named(name: &str) -> Rendering {
    let folders = ["tests/golden/sft/templates", "tests/golden/chat/templates"];
    let paths = folders.map(|folder| root().join(folder).join(format!("{name}.jinja")));
    let path = paths.iter().find(|path| path.is_file()).expect("a template of the golden files");
    template(&std::fs::read_to_string(path).expect("a template"))
}

fn write(rendering: &Rendering, row: &Value, train_on: TrainOn) -> Vec<Sequence> {
    let format = FormatName::Hermes.build();
    let conversation = Conversation::read(row).unwrap_or_else(|why| panic!("{}", why.message));
    let writer = Writer::new(rendering, &*format, true);
    writer.write(1, &conversation, train_on).unwrap_or_else(|why| panic!("{}", why.message)).sequences
}

/// Returns the trained runs of a sequence as texts.
fn trained(rendering: &Rendering, sequence: &Sequence) -> Vec<String> {
    sequence.runs().filter(|(trained, _)| *trained).map(|(_, run)| rendering.decode(run)).collect()
}

/// Reads and writes rows as `turnwise sft` does; the first row is on line 1.
fn demonstrations(rendering: &Rendering, rows: &[Value], config: &DataConfig) -> Demonstrations {
    let format = FormatName::Hermes.build();
    let (conversations, report) = read(&config.file, (1..).zip(rows.iter().cloned().map(Ok)));
    let writer = Writer::new(rendering, &*format, true);
    Demonstrations::write(&conversations, report, writer, config, 512)
}
