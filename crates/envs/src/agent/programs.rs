//! Runs the programs of an agent: one per trajectory, with its task and its endpoint, and the check after
//! it.

use std::collections::HashMap;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::folders;
use super::program::{Ran, What, run};
use super::verdict::Verdict;
use crate::outside::stderr::{Hidden, Log, escaped};
use crate::tasks::Task;

/// Most lines of a program's stdout that the run's log shows, from its end.
const LOGGED: usize = 20;
/// The place in the run file.
pub(super) const ORIGIN: &str = "env.agent";

/// Holds what the programs of all trajectories share.
pub struct Agent {
    /// The JSON of each task, by its id.
    pub(super) rows: HashMap<String, String>,
    pub(super) command: Vec<String>,
    pub(super) check: Option<Vec<String>>,
    /// Time for a program, and for the check after it.
    pub(super) limit: Duration,
    pub(super) at_once: usize,
    pub(super) log: Arc<Log>,
}

/// Names an endpoint for the program of one trajectory.
#[derive(Debug, Clone, Copy)]
pub struct AgentEndpoint<'a> {
    /// Its address, which ends with `/v1`.
    pub url: &'a str,
    /// The key, which names the session.
    pub key: &'a str,
}

impl Agent {
    /// Returns how many programs run at a time.
    pub fn at_once(&self) -> usize {
        self.at_once
    }

    /// Returns whether a command gives the rewards.
    pub fn is_checked(&self) -> bool {
        self.check.is_some()
    }

    /// Keeps the key of a trajectory out of the log and of reasons for lost trajectories, while the guard
    /// lives. A library may print its requests.
    pub fn hide(&self, key: &str) -> Hidden {
        self.log.hide(key)
    }

    /// Runs the program of a trajectory to its end, and ends its process group. `name` is its name in the
    /// log. The program has a folder, which is removed with everything in it.
    pub fn run(&self, task: &Task, name: &str, endpoint: AgentEndpoint<'_>) -> Ran {
        let row = self.rows.get(&task.id).map_or("{}", String::as_str);
        let folder = match folders::make() {
            Ok(folder) => folder,
            Err(error) => {
                let failure = Some(format!("a folder for the program can't be made: {error}"));
                return Ran { stdout: String::new(), failure, exited: false };
            }
        };
        let example = "[\"python3\", \"agent.py\"]";
        let command = ("command", self.command.as_slice());
        let what = What { command, example, noun: "program", name, limit: self.limit };
        let ran = run(what, Vec::new(), &self.log, |command| {
            variables(command, endpoint);
            command.env("TURNWISE_TASK", row).env("TURNWISE_FOLDER", folder.path());
            command.env("TMPDIR", folder.path());
        });
        let lines: Vec<&str> = ran.stdout.lines().collect();
        for line in &lines[lines.len().saturating_sub(LOGGED)..] {
            let shown: String = self.log.without_secrets((*line).into()).chars().take(1000).collect();
            self.log.add(format!("{name}: stdout: {}", escaped(&shown)));
        }
        ran
    }

    /// Returns the rewards of a trajectory: those of the check, or of the program's last line. None if that
    /// line gives none.
    ///
    /// - `session`: the calls of the trajectory, for the check
    ///
    /// # Errors
    /// If the check fails, or a line with rewards is wrong.
    pub fn judge(
        &self,
        task: &Task,
        name: &str,
        ran: &Ran,
        session: &dyn Fn() -> Value,
    ) -> Result<Option<Verdict>, String> {
        let Some(check) = &self.check else {
            return Verdict::of(&ran.stdout).map_err(|reason| self.log.without_secrets(reason));
        };
        // The row's own text, in which numbers keep their digits.
        let row = self.rows.get(&task.id).map_or("null", String::as_str);
        let (stdout, session) = (Value::from(ran.stdout.as_str()), session());
        let input = format!("{{\"task\":{row},\"stdout\":{stdout},\"session\":{session}}}\n");
        let name = format!("{name}, check");
        let example = "[\"python3\", \"check.py\"]";
        let command = ("check", check.as_slice());
        let what = What { command, example, noun: "check", name: &name, limit: self.limit };
        let checked = run(what, input.into(), &self.log, |_| {});
        let wrong = |reason: String| self.log.without_secrets(format!("the check: {reason}"));
        match checked.failure {
            Some(failure) => Err(failure),
            None => match Verdict::of(&checked.stdout).map_err(wrong)? {
                Some(verdict) => Ok(Some(verdict)),
                None => Err("the check's last line gives no rewards".into()),
            },
        }
    }
}

/// The variables that name hosts behind no proxy. Programs read either.
const PROXIES: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Returns the hosts behind no proxy: those of the user's variables, and this machine.
fn near(known: [String; 2]) -> String {
    let mut lists: Vec<String> = known.into_iter().filter(|hosts| !hosts.is_empty()).collect();
    lists.dedup();
    lists.push("127.0.0.1,localhost".into());
    lists.join(",")
}

/// Sets the variables by which clients of both protocols find the endpoint.
fn variables(command: &mut Command, AgentEndpoint { url, key }: AgentEndpoint<'_>) {
    command.env("OPENAI_BASE_URL", url).env("OPENAI_API_KEY", key);
    // Its clients add the version themselves.
    command.env("ANTHROPIC_BASE_URL", url.strip_suffix("/v1").unwrap_or(url)).env("ANTHROPIC_API_KEY", key);
    // Another key of the user's would be sent instead.
    for other in ["ANTHROPIC_AUTH_TOKEN", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"] {
        command.env_remove(other);
    }
    let near = near(PROXIES.map(|variable| std::env::var(variable).unwrap_or_default()));
    for variable in PROXIES {
        command.env(variable, &near);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_either_variable_are_behind_no_proxy() {
        let check = |known: [&str; 2], expect: &str| assert_eq!(near(known.map(String::from)), expect);
        check(["", ""], "127.0.0.1,localhost");
        check(["a,b", ""], "a,b,127.0.0.1,localhost");
        check(["", "c"], "c,127.0.0.1,localhost");
        check(["a", "a"], "a,127.0.0.1,localhost");
        check(["a", "c"], "a,c,127.0.0.1,localhost");
    }
}
