//! Opens the servers of a run file, with their tools and sessions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use turnwise_envs::outside::stderr::Log;
use turnwise_runfile::Seconds;
use turnwise_tools::{Arguments, CallContext, Fault, Tool, ToolSpec};
use turnwise_trajectory::{OutputStatus, ToolOutput};

use crate::config::{Address, McpConfig, Per};
use crate::content::{output, said};
use crate::http::Http;
use crate::link::{Link, Trouble, begin, list, short};
use crate::message::INVALID_PARAMS;
use crate::process::Endings;
use crate::stdio::Stdio;

/// Says why a server fails, or can't be used as the run file says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tools.{name}: {message}")]
pub struct McpError {
    /// The server's name in the run file.
    pub name: String,
    /// The fault in one line; a second line is a hint.
    pub message: String,
    /// Whether the server failed. Otherwise the run file is to be changed.
    pub failed: bool,
}

/// Offers the tools of one server.
pub struct Server {
    shared: Arc<Shared>,
    specs: Arc<Vec<ToolSpec>>,
    /// The session of the run, or one that has listed the tools and waits for its trajectory.
    first: Mutex<Option<Arc<Session>>>,
}

/// Holds what all sessions of a server share.
struct Shared {
    /// `tools.NAME`.
    place: String,
    config: McpConfig,
    /// Variables of its environment, with their values.
    env: Vec<(String, String)>,
    bearer: Option<String>,
    log: Arc<Log>,
    endings: Arc<Endings>,
}

impl Server {
    /// Starts a server and asks for its tools.
    ///
    /// # Errors
    /// If it doesn't start, speaks another version, or lacks a tool that is asked for.
    pub fn open(name: &str, config: &McpConfig) -> Result<Self, McpError> {
        let error = |failed| move |message| McpError { name: name.into(), message, failed };
        let shared = Self::shared(name, config).map_err(error(false))?;
        let link = shared.start().map_err(error(true))?;
        let specs = list(&*link, shared.timeout()).map_err(error(true))?;
        let specs = chosen(specs, config.only.as_deref()).map_err(error(false))?;
        let session =
            Session { shared: shared.clone(), state: Mutex::new(State { link: Some(link), ended: None }) };
        Ok(Self { shared, specs: Arc::new(specs), first: Mutex::new(Some(Arc::new(session))) })
    }

    /// Returns what the sessions of a server share, if the run file is right.
    fn shared(name: &str, config: &McpConfig) -> Result<Arc<Shared>, String> {
        if let Some(conflict) = config.conflict() {
            return Err(format!("`{}` {}", conflict.key, conflict.message));
        }
        Seconds::check("timeout_seconds", config.timeout_seconds)?;
        Seconds::check("start_seconds", config.start_seconds)?;
        let place = format!("tools.{name}");
        let env = config.env.iter().map(|(name, value)| Ok((name.clone(), resolved(value)?)));
        Ok(Arc::new(Shared {
            env: env.collect::<Result<_, String>>()?,
            bearer: config.bearer.as_ref().map(|name| variable("bearer", name)).transpose()?,
            log: Arc::new(Log::new(&*place)),
            endings: Arc::new(Endings::default()),
            place,
            config: config.clone(),
        }))
    }

    /// Returns the tools on offer.
    pub fn specs(&self) -> &[ToolSpec] {
        &self.specs
    }

    /// Returns the tools of one trajectory. Its server starts with its first call.
    pub fn tools(&self) -> Vec<Box<dyn Tool>> {
        let session = self.session();
        let tool = |index| -> Box<dyn Tool> {
            Box::new(McpTool { specs: self.specs.clone(), index, session: session.clone() })
        };
        (0..self.specs.len()).map(tool).collect()
    }

    fn session(&self) -> Arc<Session> {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match self.shared.config.per {
            Per::Run => first.clone(),
            Per::Trajectory => first.take(),
        };
        let new = || Arc::new(Session { shared: self.shared.clone(), state: Mutex::default() });
        found.unwrap_or_else(new)
    }

    /// Refuses tools of which another one has the name.
    ///
    /// # Errors
    /// Names the tool, and `by`, which offers the other one.
    pub fn refuse(&self, others: &[ToolSpec], by: &str) -> Result<(), McpError> {
        let taken = self.specs().iter().find(|spec| others.iter().any(|other| other.name == spec.name));
        let Some(ToolSpec { name, .. }) = taken else { return Ok(()) };
        let hint = "`only` names the tools on offer";
        let message = format!("the tool {name:?} is offered by {by} as well\n  hint: {hint}");
        Err(McpError { name: self.name().into(), message, failed: false })
    }

    /// Returns how many trajectories may play at a time.
    pub(crate) fn at_once(&self) -> Option<usize> {
        (self.shared.config.per == Per::Trajectory).then_some(self.shared.config.at_once)
    }

    /// Returns the lines that the server has written to stderr since the last call.
    pub(crate) fn take_log(&self) -> Vec<String> {
        self.shared.log.take()
    }

    /// Returns the name in the run file.
    pub(crate) fn name(&self) -> &str {
        self.shared.place.trim_start_matches("tools.")
    }
}

/// Starts the servers of a run file.
///
/// # Errors
/// If one of them can't be used, or two offer a tool of the same name.
pub fn open(servers: &BTreeMap<String, McpConfig>) -> Result<Vec<Server>, McpError> {
    let mut opened: Vec<Server> = Vec::new();
    for (name, config) in servers {
        let server = Server::open(name, config)?;
        for other in &opened {
            server.refuse(other.specs(), &format!("[tools.{}]", other.name()))?;
        }
        opened.push(server);
    }
    Ok(opened)
}

