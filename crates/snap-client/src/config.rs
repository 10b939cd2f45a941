//! What a client is made of, checked once so that no call can meet a bad setting.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use snap_core::Profile;

/// Everything one provider's client needs.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// The provider's name in the configuration; for messages only.
    pub name: String,
    /// The provider's rules: paths, token body, extra headers.
    pub profile: Arc<Profile>,
    /// `https://host[:port][/prefix]`, or `http://` for loopback hosts; the prefix is part of the signed path.
    pub base_url: String,
    /// `X-CLIENT-KEY` of the token request.
    pub client_key: String,
    /// Key of the HMAC over transactions.
    pub client_secret: SecretString,
    /// PKCS#8 PEM of the RSA key that signs token requests.
    pub private_key_pem: SecretString,
    /// `X-PARTNER-ID`.
    pub partner_id: String,
    /// `CHANNEL-ID`.
    pub channel_id: String,
    /// `ORIGIN`; must be there where the profile wants the header.
    pub origin: Option<String>,
    /// DNS, TCP and TLS together.
    pub connect_timeout: Duration,
    /// The whole call, the answer's last byte included.
    pub request_timeout: Duration,
    /// Idle connections kept, of those for status inquiries and of the others: as many as calls may be in flight.
    pub pool_size: usize,
    /// PEM file with the only authorities to trust; none: those of the operating system.
    pub ca_file: Option<PathBuf>,
}

/// Why a client cannot be made; names the setting, never its secret value.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A setting has a value that cannot work.
    #[error("{setting} {problem}")]
    Setting {
        /// The key as it stands in the provider's section (`base_url`, `private_key`, …).
        setting: &'static str,
        /// A fragment that fits after the key.
        problem: String,
    },
    /// A file named by a setting cannot be read.
    #[error("{setting} names {}, which cannot be read", path.display())]
    File {
        /// The key as it stands in the provider's section.
        setting: &'static str,
        /// The file as configured.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The HTTP stack refuses to start, for instance because the system has no trusted authorities.
    #[error("the HTTP client could not be built: {0}")]
    Http(String),
}
