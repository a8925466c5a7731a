//! Reads the settings of an OpenEnv server: `[env.openenv]`.

use serde::{Deserialize, Serialize};
use turnwise_runfile::{Conflict, Seconds, Within};

use super::address::Address;
use crate::settings::no_program;

/// Configures an environment behind an OpenEnv server. Either `url` or `command` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenEnvConfig {
    /// Address of a server that runs: `ws://…` or `http://…`, or `wss://…` in builds with the feature
    /// `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Command of a server, and its arguments. The run starts it, and stops it when it ends. It listens on
    /// 127.0.0.1 at the port that the environment variable `PORT` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Tasks to train on. Each is a seed: 0, 1, and so on.
    #[serde(default = "train", deserialize_with = "Within::<1, 16_777_216>::read")]
    pub train: usize,
    /// Tasks held out. Their seeds follow those to train on.
    #[serde(default = "held_out", deserialize_with = "Within::<0, 16_777_216>::read")]
    pub held_out: usize,
    /// A system message before every conversation. Empty for none.
    #[serde(default)]
    pub instruction: String,
    /// The least sum of rewards at which a trajectory counts as right.
    #[serde(default = "right_from", deserialize_with = "Within::<-1_000_000, 1_000_000>::read")]
    pub right_from: f64,
    /// Trajectories that play at a time. The others wait for one that ends.
    #[serde(default = "at_once", deserialize_with = "Within::<1, 4_096>::read")]
    pub at_once: usize,
    /// Seconds for one answer.
    #[serde(default = "timeout_seconds", deserialize_with = "Seconds::read")]
    pub timeout_seconds: f64,
    /// Seconds for the start. It's the time until a command listens, and until a server has room for a
    /// session while this run has none open.
    #[serde(default = "start_seconds", deserialize_with = "Seconds::read")]
    pub start_seconds: f64,
}

fn train() -> usize {
    1000
}

fn held_out() -> usize {
    100
}

fn right_from() -> f64 {
    1.0
}

fn at_once() -> usize {
    16
}

fn timeout_seconds() -> f64 {
    30.0
}

fn start_seconds() -> f64 {
    60.0
}

impl OpenEnvConfig {
    /// Returns the usual settings of a server that runs at `url`.
    pub fn at(url: impl Into<String>) -> Self {
        Self { url: Some(url.into()), ..Self::usual() }
    }

    /// Returns the usual settings of a server that a command starts.
    pub fn started_by(command: Vec<String>) -> Self {
        Self { command: Some(command), ..Self::usual() }
    }

    fn usual() -> Self {
        Self {
            url: None,
            command: None,
            train: train(),
            held_out: held_out(),
            instruction: String::new(),
            right_from: right_from(),
            at_once: at_once(),
            timeout_seconds: timeout_seconds(),
            start_seconds: start_seconds(),
        }
    }

    /// Returns keys whose values contradict each other. Each value is in its range.
    pub(crate) fn conflict(&self) -> Option<Conflict> {
        let wrong = |key: &str, message: &str| Some(Conflict::new(key, message));
        match (&self.url, &self.command) {
            (None, None) => wrong(
                "url",
                "is missing, and so is `command`; expected the address of a server or its command",
            ),
            (Some(_), Some(_)) => wrong("url", "stands beside `command`; expected one of them"),
            (Some(url), None) => Address::read(url).err().map(|what| Conflict::new("url", what)),
            (None, Some(command)) => no_program("command", command, &["python3", "-m", "my_server"]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_an_address_or_a_command() {
        let read = |text: &str| toml::from_str::<OpenEnvConfig>(text).unwrap();
        assert_eq!(read("url = \"ws://127.0.0.1:8000\""), OpenEnvConfig::at("ws://127.0.0.1:8000"));
        assert_eq!(read("command = [\"a\"]"), OpenEnvConfig::started_by(vec!["a".into()]));
        for (text, expect) in [
            ("url = \"ws://a\"", None),
            ("command = [\"a\"]", None),
            ("", Some("url is missing, and so is `command`")),
            ("url = \"ws://a\"\ncommand = [\"a\"]", Some("url stands beside `command`")),
            ("url = \"ftp://a\"", Some("url is \"ftp://a\", expected an address")),
            ("command = []", Some("command names no program")),
        ] {
            let config = read(text);
            assert_eq!(read(&toml::to_string(&config).unwrap()), config);
            let found = config.conflict().map(|conflict| format!("{} {}", conflict.key, conflict.message));
            assert_eq!(found.is_some(), expect.is_some(), "{text}: {found:?}");
            assert!(found.is_none_or(|found| found.starts_with(expect.unwrap())), "{text}");
        }
    }
}
