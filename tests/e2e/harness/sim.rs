//! The provider: the project's simulator, in this process so that its ledger is read directly, with credentials of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use snap_sim::{
    Behaviour, Credentials, Fault, LaneFault, Mount, Personality, RepeatPolicy, Rule, Running, SimConfig, Simulator,
};

use super::random;

/// A provider with both personalities that pays a repeated reference *again*, so that an unsafe resend shows.
pub(crate) struct Sim {
    running: Running,
    credentials: Credentials,
}

impl Sim {
    /// Listens on loopback.
    pub(crate) async fn start() -> Self {
        let credentials = Credentials {
            client_secret: format!("seeded-client-secret-{:016x}", random()),
            ..Credentials::throwaway()
        };
        let mount = |personality| Mount { credentials: credentials.clone(), ..Mount::new(personality) };
        let config = SimConfig {
            mounts: vec![mount(Personality::Finpay), mount(Personality::Midtrans)],
            behaviour: Behaviour {
                repeat_policy: RepeatPolicy::PayAgain,
                magic_numbers: false,
                ..Behaviour::default()
            },
            request_log: 200_000,
            ..SimConfig::default()
        };
        let running =
            Simulator::start(config, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.expect("the simulator starts");
        Self { running, credentials }
    }

    /// The running simulator: its ledger and its settings.
    pub(crate) fn running(&self) -> &Running {
        &self.running
    }

    /// What the worker needs to be known there.
    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Changes its behaviour from the next request on.
    pub(crate) fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        self.running.configure(change).expect("the simulator can play it");
    }

    /// Every answer takes this long.
    pub(crate) fn slow_down(&self, latency: Duration) {
        self.behave(|behaviour| behaviour.latency = latency);
    }

    /// A fault of the whole account at one provider, or none any more.
    pub(crate) fn lane_fault(&self, provider: &str, fault: Option<LaneFault>) {
        self.behave(|behaviour| match fault {
            Some(fault) => drop(behaviour.lane_faults.insert(provider.to_owned(), fault)),
            None => drop(behaviour.lane_faults.remove(provider)),
        });
    }

    /// The first `times` requests of this service for references that begin so meet the fault.
    pub(crate) fn fault(&self, prefix: &str, service: u8, fault: Fault, commit: Option<bool>, times: Option<u64>) {
        let rule = Rule {
            reference_prefix: Some(prefix.to_owned()),
            service: Some(service),
            commit,
            times,
            ..Rule::new(fault)
        };
        self.running.add_rule(rule);
    }
}