/// Returns the value of a variable: `$NAME` stands for one of this process.
fn resolved(value: &str) -> Result<String, String> {
    value.strip_prefix('$').map_or_else(|| Ok(value.into()), |name| variable("env", name))
}

fn variable(key: &str, name: &str) -> Result<String, String> {
    let missing = |_| format!("`{key}`: the environment has no variable {name}");
    std::env::var(name).map_err(missing)
}

/// Returns the tools on offer, in the server's order.
fn chosen(mut specs: Vec<ToolSpec>, only: Option<&[String]>) -> Result<Vec<ToolSpec>, String> {
    let offered = specs.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>().join(", ");
    let offered = if offered.is_empty() { "none".into() } else { short(&offered) };
    for (at, spec) in specs.iter().enumerate() {
        if specs[..at].iter().any(|other| other.name == spec.name) {
            return Err(format!("the server offers two tools of the name {:?}", short(&spec.name)));
        }
    }
    if let Some(missing) =
        only.unwrap_or_default().iter().find(|name| !specs.iter().any(|s| s.name == **name))
    {
        return Err(format!("`only`: the server has no tool {missing:?}\n  hint: it offers {offered}"));
    }
    if let Some(only) = only {
        specs.retain(|spec| only.contains(&spec.name));
    }
    if specs.is_empty() { Err("the server offers no tools".into()) } else { Ok(specs) }
}

impl Shared {
    fn timeout(&self) -> Duration {
        Duration::from_secs_f64(self.config.timeout_seconds)
    }

    /// Starts a server, or a session of one.
    fn start(&self) -> Result<Arc<dyn Link>, String> {
        let time = Duration::from_secs_f64(self.config.start_seconds);
        let link: Arc<dyn Link> = match &self.config.mcp {
            Address::Command(command) => {
                Arc::new(Stdio::start(command, &self.env, &self.log, &self.endings)?)
            }
            Address::Url(url) => Arc::new(Http::new(url, self.bearer.clone(), &self.endings)?),
        };
        match begin(&*link, time) {
            Ok(()) => Ok(link),
            Err(trouble) => {
                let why = trouble.to_string();
                link.end(&why);
                Err(why)
            }
        }
    }
}

/// One session: the server of a trajectory, or of the run.
struct Session {
    shared: Arc<Shared>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    link: Option<Arc<dyn Link>>,
    /// Why a trajectory's server is gone, and its state with it.
    ended: Option<String>,
}

impl Session {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the connection, which begins with the first call and after a failure in a run's server.
    fn link(&self) -> Result<Arc<dyn Link>, String> {
        let mut state = self.state();
        if let Some(why) = &state.ended {
            return Err(format!("the trajectory's server is gone: {why}"));
        }
        if let Some(link) = &state.link {
            return Ok(link.clone());
        }
        let link = self.shared.start()?;
        state.link = Some(link.clone());
        Ok(link)
    }

    /// Ends a connection. A run's server is replaced by the next call. Returns the reason.
    fn fail(&self, link: &Arc<dyn Link>, why: String) -> String {
        let mut state = self.state();
        if state.link.as_ref().is_some_and(|held| Arc::ptr_eq(held, link)) {
            state.link = None;
            state.ended = (self.shared.config.per == Per::Trajectory).then(|| why.clone());
        }
        drop(state);
        link.end(&why);
        why
    }

    fn call(&self, tool: &str, arguments: &Arguments) -> Result<ToolOutput, Fault> {
        let (time, bytes) = (self.shared.timeout(), self.shared.config.output_bytes);
        let params = json!({"name": tool, "arguments": arguments});
        let fault = |why: String| Fault::new(self.shared.place.clone(), why);
        let ended = |why: String| match self.shared.config.per {
            // Calls of other trajectories have ended with it.
            Per::Run => fault(why).of_a_process(true),
            Per::Trajectory => fault(why),
        };
        let mut link = self.link().map_err(fault)?;
        let mut outcome = link.ask("tools/call", &params, time);
        if matches!(outcome, Err(Trouble::Forgotten)) && self.shared.config.per == Per::Run {
            self.fail(&link, Trouble::Forgotten.to_string());
            link = self.link().map_err(fault)?;
            outcome = link.ask("tools/call", &params, time);
        }
        match outcome {
            Ok(result) => output(&result, bytes).map_err(|why| ended(self.fail(&link, why))),
            // The model's arguments are at fault.
            Err(Trouble::Refused(refusal)) if refusal.code == INVALID_PARAMS => {
                Ok(said(OutputStatus::Error, &refusal.message, bytes))
            }
            Err(trouble @ Trouble::Refused(_)) => Err(fault(trouble.to_string())),
            Err(trouble) => Err(ended(self.fail(&link, trouble.to_string()))),
        }
    }
}

/// A tool of a server, for one trajectory.
struct McpTool {
    specs: Arc<Vec<ToolSpec>>,
    index: usize,
    session: Arc<Session>,
}

impl Tool for McpTool {
    fn spec(&self) -> &ToolSpec {
        &self.specs[self.index]
    }

    fn call(&self, arguments: &Arguments, _: CallContext) -> Result<ToolOutput, Fault> {
        let start = Instant::now();
        let output = self.session.call(&self.spec().name, arguments)?;
        Ok(ToolOutput { wall_ms: start.elapsed().as_secs_f64() * 1e3, ..output })
    }

    fn in_order(&self) -> bool {
        true
    }
}
