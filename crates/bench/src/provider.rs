//! The provider: the project's simulator in a process of its own, so that its CPU is counted apart. It verifies every
//! signature and pays a repeated reference again, so that its ledger shows whoever sends twice.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use snap_sim::{Behaviour, Mount, Personality, RepeatPolicy, SimConfig, Simulator};
use testbed::http;
use tokio::time::{Instant, sleep};

use crate::child::Child;
use crate::cli::ProviderArgs;
use crate::contender::Trouble;

/// It listens within this time.
const START_LIMIT: Duration = Duration::from_secs(10);

/// Serves until it is killed.
pub(crate) async fn serve(args: &ProviderArgs) -> anyhow::Result<()> {
    let behaviour = Behaviour { repeat_policy: RepeatPolicy::PayAgain, magic_numbers: false, ..Behaviour::default() };
    let config = SimConfig {
        mounts: ["finpay", "other"]
            .map(|name| Mount { name: name.to_owned(), ..Mount::new(Personality::Finpay) })
            .to_vec(),
        behaviour,
        request_log: 0,
        ..SimConfig::default()
    };
    let _serving = Simulator::start(config, SocketAddr::from((Ipv4Addr::LOCALHOST, args.port)))
        .await
        .context("failed to start the simulator")?;
    std::future::pending().await
}

/// The simulator's process.
#[derive(Debug)]
pub(crate) struct Provider {
    child: Child,
    port: u16,
}

/// The ledger in a few numbers.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ledger {
    /// Credits that stand.
    pub(crate) credits: u64,
    /// Credits beyond the first of a reference.
    pub(crate) double_credits: u64,
}

impl Provider {
    /// Starts it and waits until it listens.
    pub(crate) async fn start(dir: &Path) -> anyhow::Result<Self> {
        let port = testbed::free_port();
        let mut command = Command::new(std::env::current_exe().context("failed to find this program")?);
        command.args(["provider", "--port", &port.to_string()]);
        let mut child = Child::start("the provider", &mut command, &dir.join(format!("provider-{port}.log")))?;
        let started = Instant::now();
        while http::get(port, "/_sim/config").is_none() {
            child.must_run()?;
            ensure!(started.elapsed() < START_LIMIT, "the provider does not listen within {START_LIMIT:?}");
            sleep(Duration::from_millis(5)).await;
        }
        Ok(Self { child, port })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// The base URL of a mount.
    pub(crate) fn base_url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/{name}", self.port)
    }

    /// Forgets what happened; every answer waits for `latency` from now on, and no provider has a fault.
    pub(crate) fn reset(&self, latency: Duration) -> anyhow::Result<()> {
        self.post("/_sim/reset", &Value::Null)?;
        self.post("/_sim/config", &json!({ "latencyMs": latency.as_millis(), "laneFaults": {} }))
    }

    /// Gives the other provider its trouble.
    pub(crate) fn trouble(&self, trouble: Trouble) -> anyhow::Result<()> {
        match trouble {
            Trouble::Alone => Ok(()),
            Trouble::Down => self.post("/_sim/config", &json!({ "laneFaults": { "other": "down" } })),
            Trouble::Silent => {
                self.post("/_sim/script", &json!({ "profile": "other", "service": 37, "fault": "timeout" }))
            }
        }
    }

    /// Who was paid, in a few numbers.
    pub(crate) fn ledger(&self) -> anyhow::Result<Ledger> {
        self.get("/_sim/ledger?limit=0")
    }

    fn get<T: for<'a> Deserialize<'a>>(&self, path: &str) -> anyhow::Result<T> {
        let page = http::get(self.port, path).context("the provider does not answer")?;
        serde_json::from_str(&page.body).with_context(|| format!("the provider's answer to {path} cannot be read"))
    }

    fn post(&self, path: &str, body: &Value) -> anyhow::Result<()> {
        let page = http::post(self.port, path, &body.to_string()).context("the provider does not answer")?;
        ensure!(page.status == 200, "the provider refuses {path}: {}", page.body);
        Ok(())
    }
}
