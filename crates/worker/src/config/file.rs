//! `worker.toml` as it is written: every key, all of them optional here; what must be there is checked afterwards.
//! The doc comments are the descriptions of `worker schema config`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use snap_core::{CodeOverride, InquiryMode, OriginalReferenceNo, PhoneForm, Service, TimestampForm};

use super::Problem;
use super::secret::RawSecret;

/// Configuration of the top-up worker. Every key can be overridden by `WORKER__SECTION__KEY`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "worker.toml", extend("required" = ["providers"]))]
pub(super) struct File {
    /// The provider of jobs that name none; may be left out where there is only one.
    pub(super) default_provider: Option<String>,
    /// RabbitMQ; leave the section out to run from the store alone.
    pub(super) amqp: Option<Amqp>,
    pub(super) store: Store,
    pub(super) http: Http,
    pub(super) log: Log,
    /// One section a provider, by the name that jobs, events and metrics use.
    pub(super) providers: BTreeMap<String, Provider>,
}

/// RabbitMQ.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["url"]))]
pub(super) struct Amqp {
    /// `amqp://user:password@host:port/vhost`, or `amqps://`.
    pub(super) url: Option<RawSecret>,
    /// The first part of every exchange's and queue's name.
    #[schemars(extend("default" = "topup"))]
    pub(super) namespace: Option<String>,
    /// Deliveries taken but not acknowledged at a time.
    #[schemars(range(min = 1), extend("default" = 128))]
    pub(super) prefetch: Option<u16>,
    /// Whether the worker declares exchanges and queues; else it only checks them.
    #[schemars(extend("default" = true))]
    pub(super) declare: Option<bool>,
}

/// The store: jobs, attempts, outcomes, dead letters.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Store {
    /// `sqlite:` and the file's path, relative to this file.
    #[schemars(extend("default" = "sqlite:worker.db"))]
    pub(super) url: Option<String>,
    /// How long after its end a job keeps its details; then its key, amount, outcome and published event are left. At least
    /// as long as any provider can be asked about it.
    #[schemars(extend("default" = "90d"))]
    pub(super) keep_details: Option<Keep>,
    /// How long after its end a key is known again; beyond it a repeated message is a new top-up. Longer than any
    /// `uniqueness_window`.
    #[schemars(extend("default" = "forever"))]
    pub(super) keep_keys: Option<Keep>,
}

/// Health and metrics.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Http {
    /// Address and port, or `off`.
    #[schemars(extend("default" = "127.0.0.1:9464"))]
    pub(super) listen: Option<String>,
}

/// Logging; no level prints bodies, headers, secrets, full phone numbers or names.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    #[schemars(extend("default" = "info"))]
    pub(super) level: Option<LogLevel>,
    #[schemars(extend("default" = "auto"))]
    pub(super) format: Option<LogFormat>,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Errors only.
    Error,
    /// And what may need attention.
    Warn,
    /// And what happens to jobs.
    Info,
    /// And how.
    Debug,
    /// And everything.
    Trace,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// One provider. Settings of its profile can be overridden here.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["profile", "base_url", "client_key", "client_secret", "private_key", "partner_id", "channel_id"]))]
