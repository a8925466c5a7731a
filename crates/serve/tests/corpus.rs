//! The committed inputs of the fuzz target `endpoint_request`, without a fuzzer.

#[path = "claims/mod.rs"]
mod claims;
#[path = "../../../fuzz/corpus.rs"]
mod corpus;

#[test]
fn whatever_a_client_sends_is_read_or_refused() {
    corpus::replay("endpoint_request", claims::hold);
}
