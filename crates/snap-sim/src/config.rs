//! What a simulator is started with, and what of it can be changed while it runs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::case::Case;
use crate::credentials::Credentials;

/// What a simulator is started with.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// The providers it plays. Each answers under `/<name>`; a single one under `/` as well.
    pub mounts: Vec<Mount>,
    /// How it behaves at first.
    pub behaviour: Behaviour,
    /// How many requests the ledger remembers one by one (the newest); 0 switches the log off. Credits are always kept.
    pub request_log: usize,
    /// After this many external ids the older half may be forgotten; 0: never.
    pub external_id_memory: usize,
}

impl Default for SimConfig {
    /// Both personalities under their own names with the throwaway credentials, 10,000 logged requests.
    fn default() -> Self {
        Self {
            mounts: vec![Mount::new(Personality::Finpay), Mount::new(Personality::Midtrans)],
            behaviour: Behaviour::default(),
            request_log: 10_000,
            external_id_memory: 0,
        }
    }
}

impl SimConfig {
    /// One personality under its own name and under `/`, with the throwaway credentials.
    #[must_use]
    pub fn single(personality: Personality) -> Self {
        Self { mounts: vec![Mount::new(personality)], ..Self::default() }
    }
}

/// One provider that the simulator plays.
#[derive(Debug, Clone)]
pub struct Mount {
    /// The first segment of its paths; letters, digits, `-` and `_`.
    pub name: String,
    /// Whose rules it follows.
    pub personality: Personality,
    /// The partner it knows.
    pub credentials: Credentials,
}

impl Mount {
    /// A mount under the personality's own name with the throwaway credentials.
    #[must_use]
    pub fn new(personality: Personality) -> Self {
        Self { name: personality.as_str().into(), personality, credentials: Credentials::throwaway() }
    }
}

/// Whose rules, fields and answers are played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Personality {
    /// Synchronous: 200 is final; status service 39.
    Finpay,
    /// Asynchronous: 202 is pending; status service 36.
    Midtrans,
}

impl Personality {
    /// Its name in paths and settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Finpay => "finpay",
            Self::Midtrans => "midtrans",
        }
    }
}

/// What a top-up with a known `partnerReferenceNo` leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepeatPolicy {
    /// `409xx01`.
    #[default]
    Reject,
    /// The earlier answer again; `404xx18` where amount or customer differ.
    Echo,
    /// One more credit: no protection at all, so that an unsafe resend shows in the ledger.
    PayAgain,
}

/// How many random faults there are.
///
/// Only faults that come to an end by themselves are among them, and only for the first requests of a reference. With
/// `Wild` keep `late_commit` below the client's quiet period, as a late commit beyond it is a provider without honour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultLevel {
    /// None.
    #[default]
    None,
    /// About one top-up in four meets one fault.
    Some,
    /// Most top-ups meet a fault, some of them two, of every kind.
    Wild,
}

/// A fault of the whole provider or of the partner's account, in force until it is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneFault {
    /// `403xx14` to top-ups.
    DepositEmpty,
    /// `403xx20` to top-ups.
    MerchantLimit,
    /// `401xx00` to everything but token requests.
    Unauthorized,
    /// `403xx01` to everything but token requests.
    FeatureNotAllowed,
    /// `403xx19` to everything but token requests.
    MerchantBlacklisted,
    /// `404xx08` to everything but token requests.
    InvalidMerchant,
    /// `404xx16` to everything but token requests.
    PartnerNotFound,
    /// `429xx00` to everything but token requests.
    RateLimited,
    /// `4017300` to token requests, and every token is revoked.
    TokenRefused,
    /// `5007300` to token requests, and every token is revoked.
    TokenFailing,
    /// 503 with an HTML page to everything.
    Unavailable,
    /// Every request is reset.
    Down,
}

impl LaneFault {
    /// The SNAP case it answers with, if it answers with one, to transactions.
    #[must_use]
    pub const fn case(self) -> Option<Case> {
        Some(match self {
            Self::DepositEmpty => Case::new(403, 14),
            Self::MerchantLimit => Case::new(403, 20),
            Self::Unauthorized => Case::new(401, 0),
            Self::FeatureNotAllowed => Case::new(403, 1),
            Self::MerchantBlacklisted => Case::new(403, 19),
            Self::InvalidMerchant => Case::new(404, 8),
            Self::PartnerNotFound => Case::new(404, 16),
            Self::RateLimited => Case::new(429, 0),
            Self::TokenRefused | Self::TokenFailing | Self::Unavailable | Self::Down => {
                return None;
            }
        })
    }
}

/// How the simulator behaves; can be changed at any time, also over `/_sim/config`, where every field may be left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Behaviour {
    /// What a known reference leads to.
    pub repeat_policy: RepeatPolicy,
    /// Every answer waits this long (JSON: milliseconds, as all durations here).
    #[serde(rename = "latencyMs", with = "millis")]
    pub latency: Duration,
    /// How long a token is good for.
    #[serde(rename = "tokenLifetimeMs", with = "millis")]
    pub token_lifetime: Duration,
    /// `expiresIn` as a JSON number instead of a string.
    pub expires_in_number: bool,
    /// How long a 202 stays pending before its end shows in the status inquiry.
    #[serde(rename = "settleMs", with = "millis")]
    pub settle: Duration,
    /// How long a silent or dripping connection is kept.
    #[serde(rename = "hangMs", with = "millis")]
    pub hang: Duration,
    /// How long after the client has gone a late commit takes effect.
    #[serde(rename = "lateCommitMs", with = "millis")]
    pub late_commit: Duration,
    /// Pause between two dripped bytes.
    #[serde(rename = "dripMs", with = "millis")]
    pub drip: Duration,
    /// How many status inquiries do not find a top-up of late visibility.
    pub hidden_inquiries: u32,
    /// Smallest amount, in minor units.
    pub min_amount: u64,
    /// Largest amount, in minor units.
    pub max_amount: u64,
    /// How far the provider's clock is ahead, in milliseconds.
    pub clock_ahead_ms: i64,
    /// Whether the magic customer numbers work.
    pub magic_numbers: bool,
    /// Random faults.
    pub faults: FaultLevel,
    /// Seed of the random faults.
    pub seed: u64,
    /// Lane faults by mount name; `*` stands for every mount.
    pub lane_faults: BTreeMap<String, LaneFault>,
}

impl Default for Behaviour {
    /// No faults, no latency, tokens for 900 s, amounts from 1,000.00 to 20,000,000.00 rupiah, `Reject`.
    fn default() -> Self {
        Self {
            repeat_policy: RepeatPolicy::Reject,
            latency: Duration::ZERO,
            token_lifetime: Duration::from_secs(900),
            expires_in_number: false,
            settle: Duration::ZERO,
            hang: Duration::from_secs(120),
            late_commit: Duration::from_millis(50),
            drip: Duration::from_millis(100),
            hidden_inquiries: 1,
            min_amount: 100_000,
            max_amount: 2_000_000_000,
            clock_ahead_ms: 0,
            magic_numbers: true,
            faults: FaultLevel::None,
            seed: 0,
            lane_faults: BTreeMap::new(),
        }
    }
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}