pub(super) struct Provider {
    /// The rules it follows.
    #[schemars(extend("enum" = ["finpay", "midtrans"]))]
    pub(super) profile: Option<String>,
    /// `https://host`, may carry a path, which is then part of the signed path; plain http for loopback only.
    pub(super) base_url: Option<String>,
    /// `X-CLIENT-KEY`.
    pub(super) client_key: Option<String>,
    /// Key of the signatures of transactions.
    pub(super) client_secret: Option<RawSecret>,
    /// RSA private key, PKCS#8 PEM, for the access token.
    pub(super) private_key: Option<RawSecret>,
    /// `X-PARTNER-ID`.
    pub(super) partner_id: Option<String>,
    /// `CHANNEL-ID`.
    pub(super) channel_id: Option<String>,
    /// `ORIGIN`; must be there where the profile sends it (finpay).
    pub(super) origin: Option<String>,
    /// PEM file with the only certificate authorities to trust; those of the system if left out.
    pub(super) ca_file: Option<PathBuf>,
    /// Jobs driven at a time.
    #[schemars(range(min = 1, max = 10_000), extend("default" = 64))]
    pub(super) max_in_flight: Option<u32>,
    /// Requests per second; 0 is none.
    #[schemars(extend("default" = 0))]
    pub(super) rate_limit: Option<u32>,
    /// DNS, TCP and TLS together.
    #[schemars(extend("default" = "3s"))]
    pub(super) connect_timeout: Option<Span>,
    /// A whole call, answer included.
    #[schemars(extend("default" = "30s"))]
    pub(super) request_timeout: Option<Span>,
    /// An intent that is older when its first byte would leave is not sent; always far below the quiet period.
    #[schemars(extend("default" = "5s"))]
    pub(super) send_within: Option<Span>,
    /// How long a lane that paused itself waits for the first probe.
    #[schemars(extend("default" = "5s"))]
    pub(super) probe_initial: Option<Span>,
    /// The wait for the next probe doubles up to this.
    #[schemars(extend("default" = "5m"))]
    pub(super) probe_max: Option<Span>,
    /// An inquiry's result older than this is asked for again.
    #[schemars(extend("default" = "5m"))]
    pub(super) inquiry_max_age: Option<Span>,
    /// Retries of what is proven not executed.
    pub(super) retry: Retry,
    /// Settling what may have been executed.
    pub(super) status: Status,

    /// Paths below `base_url`; each defaults to the profile's.
    pub(super) paths: Paths,
    /// Paths to sign where they are not those of the requests.
    pub(super) signing_paths: SigningPaths,
    /// Whether an account inquiry comes before a top-up; `when_needed`: only where the job brings no `customerName`.
    #[schemars(with = "Option<String>", extend("enum" = ["always", "when_needed", "never"]))]
    pub(super) inquiry: Option<InquiryMode>,
    /// Whether 200 to a top-up means credited; else the status inquiry has to confirm it.
    pub(super) ok_is_final: Option<bool>,
    /// Whether a success answer to a top-up names our `partnerReferenceNo`; without it the answer is in doubt then.
    pub(super) echoes_reference: Option<bool>,
    /// The exact body of the token request.
    pub(super) token_body: Option<String>,
    /// The service that tells the status of a top-up.
    #[schemars(with = "Option<u8>", extend("enum" = [36, 39]))]
    pub(super) status_service: Option<Service>,
    /// How phone numbers are written: `local` is 08…, `international` is 62….
    #[schemars(with = "Option<String>", extend("enum" = ["local", "international"]))]
    pub(super) phone_form: Option<PhoneForm>,
    /// The most characters of a phone number.
    pub(super) phone_max: Option<usize>,
    /// The most characters of `customerName`; longer ones are cut.
    pub(super) customer_name_max: Option<usize>,
    /// Whether the `ORIGIN` header is sent.
    pub(super) origin_header: Option<bool>,
    /// The form of `X-TIMESTAMP`.
    #[schemars(with = "Option<String>", extend("enum" = ["seconds", "milliseconds"]))]
    pub(super) timestamp: Option<TimestampForm>,
    /// The most characters of `X-EXTERNAL-ID`; ours have 32.
    pub(super) external_id_max: Option<usize>,
    /// Whether a fee the inquiry does not tell is sent as `0.00`.
    pub(super) missing_fee_is_zero: Option<bool>,
    /// What a status inquiry says where the provider's number is not known.
    #[schemars(with = "Option<String>", extend("enum" = ["omit", "empty_when_unknown"]))]
    pub(super) original_reference_no: Option<OriginalReferenceNo>,
    /// Response codes to read differently from the standard; instead of the profile's.
    #[schemars(with = "Option<Vec<CodeOverrideSchema>>")]
    pub(super) overrides: Option<Vec<CodeOverride>>,
    /// What a top-up carries beyond the mandatory members.
    pub(super) top_up_fields: TopUpFields,
    /// What an inquiry carries beyond the mandatory members.
    pub(super) inquiry_fields: InquiryFields,
}

