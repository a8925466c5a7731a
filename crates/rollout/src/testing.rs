//! A real tokenizer for the tests of this crate: byte-level BPE made from a few sentences.

use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer};

use crate::chat::ChatMl;

const CORPUS: [&str; 3] = [
    "system\nassistant\nuser\n```python\nprint(47+85)\n```\nAnswer: 132",
    "The tokens cut from the middle of an output are named in the text.",
    "ZeroDivisionError: division by zero",
];

/// Returns a tokenizer with these special tokens.
pub(crate) fn tokenizer(special: &[&str]) -> Tokenizer {
    let mut tokenizer = Tokenizer::new(BPE::default());
    let bytes = ByteLevel::default().add_prefix_space(false);
    tokenizer.with_pre_tokenizer(Some(bytes)).with_decoder(Some(bytes));
    let trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(320)
        .special_tokens(special.iter().map(|text| AddedToken::from(*text, true)).collect())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    tokenizer
        .train(&mut TrainerWrapper::BpeTrainer(trainer), CORPUS.iter())
        .expect("the corpus makes a tokenizer");
    tokenizer
}

/// Returns ChatML over that tokenizer.
pub(crate) fn chat() -> ChatMl {
    ChatMl::new(tokenizer(&["<|endoftext|>", "<|im_start|>", "<|im_end|>"])).expect("it has the chat tokens")
}
