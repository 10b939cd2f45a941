//! `worker init`: a commented `worker.toml` to start from.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is no template for that profile.
    #[error("there is no template for `{name}`\nhint: the profiles are {}", snap_core::Profile::BUILTIN.join(", "))]
    NoTemplate {
        /// As it was asked for.
        name: String,
    },
    /// A configuration is never overwritten.
    #[error("{} exists already\nhint: name another with -c FILE, or move it away", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error("{} cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Writes the template of a profile to a file that does not exist yet.
///
/// # Errors
/// See [`InitError`].
pub fn write(path: &Path, profile: &str) -> Result<(), InitError> {
    let text = template(profile).ok_or_else(|| InitError::NoTemplate { name: profile.to_owned() })?;
    let written = std::fs::File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => InitError::Exists { path: path.to_owned() },
        _ => InitError::Write { path: path.to_owned(), source },
    })
}

/// The template of a built-in profile. Lines with a `#` right before a key show defaults.
#[must_use]
pub fn template(profile: &str) -> Option<String> {
    let provider = match profile {
        "finpay" => FINPAY,
        "midtrans" => MIDTRANS,
        _ => return None,
    };
    Some(format!("{}{provider}{LIMITS}{}", COMMON.replace("PROVIDER", profile), waiting_times(profile)))
}

const COMMON: &str = r#"# Configuration of the top-up worker. `worker check` says what is missing or wrong,
# `worker schema config` describes every key. A line with # right before a key shows the default.
#
# Every key can be overridden by the environment: WORKER__SECTION__KEY.
# Relative paths are relative to this file. Durations: "500ms", "30s", "10m", "24h", "50d".

# For jobs that name no provider.
default_provider = "PROVIDER"

# RabbitMQ. Leave the section out to run from the store alone (`worker submit` then writes to it).
[amqp]
url = "amqp://guest:guest@127.0.0.1:5672/%2f"   # or { env = "NAME" } or { file = "path" }
#namespace = "topup"         # the first part of every exchange's and queue's name
#prefetch = 128              # deliveries taken but not acknowledged at a time
#declare = true              # false: the topology is provisioned by others and only checked

# Every job, attempt and outcome. On a local disk; one worker a file.
[store]
#url = "sqlite:worker.db"
#keep_details = "90d"        # then a job that ended shrinks to its key, amount, outcome and event; or "forever"
#keep_keys = "forever"       # beyond it a repeated message would be a new top-up; or longer than anybody repeats one

# Health and metrics: /healthz, /readyz, /metrics.
[http]
#listen = "127.0.0.1:9464"   # "off": not at all

[log]
#level = "info"              # error, warn, info, debug, trace; also -v and -vv
#format = "auto"             # text on a terminal, json otherwise
"#;

const FINPAY: &str = r#"
[providers.finpay]
profile = "finpay"
base_url = "https://snapstag.finnet.co.id"            # the sandbox; production: https://snap.finnet.co.id
client_key = "CHANGE-ME"                              # X-CLIENT-KEY
client_secret = { env = "FINPAY_CLIENT_SECRET" }      # signs transactions
private_key = { file = "finpay.pem" }                 # PKCS#8, signs token requests; chmod 0400
partner_id = "CHANGE-ME"                              # X-PARTNER-ID
channel_id = "CHANGE-ME"                              # CHANNEL-ID
origin = "www.example.co.id"                          # ORIGIN: your domain, as agreed
#ok_is_final = true          # 200 to a top-up means credited
#echoes_reference = true     # a success names our partnerReferenceNo; one that does not is asked about
"#;

const MIDTRANS: &str = r#"
[providers.midtrans]
profile = "midtrans"
base_url = "https://merchants.sbx.midtrans.com"       # the sandbox; ask for the host of your contract
client_key = "CHANGE-ME"                              # X-CLIENT-KEY
client_secret = { env = "MIDTRANS_CLIENT_SECRET" }    # signs transactions
private_key = { file = "midtrans.pem" }               # PKCS#8, signs token requests; chmod 0400
partner_id = "CHANGE-ME"                              # X-PARTNER-ID
channel_id = "CHANGE-ME"                              # CHANNEL-ID
#ok_is_final = false         # the status inquiry has the last word
#echoes_reference = true     # a success names our partnerReferenceNo; one that does not is asked about
"#;

