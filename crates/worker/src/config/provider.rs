//! One provider, with its profile's settings overridden.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use engine::{Backoff, Policy};
use snap_client::{ClientConfig, SnapClient};
use snap_core::Profile;

use super::{ConfigError, Problem, Secret};

/// One provider, checked.
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// The file it stands in.
    pub(super) file: PathBuf,
    /// Its name.
    pub name: String,
    /// Its rules, with what the configuration overrides; the waiting times of `[status]` are its `defaults`.
    pub profile: Arc<Profile>,
    /// `https://host`, perhaps with a path.
    pub base_url: String,
    /// `X-CLIENT-KEY`.
    pub client_key: String,
    /// Key of the signatures of transactions.
    pub client_secret: Secret,
    /// PKCS#8 PEM of the key that signs token requests.
    pub private_key: Secret,
    /// `X-PARTNER-ID`.
    pub partner_id: String,
    /// `CHANNEL-ID`.
    pub channel_id: String,
    /// `ORIGIN`.
    pub origin: Option<String>,
    /// The only authorities to trust.
    pub ca_file: Option<PathBuf>,
    /// Jobs driven at a time.
    pub max_in_flight: usize,
    /// Requests per second; 0 is no limit.
    pub rate_limit: u32,
    /// DNS, TCP and TLS together.
    pub connect_timeout: Duration,
    /// A whole call, answer included.
    pub request_timeout: Duration,
    /// As it is written; [`Self::send_within`] says what goes.
    pub(super) send_within: Duration,
    /// Before the first probe of a lane that paused itself.
    pub probe_initial: Duration,
    /// The longest pause between probes.
    pub probe_max: Duration,
    /// An inquiry's result older than this is asked for again.
    pub inquiry_max_age: Duration,
    /// Retries of what is proven not executed.
    pub retry: RetryConfig,
}

/// A commit and a connection take this long on a busy machine: below it hardly anything would be sent.
const SEND_WITHIN_LEAST: Duration = Duration::from_secs(1);

/// Retries of what is proven not executed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryConfig {
    /// The first pause.
    pub initial: Duration,
    /// No pause is longer.
    pub max: Duration,
    /// Growth from one pause to the next; 1 to 100.
    pub multiplier: f64,
    /// Spread around each pause, parts per million of it.
    pub jitter_ppm: u32,
    /// Top-up attempts, and inquiries that may fail.
    pub attempts: u32,
}

impl ProviderConfig {
    /// `send_within`, where nothing else is configured.
    pub(super) const SEND_WITHIN: Duration = Duration::from_secs(5);

    /// For how long an intent is good (M16): as configured, and always far below the quiet period, after which the attempt may
    /// have been proven unpaid and another one be on its way.
    #[must_use]
    pub fn send_within(&self) -> Duration {
        let most = (self.profile.defaults.quiet_period / 2).max(SEND_WITHIN_LEAST);
        self.send_within.min(most)
    }

    /// What its client is made of, secrets included.
    ///
    /// # Errors
    /// [`ConfigError`] where a secret cannot be had.
    pub fn client_config(&self) -> Result<ClientConfig, ConfigError> {
        Ok(ClientConfig {
            name: self.name.clone(),
            profile: Arc::clone(&self.profile),
            base_url: self.base_url.clone(),
            client_key: self.client_key.clone(),
            client_secret: self.client_secret.reveal()?,
            private_key_pem: self.private_key.reveal()?,
            partner_id: self.partner_id.clone(),
            channel_id: self.channel_id.clone(),
            origin: self.origin.clone(),
            connect_timeout: self.connect_timeout,
            request_timeout: self.request_timeout,
            pool_size: self.max_in_flight,
            ca_file: self.ca_file.clone(),
        })
    }

    /// Its client.
    ///
    /// # Errors
    /// [`ConfigError`] that names the key: a secret that cannot be had, a key that is none, an unreadable `ca_file`.
    pub fn client(&self) -> Result<SnapClient, ConfigError> {
        SnapClient::new(self.client_config()?).map_err(|error| {
            let (setting, what) = match error {
                snap_client::ConfigError::Setting { setting, problem } => (Some(setting), problem),
                snap_client::ConfigError::File { setting, path, source } => {
                    (Some(setting), format!("names {}, which cannot be read: {source}", path.display()))
                }
                snap_client::ConfigError::Http(detail) => (None, format!("cannot be called: {detail}")),
            };
            let hint = match setting {
                Some("private_key") => {
                    "PKCS#8 begins with -----BEGIN PRIVATE KEY-----; `openssl pkcs8 -topk8 -nocrypt` makes it"
                }
                Some(_) => "`worker schema config` describes every key",
                None => "install the system's certificate authorities (package ca-certificates), or set ca_file",
            };
            let section = format!("providers.{}", self.name);
            let key = setting.map_or_else(|| section.clone(), |setting| format!("{section}.{setting}"));
            ConfigError::about(&self.file, Problem::at(key, what, hint))
        })
    }

    /// Its rules for decisions.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let (retry, status) = (&self.retry, &self.profile.defaults);
        Policy {
            inquiry: self.profile.inquiry,
            inquiry_max_age: self.inquiry_max_age,
            retry: Backoff {
                initial: retry.initial,
                max: retry.max,
                multiplier: retry.multiplier,
                jitter_ppm: retry.jitter_ppm,
            },
            attempts: retry.attempts,
            first_after: status.first_after,
            interval_max: status.interval_max,
            quiet_period: status.quiet_period,
            give_up_after: status.give_up_after,
            uniqueness_window: status.uniqueness_window,
            account: Some(crate::account::of(self)),
        }
    }
}
