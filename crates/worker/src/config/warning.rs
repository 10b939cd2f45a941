//! What works but should not stay so.

use std::os::unix::fs::PermissionsExt as _;

use super::{Config, ProviderConfig, Secret, SecretSource};

/// What stands in the template of `worker init` for what only the provider knows.
pub(crate) const PLACEHOLDER: &str = "CHANGE-ME";

/// One remark of `check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The key it is about.
    pub key: String,
    /// A fragment that fits after the key.
    pub what: String,
    /// What to do.
    pub hint: String,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}\nhint: {}", self.key, self.what, self.hint)
    }
}

pub(super) fn warnings(config: &Config) -> Vec<Warning> {
    let mut found = Vec::new();
    if let Some(amqp) = &config.amqp {
        // A URL is usually written out: only its file can be too open, and that matters where it has a password.
        found.extend(too_open(&amqp.url).filter(|_| amqp.has_password()));
    }
    if let Some(listen) = config.http.listen.filter(|listen| !listen.ip().is_loopback()) {
        found.push(Warning {
            key: "http.listen".to_owned(),
            what: format!("is {listen}: whoever reaches it can read the metrics"),
            hint: "listen on 127.0.0.1 unless a firewall decides who gets there".to_owned(),
        });
    }
    for provider in config.providers.values() {
        of_provider(provider, &mut found);
    }
    found
}

fn of_provider(provider: &ProviderConfig, found: &mut Vec<Warning>) {
    let mut warn = |key: &str, what: String, hint: &str| {
        found.push(Warning { key: format!("providers.{}.{key}", provider.name), what, hint: hint.to_owned() });
    };
    let values = [
        ("client_key", &provider.client_key),
        ("partner_id", &provider.partner_id),
        ("channel_id", &provider.channel_id),
    ];
    for (key, _) in values.into_iter().filter(|(_, value)| value.as_str() == PLACEHOLDER) {
        warn(key, "still has the value of the template".to_owned(), "the provider issues it with the contract");
    }
    let status = &provider.profile.defaults;
    if status.quiet_period < provider.request_timeout {
        warn(
            "status.quiet_period",
            "is shorter than request_timeout: a top-up can still be on its way when \"not found\" is believed"
                .to_owned(),
            "make it some minutes; midtrans asks for ten",
        );
    }
    if status.uniqueness_window < status.quiet_period {
        warn(
            "status.uniqueness_window",
            "is shorter than status.quiet_period: no top-up in doubt could ever be sent again".to_owned(),
            "it is how long the provider refuses a repeated partnerReferenceNo",
        );
    }
    // The default is cut without a word: nobody has asked for it.
    if provider.send_within() < provider.send_within && provider.send_within != ProviderConfig::SEND_WITHIN {
        let used = crate::output::age(provider.send_within());
        warn(
            "send_within",
            format!("is not far below status.quiet_period, and is cut to {used}"),
            "an intent must not leave when \"not found\" may be believed about it; make status.quiet_period some minutes",
        );
    } else if provider.send_within() > status.quiet_period / 2 {
        warn(
            "status.quiet_period",
            "is not far above send_within: an intent can still leave when \"not found\" is believed about it"
                .to_owned(),
            "make it some minutes; midtrans asks for ten",
        );
    }
    if provider.connect_timeout >= provider.request_timeout {
        warn(
            "connect_timeout",
            "is not shorter than request_timeout, and is cut to nine tenths of it".to_owned(),
            "a connect that hangs is then still known as not sent",
        );
    }
    for secret in [&provider.client_secret, &provider.private_key] {
        if *secret.source() == SecretSource::Plain {
            found.push(Warning {
                key: secret.key().to_owned(),
                what: "stands in the configuration itself".to_owned(),
                hint: "use { env = \"NAME\" } or { file = \"path\" }".to_owned(),
            });
        }
        found.extend(too_open(secret));
    }
}

/// A secret's file that others than its owner may read; of the configuration itself, others than its group.
fn too_open(secret: &Secret) -> Option<Warning> {
    let (path, others, mended) = match secret.source() {
        SecretSource::File(path) => (path.as_path(), 0o077, "0400"),
        SecretSource::Plain => (secret.config_file(), 0o007, "0640"),
        SecretSource::Env(_) => return None,
    };
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & others != 0).then(|| Warning {
        key: secret.key().to_owned(),
        what: format!("comes from {}, which others can read (mode {mode:04o})", path.display()),
        hint: format!("chmod {mended} {}", path.display()),
    })
}
