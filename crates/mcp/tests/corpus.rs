//! The committed inputs of the fuzz target `mcp_message`, without a fuzzer.

#[path = "claims/mod.rs"]
mod claims;
#[path = "../../../fuzz/corpus.rs"]
mod corpus;

#[test]
fn whatever_a_server_writes_is_read_or_refused() {
    corpus::replay("mcp_message", claims::hold);
}
