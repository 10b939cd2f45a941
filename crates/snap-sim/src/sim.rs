//! The front door: start, ask, change, stop.

use std::net::SocketAddr;

use crate::config::{Behaviour, SimConfig};
use crate::report::{ReferenceReport, RequestRecord, Verdict};
use crate::script::Rule;

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
    pub async fn start(_config: SimConfig, listen: SocketAddr) -> Result<Running, SimError> {
        Ok(Running { addr: listen })
    }
}

/// A simulator at work.
#[derive(Debug)]
pub struct Running {
    addr: SocketAddr,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://…` of a mount, to be used as `base_url`.
    #[must_use]
    pub fn base_url(&self, profile: &str) -> String {
        format!("http://{}/{profile}", self.addr)
    }

    /// The ledger in a few numbers.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        unimplemented!()
    }

    /// Standing credits of a reference, over all mounts.
    #[must_use]
    pub fn credits_of(&self, _reference: &str) -> u64 {
        unimplemented!()
    }

    /// What is known of a reference, one item for each mount that knows it.
    #[must_use]
    pub fn reference(&self, _reference: &str) -> Vec<ReferenceReport> {
        unimplemented!()
    }

    /// Every reference that a top-up was asked for, in no order.
    #[must_use]
    pub fn references(&self) -> Vec<ReferenceReport> {
        unimplemented!()
    }

    /// The remembered requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        unimplemented!()
    }

    /// Adds a rule at the end of the script and returns its number.
    pub fn add_rule(&self, _rule: Rule) -> u64 {
        unimplemented!()
    }

    /// Takes every rule away.
    pub fn clear_rules(&self) {
        unimplemented!()
    }

    /// The behaviour in force.
    #[must_use]
    pub fn behaviour(&self) -> Behaviour {
        unimplemented!()
    }

    /// Changes the behaviour from the next request on.
    pub fn configure(&self, _change: impl FnOnce(&mut Behaviour)) {
        unimplemented!()
    }

    /// Makes every token unknown.
    pub fn revoke_tokens(&self) {
        unimplemented!()
    }

    /// Forgets ledger, request log, external ids and rules.
    pub fn reset(&self) {
        unimplemented!()
    }

    /// Closes the port and every connection: clients meet "connection refused".
    pub async fn pause_listening(&self) {}

    /// Opens the same port again.
    ///
    /// # Errors
    /// [`SimError::Listen`] where somebody else took the port.
    pub async fn resume_listening(&self) -> Result<(), SimError> {
        Ok(())
    }

    /// Stops; late commits that are still to come do not take effect.
    pub async fn shutdown(self) {}
}
