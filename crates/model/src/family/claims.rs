//! Claims about every configuration, for the fuzz target and for the replay of its corpus.

use serde_json::{Map, Value};

use crate::family::FAMILIES;

/// Reads the bytes as the configuration of every family. An accepted one is written and read again.
pub(crate) fn hold(bytes: &[u8]) {
    let Ok(json) = serde_json::from_slice::<Map<String, Value>>(bytes) else { return };
    for family in FAMILIES {
        let Ok(config) = family.read(&json) else { continue };
        assert!(config.context() >= config.max_position && config.check().is_ok());
        assert_eq!(family.read(&family.write(&config, &json)), Ok(config.clone()));
        assert_eq!(family.read(&family.write(&config, &Map::new())), Ok(config));
    }
}
