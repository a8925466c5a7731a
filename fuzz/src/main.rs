//! Holds every fuzz target in one program; `TURNWISE_FUZZ` names the one that runs. The targets check the
//! same properties as the tests of the crates, which replay the corpora without a fuzzer.
#![no_main]
// It uses a part of the modules that it includes.
#![allow(dead_code, unused_imports)]

mod calls;
// Files of turnwise-model without tensors: Burn would take minutes to compile.
#[path = "../../crates/model/src/block/mod.rs"]
mod block;
#[path = "../../crates/model/src/config.rs"]
mod config;
#[path = "../../crates/datasets/tests/claims/mod.rs"]
mod data_file;
#[path = "../../crates/envs/tests/claims/mod.rs"]
mod data_set;
#[path = "../../crates/serve/tests/claims/mod.rs"]
mod endpoint_request;
#[path = "../../crates/model/src/family/mod.rs"]
mod family;
#[path = "../../crates/gguf/tests/claims/mod.rs"]
mod gguf;
#[path = "../../crates/model/src/io/header_claims.rs"]
mod header_claims;
#[path = "../../crates/model/src/logit_config.rs"]
mod logit_config;
#[path = "../../crates/mcp/tests/claims/mod.rs"]
mod mcp_message;
#[path = "../../crates/model/src/family/claims.rs"]
mod model_config;
#[path = "../../crates/model/src/rope_config.rs"]
mod rope_config;
#[path = "../../crates/inspect/tests/claims/mod.rs"]
mod run_records;
#[path = "../../crates/model/src/io/safetensors_header.rs"]
mod safetensors_header;
#[path = "../../crates/rollout/tests/claims/server.rs"]
mod server;
#[path = "../../crates/jinja/tests/claims/mod.rs"]
mod template;
#[path = "../../crates/rollout/tests/claims/tokenizer.rs"]
mod tokenizer_file;
#[path = "../../crates/traces/tests/claims/mod.rs"]
mod traces;

use std::path::PathBuf;
use std::sync::LazyLock;

type Target = fn(&[u8]);

/// Every target: the name of its corpus, and the function that takes its bytes.
const TARGETS: [(&str, Target); 31] = [
    ("hermes", |bytes| calls::format("hermes", bytes)),
    ("qwen_xml", |bytes| calls::format("qwen_xml", bytes)),
    ("llama3_json", |bytes| calls::format("llama3_json", bytes)),
    ("pythonic", |bytes| calls::format("pythonic", bytes)),
    ("mistral", |bytes| calls::format("mistral", bytes)),
    ("deepseek", |bytes| calls::format("deepseek", bytes)),
    ("fenced_python", |bytes| calls::format("fenced_python", bytes)),
    ("gemma3", |bytes| calls::format("gemma3", bytes)),
    ("functiongemma", |bytes| calls::format("functiongemma", bytes)),
    ("lfm2", |bytes| calls::format("lfm2", bytes)),
    ("granite", |bytes| calls::format("granite", bytes)),
    ("olmo3", |bytes| calls::format("olmo3", bytes)),
    ("phi4_mini", |bytes| calls::format("phi4_mini", bytes)),
    ("glm4", |bytes| calls::format("glm4", bytes)),
    ("glm4_5", |bytes| calls::format("glm4_5", bytes)),
    ("harmony", |bytes| calls::format("harmony", bytes)),
    ("kimi_k2", |bytes| calls::format("kimi_k2", bytes)),
    ("lexer", calls::lexer),
    ("tool_file", calls::claims::tool_file),
    ("gguf", |bytes| gguf::hold(bytes, &FOLDER)),
    ("safetensors_header", header_claims::hold),
    ("model_config", model_config::hold),
    ("chat_template", template::hold),
    ("tokenizer_file", |bytes| tokenizer_file::hold(bytes, &FOLDER)),
    ("data_file", |bytes| data_file::hold(bytes, &FOLDER)),
    ("data_set", |bytes| data_set::hold(bytes, &FOLDER)),
    ("run_records", |bytes| run_records::hold(bytes, &FOLDER)),
    ("server_answer", server::hold),
    ("mcp_message", mcp_message::hold),
    ("endpoint_request", endpoint_request::hold),
    ("traces", traces::hold),
];

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("TURNWISE_FUZZ").unwrap_or_default();
    let known = TARGETS.map(|(name, _)| name).join(", ");
    let (_, target) = TARGETS
        .into_iter()
        .find(|(known, _)| *known == name)
        .unwrap_or_else(|| panic!("TURNWISE_FUZZ={name:?} is none of {known}"));
    // The fuzzer's hook would abort at panics that are caught. Uncaught panics abort without it.
    let _ = std::panic::take_hook();
    target
});

/// Folder where a target that reads files writes its input.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("turnwise-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    folder
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (*TARGET)(bytes));
