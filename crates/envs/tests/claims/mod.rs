//! Holds properties of every data set. The fuzz target and the replay of its corpus check the same.

use std::path::Path;

use serde_json::json;
use turnwise_datasets::DataError;
use turnwise_envs::{EnvConfig, EnvError};
use turnwise_tools::executor::ExecutorConfig;

/// Reads the bytes as the data of every environment with a file. It fails if one panics, or its error names
/// no place.
pub(crate) fn hold(bytes: &[u8], folder: &Path) {
    let (one, other) = (folder.join("one.jsonl"), folder.join("other.jsonl"));
    for path in [&one, &other] {
        std::fs::write(path, bytes).expect("a temporary file");
    }
    // Equal files: a training task may not be held out, so no judge of programs is started.
    let files = json!({"train": one, "held_out": other});
    let checked = json!({"train": one, "held_out": other, "check": ["true"]});
    for config in [
        json!({"qa": files}),
        json!({"strategy_qa": {"data": one, "held_out": 1}}),
        json!({"human_eval": files}),
        json!({"command": checked}),
    ] {
        let config: EnvConfig = serde_json::from_value(config).expect("a configuration");
        match config.open(&ExecutorConfig::default()) {
            Ok(env) => {
                for task in env.train().iter().chain(env.held_out()) {
                    assert!(!task.messages.is_empty(), "{}", task.id);
                    env.answer(&task.answer);
                }
            }
            Err(EnvError::Data(DataError::Line { message, line, .. })) => {
                assert!(line > 0 && message.lines().count() <= 2, "{message}");
            }
            Err(_) => {}
        }
    }
}
