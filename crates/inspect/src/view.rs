//! Serves the rollout page: a small HTTP server on 127.0.0.1 and one page, both in the binary. It loads
//! nothing from outside.

mod answers;
mod params;
mod routes;

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use turnwise_listen::{AllowedHosts, Bounds};

use crate::error::InspectError;
use crate::query::Query;
use crate::run::Run;

/// Number of cached lists.
const LISTS: usize = 16;

/// A browser's request head is under 2 KiB.
const BOUNDS: Bounds = Bounds {
    connections: 256,
    head: 16 * 1024,
    head_time: Duration::from_secs(10),
    whole_time: Duration::from_mins(1),
};

/// Serves a page for one run, or for two to compare.
pub struct Viewer {
    listener: TcpListener,
    site: Arc<Site>,
}

/// Holds the state of the routes.
struct Site {
    port: u16,
    hosts: AllowedHosts,
    runs: Vec<Run>,
    /// Caches the last lists: a page asks for parts of one list, and a search reads the whole run.
    lists: Mutex<Lists>,
}

/// Maps run and query to ids.
type Lists = HashMap<(usize, Query), Arc<Vec<u32>>>;

impl Site {
    /// Returns the rollouts that a query finds in a run.
    fn list(&self, run: usize, query: Query) -> Result<Arc<Vec<u32>>, InspectError> {
        let key = (run, query);
        // A list is complete when it is inserted, so a poisoned lock holds no partial one.
        let lists = || self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lists().get(&key).cloned();
        if let Some(ids) = known {
            return Ok(ids);
        }
        let ids = Arc::new(key.1.run(&self.runs[run])?);
        let mut lists = lists();
        if lists.len() >= LISTS {
            lists.clear();
        }
        lists.insert(key, ids.clone());
        Ok(ids)
    }

    /// Drops cached lists after a run was read again.
    fn forget(&self) {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Viewer {
    /// Listens on 127.0.0.1, on a free port if `port` is 0. [`Run::refresh`] has read the runs' rollouts
    /// before.
    pub fn bind(runs: Vec<Run>, port: u16) -> Result<Self, InspectError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .map_err(|source| InspectError::Port { port, source })?;
        let port = listener.local_addr().map_err(|source| InspectError::Port { port, source })?.port();
        Ok(Self {
            listener,
            site: Arc::new(Site {
                port,
                hosts: AllowedHosts::new(port, None),
                runs,
                lists: Mutex::default(),
            }),
        })
    }

    /// Returns the address of the page.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.site.port)
    }

    /// Answers until the process ends.
    ///
    /// # Errors
    /// The system's, if it has no event loop.
    pub fn serve(self) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let router = routes::router(self.site);
        runtime.block_on(turnwise_listen::serve(self.listener, router, BOUNDS, std::future::pending()))
    }
}
