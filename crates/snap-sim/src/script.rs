//! Rules that say which request meets which fault.

use serde::{Deserialize, Serialize};

use crate::fault::Fault;

/// One rule of the script. The first rule that matches and fires decides; rules come before magic numbers and random faults.
///
/// Every condition that is left out matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// The mount's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Service digits: 73, 37, 38, 39 or 36.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<u8>,
    /// The whole `partnerReferenceNo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// How the `partnerReferenceNo` begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_prefix: Option<String>,
    /// The customer in canonical form, `62…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// Fires from this match on, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// Fires at most so many times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// Fires for so many of a thousand matches, chosen by `seed` and the number of the match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permille: Option<u32>,
    /// Seed of `permille`.
    #[serde(default)]
    pub seed: u64,
    /// What happens.
    pub fault: Fault,
    /// Whether a top-up takes effect first; default [`Fault::commits_by_default`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<bool>,
    /// Overrides the fault's configured duration, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
}

impl Rule {
    /// A rule that matches every request.
    #[must_use]
    pub const fn new(fault: Fault) -> Self {
        Self {
            profile: None,
            service: None,
            reference: None,
            reference_prefix: None,
            customer: None,
            nth: None,
            times: None,
            permille: None,
            seed: 0,
            fault,
            commit: None,
            delay_ms: None,
        }
    }
}