/// The rest of a provider's section.
const LIMITS: &str = r#"#inquiry = "always"          # "when_needed": only where the job brings no customerName; "never"
#inquiry_max_age = "5m"      # an older inquiry is made again before the top-up
#max_in_flight = 64          # jobs that call the provider at a time
#rate_limit = 0              # requests per second, 0 = none
#connect_timeout = "3s"      # DNS, TCP and TLS
#request_timeout = "30s"     # the whole call, answer included
#send_within = "5s"          # an intent that is older when it would leave is not sent; far below quiet_period
#probe_initial = "5s"        # a lane that paused itself tries one job after this,
#probe_max = "5m"            # then after twice as long each time, up to this
"#;

/// The two sections below a provider's own, with the profile's waiting times.
fn waiting_times(profile: &str) -> String {
    let (first_after, uniqueness_window, known) = match profile {
        "midtrans" => ("10m", "50d", "two months, less a margin"),
        _ => ("30s", "24h", "Finpay states none, so: a day"),
    };
    format!(
        r#"
# What is proven not executed is sent again.
[providers.{profile}.retry]
#initial = "1s"
#max = "5m"
#multiplier = 2.0
#jitter = 0.2
#attempts = 8

# What may have been executed is asked about, never sent again in doubt.
[providers.{profile}.status]
#first_after = "{first_after}"
#interval_max = "30m"
#quiet_period = "10m"        # after an attempt ended, before "not found" means anything
#give_up_after = "24h"       # then a dead letter `unresolved`; never "failed"
#uniqueness_window = "{uniqueness_window}"   # how long the provider refuses a repeated reference: {known}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Environment};

    fn parse(text: &str) -> Config {
        Config::parse(text, Path::new("/etc/topup/worker.toml"), &Environment::default()).unwrap()
    }

    /// The template with every default written out.
    fn spelled_out(template: &str) -> String {
        template
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(key) if key.starts_with(|first: char| first.is_ascii_lowercase()) => key,
                _ => line,
            })
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn each_template_parses_and_shows_the_defaults() {
        for profile in snap_core::Profile::BUILTIN {
            let template = template(profile).unwrap();
            let spelled_out = spelled_out(&template);
            assert!(spelled_out.lines().count() - template.lines().filter(|line| line.starts_with("# ")).count() > 20);
            assert_ne!(template, spelled_out);
            assert_eq!(format!("{:?}", parse(&template)), format!("{:?}", parse(&spelled_out)), "{profile}");
        }
    }

    #[test]
    fn each_template_names_its_own_provider_and_all_that_is_missing() {
        for profile in snap_core::Profile::BUILTIN {
            let config = parse(&template(profile).unwrap());
            assert_eq!(config.default_provider.as_deref(), Some(*profile));
            assert_eq!(config.providers[*profile].profile.name, *profile);
            let placeholders = config.warnings().iter().filter(|warning| warning.what.contains("template")).count();
            assert_eq!(placeholders, 3, "{profile}");
        }
        assert_eq!(template("dana"), None);
    }

    #[test]
    fn a_file_that_exists_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker.toml");
        write(&path, "finpay").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), template("finpay").unwrap());
        let error = write(&path, "midtrans").unwrap_err();
        assert!(matches!(error, InitError::Exists { .. }) && error.to_string().contains("hint: "), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), template("finpay").unwrap());
        assert!(matches!(write(&path, "dana"), Err(InitError::NoTemplate { .. })));
        let nowhere = folder.path().join("no/such/folder.toml");
        assert!(matches!(write(&nowhere, "finpay"), Err(InitError::Write { .. })));
    }
}
