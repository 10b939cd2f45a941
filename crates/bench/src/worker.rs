//! The real binary: built when needed, configured for a run, started.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use snap_sim::Credentials;

use crate::under::Under;

/// What Cargo sets for the program that it runs, without `CARGO_`.
const OUR_CRATE: [&str; 17] = [
    "MANIFEST_DIR",
    "MANIFEST_PATH",
    "MANIFEST_LINKS",
    "PKG_AUTHORS",
    "PKG_DESCRIPTION",
    "PKG_HOMEPAGE",
    "PKG_LICENSE",
    "PKG_LICENSE_FILE",
    "PKG_NAME",
    "PKG_README",
    "PKG_REPOSITORY",
    "PKG_RUST_VERSION",
    "PKG_VERSION",
    "PKG_VERSION_MAJOR",
    "PKG_VERSION_MINOR",
    "PKG_VERSION_PATCH",
    "PKG_VERSION_PRE",
];

/// Builds the worker in the profile that is measured, and says where it is.
///
/// # Errors
/// It does not build, or there is no Cargo.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    let cargo = testbed::setting("CARGO").unwrap_or_else(|| "cargo".to_owned());
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    let mut build = Command::new(cargo);
    // What `cargo run` tells us about this crate is nothing to the crates that are built now: where they saw it change,
    // some of them would be built anew each time.
    for name in OUR_CRATE {
        build.env_remove(format!("CARGO_{name}"));
    }
    let output = build
        .args(["build", "--release", "--locked", "-p", "worker", "--bin", "worker", "--message-format", "json"])
        .args(["--manifest-path".as_ref(), manifest.as_os_str()])
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("failed to run cargo; name a worker that is built already with --worker FILE")?;
    ensure!(output.status.success(), "the worker does not build");
    // One JSON object a line; the one about the binary names it.
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        if let Some(executable) = message["executable"].as_str().filter(|_| message["target"]["name"] == "worker") {
            return Ok(PathBuf::from(executable));
        }
    }
    bail!("cargo does not say where the worker is")
}

/// What a run says about the worker's configuration; everything else is left at its default.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Broker and namespace; none: from the store alone.
    pub(crate) amqp: Option<(String, String)>,
    /// Name and base URL of each provider; all of them follow the profile `finpay`.
    pub(crate) providers: Vec<(&'static str, String)>,
    /// Jobs in flight at each provider.
    pub(crate) in_flight: u32,
    /// More keys, as the environment gives them: `amqp.prefetch` and its value.
    pub(crate) more: Vec<(String, String)>,
}

/// The command that runs this binary so configured in `dir`, under what watches it.
pub(crate) fn command(binary: &Path, dir: &Path, settings: &Settings, under: Under) -> anyhow::Result<Command> {
    let key = Credentials::throwaway().private_key_pem.context("the test key is missing")?;
    write(&dir.join("key.pem"), &key)?;
    write(&dir.join("worker.toml"), &toml(settings)?)?;
    let mut command = under.command(binary);
    command.current_dir(dir).args(["-c", "worker.toml", "run"]);
    for (key, value) in &settings.more {
        command.env(format!("WORKER__{}", key.replace('.', "__").to_uppercase()), value);
    }
    Ok(command)
}

fn toml(settings: &Settings) -> anyhow::Result<String> {
    let known = Credentials::throwaway();
    let mut text = String::from("default_provider = \"finpay\"\n");
    if let Some((url, namespace)) = &settings.amqp {
        // The queues are the bench's, of the kind the scenario asks for.
        writeln!(text, "[amqp]\nurl = \"{url}\"\nnamespace = \"{namespace}\"\ndeclare = false")?;
    }
    writeln!(text, "[http]\nlisten = \"127.0.0.1:{}\"", testbed::free_port())?;
    for (name, base_url) in &settings.providers {
        writeln!(
            text,
            "[providers.{name}]\nprofile = \"finpay\"\nbase_url = \"{base_url}\"\nclient_key = \"{}\"\n\
             client_secret = \"{}\"\nprivate_key = {{ file = \"key.pem\" }}\npartner_id = \"{}\"\nchannel_id = \"{}\"\n\
             origin = \"{}\"\nmax_in_flight = {}",
            known.client_key, known.client_secret, known.partner_id, known.channel_id, known.origin, settings.in_flight,
        )?;
    }
    Ok(text)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes()).with_context(|| format!("failed to write {}", path.display()))
}
