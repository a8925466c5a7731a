//! An environment whose tools are joined by those of servers.

use turnwise_envs::{Demonstration, Env, EnvError, Opened, Start, Task, TaskSplit, Tasks};
use turnwise_tools::{Fault, Tool};
use turnwise_trajectory::Trajectory;

use crate::server::{McpError, Server};

/// Calls of the run's servers that may wait at a time.
const WAITING_PER_SERVER: usize = 16;

/// The environment around another one.
pub struct WithTools {
    inner: Box<dyn Env>,
    servers: Vec<Server>,
    /// Those of the inner one, with the tools of the servers.
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
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    fn session<'a>(&'a self, start: Start<'a>) -> Result<Opened<'a>, Fault> {
        let mut opened = self.inner.session(start)?;
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

    fn check(&self) -> Result<(), EnvError> {
        self.inner.check()
    }

    fn take_log(&self) -> Vec<String> {
        let mut lines = self.inner.take_log();
        lines.extend(self.servers.iter().flat_map(Server::take_log));
        lines
    }

    fn count(&self, split: TaskSplit) -> usize {
        self.inner.count(split)
    }

    fn task(&self, split: TaskSplit, index: usize) -> Result<Task, EnvError> {
        self.inner.task(split, index)
    }

    fn answer(&self, text: &str) -> Option<String> {
        self.inner.answer(text)
    }

    fn final_answer(&self, played: &Trajectory) -> Option<String> {
        self.inner.final_answer(played)
    }

    fn is_correct(&self, task: &Task, answer: &str) -> Result<bool, EnvError> {
        self.inner.is_correct(task, answer)
    }

    fn vote(&self, task: &Task, answer: &str) -> Option<String> {
        self.inner.vote(task, answer)
    }

    fn demonstration(&self, index: u64) -> Option<Demonstration> {
        self.inner.demonstration(index)
    }
}
