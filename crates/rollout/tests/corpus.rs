//! Tokenizer files and answers that fuzzing found interesting, again and without a fuzzer.

#[path = "../../../fuzz/corpus.rs"]
mod corpus;
#[path = "claims/server.rs"]
mod server;
#[path = "claims/tokenizer.rs"]
mod tokenizer;

#[test]
fn the_tokenizer_files_of_the_fuzz_target_hold() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    corpus::replay("tokenizer_file", |bytes| tokenizer::hold(bytes, folder.path()));
}

#[test]
fn the_answers_of_the_fuzz_target_hold() {
    corpus::replay("server_answer", server::hold);
}
