//! Templates that fuzzing found interesting, again and without a fuzzer.

mod claims;
#[path = "../../../fuzz/corpus.rs"]
mod corpus;

#[test]
fn the_corpus_of_the_fuzz_target_holds() {
    corpus::replay("chat_template", claims::hold);
}
