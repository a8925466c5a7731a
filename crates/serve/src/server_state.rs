//! The state that the addresses of a server share, and its limits.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use turnwise_listen::AllowedHosts;

use crate::engine::Engine;
use crate::model::Model;
use crate::queue::Queue;
use crate::session::all::Sessions;
use crate::session::run::Rules;

/// Limits what requests may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most sequences that are sampled or wait. A request beyond gets 503.
    pub sequences: usize,
    /// Most bytes of a body.
    pub body: usize,
    /// Most bytes of all bodies that are being read.
    pub bodies: usize,
    /// Time for a body.
    pub body_time: Duration,
    /// Time for an answer.
    pub answer_time: Duration,
    /// Most connections.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sequences: 512,
            body: 4 << 20,
            bodies: 64 << 20,
            body_time: Duration::from_secs(30),
            answer_time: Duration::from_mins(10),
            connections: 512,
        }
    }
}

/// Holds the state of the addresses.
pub(crate) struct ServerState {
    pub(crate) model: Arc<Model>,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) sessions: Sessions,
    pub(crate) seed: u64,
    pub(crate) limits: Limits,
    /// The rules of a run that the server answers for.
    pub(crate) rules: Option<Rules>,
    pub(crate) queue: Arc<Queue>,
    /// Bytes of bodies that may still be read.
    pub(crate) bodies: Arc<Semaphore>,
    /// Number of requests that named no session.
    pub(crate) singles: AtomicU64,
    pub(crate) hosts: AllowedHosts,
    /// Why a session could not be written.
    complaint: Mutex<Option<String>>,
}

impl ServerState {
    /// Returns the state of a server to which nothing has happened.
    pub(crate) fn new(
        model: Arc<Model>,
        engine: Arc<dyn Engine>,
        sessions: Sessions,
        seed: u64,
        (limits, rules): (Limits, Option<Rules>),
        hosts: AllowedHosts,
    ) -> Self {
        Self {
            model,
            engine,
            sessions,
            seed,
            limits,
            rules,
            queue: Arc::default(),
            bodies: Arc::new(Semaphore::new(limits.bodies)),
            singles: AtomicU64::new(0),
            hosts,
            complaint: Mutex::default(),
        }
    }

    /// Returns the first reason why a session could not be written.
    pub(crate) fn complaint(&self) -> Option<String> {
        self.complaint.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps the first reason why a session could not be written.
    pub(crate) fn complain(&self, reason: String) {
        self.complaint.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
    }
}
