//! The front door: start, ask, change, stop.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinSet;

use crate::config::{Behaviour, SimConfig};
use crate::credentials::Credentials;
use crate::door;
use crate::provider::Provider;
use crate::report::{ReferenceReport, RequestRecord, Verdict};
use crate::script::{Rule, RuleReport};
use crate::server;

/// Why a simulator does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// The address cannot be listened on.
    #[error("listen on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The configuration cannot be played.
    #[error("simulator configuration: {0}")]
    Config(String),
}

/// Starts simulators.
#[derive(Debug)]
pub struct Simulator;

impl Simulator {
    /// Listens on `listen` (port 0 for any) and serves until the returned value is shut down or dropped.
    ///
    /// # Errors
    /// [`SimError::Listen`], [`SimError::Config`].
    pub async fn start(config: SimConfig, listen: SocketAddr) -> Result<Running, SimError> {
        let provider = Arc::new(Provider::new(config).map_err(SimError::Config)?);
        let (addr, port) = open(&provider, listen).await?;
        Ok(Running { provider, addr, port: Mutex::new(Some(port)) })
    }
}

/// A simulator at work; it stops when this is dropped.
#[derive(Debug)]
pub struct Running {
    provider: Arc<Provider>,
    addr: SocketAddr,
    port: Mutex<Option<Port>>,
}

/// An open port and the task that serves it.
#[derive(Debug)]
struct Port {
    stop: oneshot::Sender<()>,
    /// Holds the one task, which is aborted when this is dropped.
    task: JoinSet<()>,
}

async fn open(provider: &Arc<Provider>, listen: SocketAddr) -> Result<(SocketAddr, Port), SimError> {
    let failed = |source| SimError::Listen { addr: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    let (stop, stopped) = oneshot::channel();
    let mut task = JoinSet::new();
    task.spawn(server::serve(Arc::clone(provider), listener, stopped));
    Ok((addr, Port { stop, task }))
}

impl Port {
    async fn close(mut self) {
        if self.stop.send(()).is_err() {
            tracing::debug!("the simulator's port was closed already");
        }
        while self.task.join_next().await.is_some() {}
    }
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The `base_url` of a mount: with its name as path, or without a path where it is the only one.
    #[must_use]
    pub fn base_url(&self, profile: &str) -> String {
        match &self.provider.mounts[..] {
            [only] if only.name == profile => format!("http://{}", self.addr),
            _ => format!("http://{}/{profile}", self.addr),
        }
    }

    /// What the partner of a mount has to know; nothing where there is no such mount.
    #[must_use]
    pub fn credentials(&self, profile: &str) -> Option<&Credentials> {
        let mount = self.provider.mounts.iter().find(|mount| mount.name == profile)?;
        Some(&mount.credentials)
    }

    /// The ledger in a few numbers.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.provider.verdict()
    }

    /// Standing credits of a reference, over all mounts.
    #[must_use]
    pub fn credits_of(&self, reference: &str) -> u64 {
        self.provider.ledger.credits_of(reference)
    }

    /// What is known of a reference, one item for each mount that knows it.
    #[must_use]
    pub fn reference(&self, reference: &str) -> Vec<ReferenceReport> {
        self.provider.reports_of(reference, self.now_ms())
    }

    /// Every reference that was ever named, in no order.
    #[must_use]
    pub fn references(&self) -> Vec<ReferenceReport> {
        self.provider.reports(self.now_ms(), usize::MAX, false)
    }

    /// The remembered requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.provider.requests()
    }

    fn now_ms(&self) -> i64 {
        door::now_ms(&self.provider.behaviour())
    }

    /// Adds a rule at the end of the script and returns its number.
    pub fn add_rule(&self, rule: Rule) -> u64 {
        self.provider.script.add(rule)
    }

    /// Takes a rule away; whether it was there.
    pub fn remove_rule(&self, id: u64) -> bool {
        self.provider.script.remove(id)
    }

    /// Takes every rule away.
    pub fn clear_rules(&self) {
        self.provider.script.clear();
    }

    /// The rules with their counters.
    #[must_use]
    pub fn rules(&self) -> Vec<RuleReport> {
        self.provider.script.reports()
    }

    /// The behaviour in force.
    #[must_use]
    pub fn behaviour(&self) -> Behaviour {
        Behaviour::clone(&self.provider.behaviour())
    }

    /// Changes the behaviour from the next request on.
    ///
    /// # Errors
    /// [`SimError::Config`] where a lane fault names an unknown mount; nothing is changed then.
    pub fn configure(&self, change: impl FnOnce(&mut Behaviour)) -> Result<(), SimError> {
        let mut behaviour = self.behaviour();
        change(&mut behaviour);
        self.provider.set_behaviour(behaviour).map_err(SimError::Config)
    }

    /// Makes every token unknown.
    pub fn revoke_tokens(&self) {
        self.provider.tokens.revoke_all();
    }

    /// Forgets ledger, request log, external ids, counters and rules; behaviour and tokens stay.
    pub fn reset(&self) {
        self.provider.reset();
    }

    /// Closes the port and cuts every connection: clients meet "connection refused". Late commits on cut connections are lost.
    pub async fn pause_listening(&self) {
        if let Some(port) = self.port.lock().await.take() {
            port.close().await;
        }
    }

    /// Opens the same port again.
    ///
    /// # Errors
    /// [`SimError::Listen`] where somebody else took the port.
    pub async fn resume_listening(&self) -> Result<(), SimError> {
        let mut port = self.port.lock().await;
        if port.is_none() {
            *port = Some(open(&self.provider, self.addr).await?.1);
        }
        Ok(())
    }

    /// Stops; late commits that are still to come do not take effect.
    pub async fn shutdown(self) {
        self.pause_listening().await;
    }
}