/// Retries of what is proven not executed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Retry {
    /// The first pause.
    #[schemars(extend("default" = "1s"))]
    pub(super) initial: Option<Span>,
    /// No pause is longer.
    #[schemars(extend("default" = "5m"))]
    pub(super) max: Option<Span>,
    /// Growth from one pause to the next.
    #[schemars(range(min = 1, max = 100), extend("default" = 2.0))]
    pub(super) multiplier: Option<f64>,
    /// Spread around each pause, as a share of it.
    #[schemars(range(min = 0, max = 1), extend("default" = 0.2))]
    pub(super) jitter: Option<f64>,
    /// Top-up attempts, and inquiries that may fail; after them the job is a dead letter.
    #[schemars(range(min = 1), extend("default" = 8))]
    pub(super) attempts: Option<u32>,
}

/// Settling what may have been executed. Defaults are the profile's.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Status {
    /// Before the first status inquiry.
    pub(super) first_after: Option<Span>,
    /// The longest pause between two.
    pub(super) interval_max: Option<Span>,
    /// After the end of an attempt, before "not found" counts.
    pub(super) quiet_period: Option<Span>,
    /// Then a dead letter `unresolved`; never "failed".
    pub(super) give_up_after: Option<Span>,
    /// For how long the provider knows a reference again.
    pub(super) uniqueness_window: Option<Span>,
}

/// Paths below the base URL.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Paths {
    /// Service 73.
    pub(super) token: Option<String>,
    /// Service 37.
    pub(super) inquiry: Option<String>,
    /// Service 38.
    pub(super) topup: Option<String>,
    /// Service 39 or 36.
    pub(super) status: Option<String>,
}

/// Paths to sign.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SigningPaths {
    /// Service 37.
    pub(super) inquiry: Option<String>,
    /// Service 38.
    pub(super) topup: Option<String>,
    /// Service 39 or 36.
    pub(super) status: Option<String>,
}

/// Members of a top-up.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TopUpFields {
    pub(super) fee_amount: Option<bool>,
    pub(super) transaction_date: Option<bool>,
    pub(super) notes: Option<bool>,
    pub(super) beneficiary_provider: Option<bool>,
    pub(super) beneficiary_email: Option<bool>,
}

/// Members of an inquiry.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct InquiryFields {
    pub(super) partner_reference_no: Option<bool>,
    pub(super) transaction_date: Option<bool>,
    pub(super) beneficiary_provider: Option<bool>,
}

/// A response code to read differently.
#[derive(JsonSchema)]
#[schemars(rename = "CodeOverride", deny_unknown_fields)]
#[expect(dead_code, reason = "the shape of snap_core::CodeOverride for the schema; a test holds them together")]
struct CodeOverrideSchema {
    /// Seven digits, with `x` for any digit.
    code: String,
    #[schemars(extend("enum" = ["success", "pending", "retry_safe", "auth_refresh", "ambiguous", "duplicate", "business_reject", "config_error"]))]
    class: String,
    /// As the answer of which service, where the digits of the code do not say it.
    service: Option<u8>,
}

/// A duration as an operator writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(super) struct Span(#[serde(with = "snap_core::duration")] pub(super) Duration);

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Whole numbers with the units ms, s, m, h, d: 500ms, 30s, 10m, 1h30m, 50d.",
            "type": "string",
            "pattern": "^([0-9]+(ms|s|m|h|d))+$",
        })
    }
}

/// How long something is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    For(Duration),
    Forever,
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        if text == "forever" {
            return Ok(Self::Forever);
        }
        let span = snap_core::duration::parse(&text);
        span.map(Self::For).map_err(|error| serde::de::Error::custom(format!("{error}, nor `forever`")))
    }
}

impl JsonSchema for Keep {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Keep".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A duration, such as 90d or 1h30m, or the word forever.",
            "type": "string",
            "pattern": "^(forever|([0-9]+(ms|s|m|h|d))+)$",
        })
    }
}

impl File {
    /// Types the table; the keys are known to be known.
    pub(super) fn from_table(table: toml::Table) -> Result<Self, Problem> {
        serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(|error| {
            let key = error.path().to_string();
            let what = error.inner().message().replace('\n', " ");
            let hint = if what.contains("expected a string") || what.contains("in quotes") {
                "text stands in double quotes, durations too: \"30s\""
            } else {
                "`worker schema config` lists every key with its values"
            };
            // Fragments that already fit after a key are left as they are.
            let what = if what.starts_with("must ") { what } else { format!("has a value that does not fit: {what}") };
            Problem::at(key, what, hint)
        })
    }
}
