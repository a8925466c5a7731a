//! Configures a server in a run file: `[tools.NAME]`.

use std::collections::BTreeMap;
use std::fmt::Formatter;

use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use turnwise_http::address;
use turnwise_runfile::{Conflict, Seconds, Within};

/// Configures an MCP server whose tools are on offer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McpConfig {
    /// The server: a command with its arguments, which speaks MCP on stdio, or the URL of streamable HTTP.
    pub mcp: Address,
    /// Scope of a server's state: one trajectory, or the whole run.
    #[serde(default)]
    pub per: Per,
    /// Names of the server's tools that are on offer; unset, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Vec<String>>,
    /// Seconds for one answer.
    #[serde(default = "timeout_seconds", deserialize_with = "Seconds::read")]
    pub timeout_seconds: f64,
    /// Seconds for a server's start, until it has told its version.
    #[serde(default = "start_seconds", deserialize_with = "Seconds::read")]
    pub start_seconds: f64,
    /// Maximum number of trajectories that play at a time, with `per = "trajectory"`. The others wait for one
    /// that ends.
    #[serde(default = "at_once", deserialize_with = "Within::<1, 4_096>::read")]
    pub at_once: usize,
    /// Maximum bytes of an output. A longer one loses its middle.
    #[serde(default = "output_bytes", deserialize_with = "Within::<1, 268_435_456>::read")]
    pub output_bytes: usize,
    /// Environment variables of a command. It inherits `PATH`, `HOME`, `USER`, `LOGNAME`, `SHELL`, `LANG`,
    /// `LC_ALL`, `TMPDIR` and `TERM`. A value `$NAME` is that of this process' variable `NAME`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Name of the environment variable that holds the bearer token of a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<String>,
}

/// Chooses the scope of a server's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// Every trajectory that calls a tool has a server, or a session of one, to itself.
    #[default]
    Trajectory,
    /// All trajectories share one, which keeps no state between calls.
    Run,
}

/// Says where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A program and its arguments.
    Command(Vec<String>),
    /// `http://…` or `https://…`.
    Url(String),
}

fn timeout_seconds() -> f64 {
    30.0
}

fn start_seconds() -> f64 {
    60.0
}

fn at_once() -> usize {
    16
}

fn output_bytes() -> usize {
    16_384
}

impl McpConfig {
    /// Returns the settings of a server that has nothing but its address.
    pub fn new(mcp: Address) -> Self {
        Self {
            mcp,
            per: Per::default(),
            only: None,
            timeout_seconds: timeout_seconds(),
            start_seconds: start_seconds(),
            at_once: at_once(),
            output_bytes: output_bytes(),
            env: BTreeMap::new(),
            bearer: None,
        }
    }

    /// Returns the keys whose values don't go together, each of them being in its range.
    pub fn conflict(&self) -> Option<Conflict> {
        let wrong = |key: &str, message: String| Some(Conflict::new(key, message));
        match &self.mcp {
            Address::Command(command) if command.first().is_none_or(String::is_empty) => wrong(
                "mcp",
                "is a command without a program; expected for example [\"npx\", \"-y\", …]".into(),
            ),
            Address::Command(_) if self.bearer.is_some() => {
                wrong("bearer", "is for a URL, and `mcp` is a command; expected `env`".into())
            }
            Address::Url(url) if !url.starts_with("http://") && !url.starts_with("https://") => {
                let expected = "expected a URL (http://…) or a list: the command and its arguments";
                wrong("mcp", format!("is {url:?}, {expected}"))
            }
            Address::Url(url) if address::well_formed(url).is_err() => {
                let why = address::well_formed(url).err().unwrap_or_default();
                wrong("mcp", format!("is {url:?}, and {why}"))
            }
            Address::Url(_) if !self.env.is_empty() => {
                wrong("env", "is for a command, and `mcp` is a URL; expected `bearer`".into())
            }
            _ if self.only.as_ref().is_some_and(Vec::is_empty) => {
                wrong("only", "is [], expected the names of tools".into())
            }
            _ => None,
        }
    }
}

