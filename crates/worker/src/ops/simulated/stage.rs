//! A provider simulator, a store and a configuration, all in one directory.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use snap_sim::{Behaviour, RepeatPolicy, Running, SimConfig, Simulator};

use crate::config::{Config, Environment};

/// The providers, by the simulator's personalities.
pub(in crate::ops) const PROVIDERS: [&str; 2] = ["finpay", "midtrans"];
/// Calls of one provider at a time.
const IN_FLIGHT: usize = 64;

/// A running simulator and the configuration that points at it.
#[derive(Debug)]
pub(in crate::ops) struct Stage {
    pub(in crate::ops) sim: Running,
    pub(in crate::ops) config: Config,
}

/// What the stage is to be like.
#[derive(Clone, Debug)]
pub(in crate::ops) struct Setting<'a> {
    pub(in crate::ops) directory: &'a Path,
    /// How the provider behaves; that it pays a repeated reference again is not up to the caller.
    pub(in crate::ops) behaviour: Behaviour,
    /// Requests it remembers one by one.
    pub(in crate::ops) request_log: usize,
    /// URL and namespace.
    pub(in crate::ops) amqp: Option<(&'a str, &'a str)>,
    /// Deliveries taken but not acknowledged at a time.
    pub(in crate::ops) prefetch: u16,
    /// When doubt becomes a dead letter, as it is written in a configuration.
    pub(in crate::ops) give_up_after: &'static str,
    /// The command, for the first line of the file.
    pub(in crate::ops) command: &'static str,
    /// Overrides of the configuration.
    pub(in crate::ops) overrides: Environment,
}

impl Stage {
    /// A simulator of this setting alone, with a ledger of its own and the same credentials as every other.
    pub(in crate::ops) async fn provider(setting: &Setting<'_>) -> anyhow::Result<Running> {
        let behaviour = Behaviour {
            // A repeated reference is paid again: whatever protects from paying twice is ours, not the provider's.
            repeat_policy: RepeatPolicy::PayAgain,
            ..setting.behaviour.clone()
        };
        let sim = SimConfig { behaviour, request_log: setting.request_log, ..SimConfig::default() };
        let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        Simulator::start(sim, listen).await.context("failed to start the provider simulator")
    }

    pub(in crate::ops) async fn set(setting: Setting<'_>) -> anyhow::Result<Self> {
        let sim = Self::provider(&setting).await?;
        let directory = setting.directory.to_owned();
        let file = directory.join("worker.toml");
        write_private(&file, &toml(&sim, &setting)?)?;
        for name in PROVIDERS {
            let key = sim.credentials(name).and_then(|credentials| credentials.private_key_pem.clone());
            let key = key.context("the simulator's test key is missing")?;
            write_private(&directory.join(format!("{name}.pem")), &key)?;
        }
        let config = Config::load(Some(&file), &setting.overrides)?;
        Ok(Self { sim, config })
    }
}

/// The configuration as a person would write it, with pauses short enough to watch.
fn toml(sim: &Running, setting: &Setting<'_>) -> anyhow::Result<String> {
    let Setting { command, amqp, prefetch, give_up_after, .. } = setting;
    let mut text =
        format!("# Written by `worker {command}`: test credentials, and pauses far too short for a real provider.\n");
    text.push_str("default_provider = \"finpay\"\n\n");
    if let Some((url, namespace)) = amqp {
        writeln!(text, "[amqp]\nurl = {}\nnamespace = {}\nprefetch = {prefetch}\n", quoted(url), quoted(namespace))?;
    }
    text.push_str("[store]\nurl = \"sqlite:worker.db\"\n\n[http]\nlisten = \"127.0.0.1:0\"\n");
    for name in PROVIDERS {
        let credentials = sim.credentials(name).context("the simulator does not serve this provider")?;
        write!(
            text,
            r#"
[providers.{name}]
profile = "{name}"
base_url = {base_url}
client_key = {client_key}
client_secret = {client_secret}
private_key = {{ file = "{name}.pem" }}
partner_id = {partner_id}
channel_id = {channel_id}
origin = {origin}
max_in_flight = {IN_FLIGHT}
connect_timeout = "500ms"
request_timeout = "1s"
probe_initial = "100ms"
probe_max = "1s"

[providers.{name}.retry]
initial = "20ms"
max = "500ms"
attempts = 12

[providers.{name}.status]
first_after = "100ms"
interval_max = "1s"
quiet_period = "1500ms"
give_up_after = "{give_up_after}"
"#,
            base_url = quoted(&sim.base_url(name)),
            client_key = quoted(&credentials.client_key),
            client_secret = quoted(&credentials.client_secret),
            partner_id = quoted(&credentials.partner_id),
            channel_id = quoted(&credentials.channel_id),
            origin = quoted(&credentials.origin),
        )?;
    }
    Ok(text)
}

/// A TOML basic string; a JSON string is one.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes()).with_context(|| format!("failed to write {}", path.display()))
}
