//! Adds the tools of servers to an environment.

use turnwise_envs::{Env, Opened, Start, Tasks};
use turnwise_tools::{Fault, Tool};

use crate::server::{McpError, Server};

/// Calls of the run's servers that may wait at a time.
const WAITING_PER_SERVER: usize = 16;

/// Adds the tools of servers to another environment.
pub struct WithTools {
    inner: Box<dyn Env>,
    servers: Vec<Server>,
    /// Tasks of the inner one, and its tools with those of the servers.
    tasks: Tasks,
}

impl WithTools {
    /// Returns an environment that offers its own tools and those of the servers.
    ///
    /// # Errors
    /// If two tools have one name.
    pub fn new(inner: Box<dyn Env>, servers: Vec<Server>) -> Result<Self, McpError> {
        let mut tasks = inner.tasks().clone();
        for server in &servers {
            server.refuse(inner.tools(), &format!("[env.{}]", inner.name()))?;
            tasks.tools.extend_from_slice(server.specs());
        }
        Ok(Self { inner, servers, tasks })
    }
}

impl Env for WithTools {
    turnwise_envs::forward_env!();

    fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    fn session<'a>(&'a self, start: Start<'a>) -> Result<Opened<'a>, Fault> {
        let mut opened = self.inner.session(Start { tools_beside: true, ..start })?;
        let tools = self.servers.iter().flat_map(Server::tools);
        opened.tools.extend(tools.map(|tool| -> Box<dyn Tool + 'a> { tool }));
        Ok(opened)
    }

    fn waiting_at_once(&self) -> usize {
        let of_servers = self.servers.iter().map(|server| server.at_once().unwrap_or(WAITING_PER_SERVER));
        self.inner.waiting_at_once() + of_servers.sum::<usize>()
    }

    fn sessions_at_once(&self) -> usize {
        let bounds = self.servers.iter().filter_map(Server::at_once);
        bounds.fold(self.inner.sessions_at_once(), usize::min)
    }

    fn alone_at_once(&self) -> usize {
        // A run's server is shared by all.
        if self.servers.iter().any(|server| server.at_once().is_none()) {
            1
        } else {
            self.inner.alone_at_once()
        }
    }

    fn take_log(&self) -> Vec<String> {
        let mut lines = self.inner.take_log();
        lines.extend(self.servers.iter().flat_map(Server::take_log));
        lines
    }
}