/// Returns the first conflict between the keys of any server.
pub fn conflict(servers: &BTreeMap<String, McpConfig>) -> Option<Conflict> {
    servers.iter().find_map(|(name, config)| config.conflict().map(|conflict| conflict.under(name)))
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Command(command) => command.serialize(serializer),
            Self::Url(url) => serializer.serialize_str(url),
        }
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyAddress)
    }
}

struct AnyAddress;

impl<'de> Visitor<'de> for AnyAddress {
    type Value = Address;

    fn expecting(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("a URL or a list: the command and its arguments")
    }

    fn visit_str<E: Error>(self, url: &str) -> Result<Address, E> {
        Ok(Address::Url(url.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Address, A::Error> {
        let mut command = Vec::new();
        while let Some(item) = items.next_element()? {
            command.push(item);
        }
        Ok(Address::Command(command))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<McpConfig, String> {
        toml::from_str(text).map_err(|error| error.message().to_string())
    }

    #[test]
    fn a_server_is_a_command_or_a_url() {
        let command = read("mcp = [\"npx\", \"-y\"]").unwrap();
        assert_eq!(command, McpConfig::new(Address::Command(vec!["npx".into(), "-y".into()])));
        let url = read("mcp = \"http://127.0.0.1:9/mcp\"\nper = \"run\"").unwrap();
        assert_eq!((url.mcp, url.per), (Address::Url("http://127.0.0.1:9/mcp".into()), Per::Run));
        for (text, expect) in [
            ("mcp = 3", "a URL or a list: the command and its arguments"),
            ("mcp = [3]", "expected a string"),
            ("mcp = \"http://x\"\nper = \"turn\"", "unknown variant `turn`, expected `trajectory` or `run`"),
            ("mcp = \"http://x\"\ntimeout_seconds = 0", "expected a number from 0.001 to 3600000"),
            ("mcp = \"http://x\"\nat_once = 0", "expected a whole number from 1 to 4096"),
            ("mcp = \"http://x\"\ncommand = []", "unknown field `command`"),
            ("per = \"run\"", "missing field `mcp`"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expect), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in
            ["mcp = [\"a\"]\nonly = [\"b\"]\nenv = {C = \"$D\"}", "mcp = \"http://x\"\nbearer = \"KEY\""]
        {
            let config = read(text).unwrap();
            assert_eq!(read(&toml::to_string(&config).unwrap()), Ok(config));
        }
    }

    #[test]
    fn keys_that_do_not_go_together_are_told() {
        for (text, expect) in [
            ("mcp = []", Some("mcp is a command without a program")),
            ("mcp = [\"\"]", Some("mcp is a command without a program")),
            ("mcp = \"npx -y x\"", Some("mcp is \"npx -y x\", expected a URL (http://…) or a list")),
            ("mcp = [\"a\"]\nbearer = \"KEY\"", Some("bearer is for a URL")),
            ("mcp = \"http://x\"\nenv = {A = \"b\"}", Some("env is for a command")),
            ("mcp = \"http://x\"\nonly = []", Some("only is [], expected the names of tools")),
            ("mcp = [\"a\"]\nenv = {A = \"b\"}", None),
            ("mcp = \"http://x\"\nbearer = \"KEY\"", None),
        ] {
            let found = read(text).unwrap().conflict().map(|c| format!("{} {}", c.key, c.message));
            assert!(
                match expect {
                    Some(expect) => found.as_ref().is_some_and(|found| found.starts_with(expect)),
                    None => found.is_none(),
                },
                "{text}: {found:?}"
            );
        }
    }

    #[test]
    fn the_servers_of_the_page_load() {
        #[derive(Deserialize)]
        struct RunFile {
            tools: BTreeMap<String, McpConfig>,
        }
        let page = include_str!("../../../docs/tools-you-have.md");
        let blocks = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
        let files: Vec<RunFile> = blocks.map(|block| toml::from_str(block).expect(block)).collect();
        assert!(files.len() > 1 && files.iter().all(|file| conflict(&file.tools).is_none()));
    }
}
