//! A provider's rules as data. The built-in ones are the files in `profiles/`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Class, CodeOverride, ExternalId, PhoneForm, ResponseCode, Service, Timestamp};

/// One provider's rules. Every member can be overridden by configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// The exact bytes of the token request.
    pub token_body: String,
    /// The service that answers for the status of a top-up: 39 or 36.
    pub status_service: Service,
    /// How the phone number is written.
    pub phone_form: PhoneForm,
    /// The most characters of a phone number.
    pub phone_max: usize,
    /// The most characters of `customerName`; longer ones are cut.
    pub customer_name_max: usize,
    /// Whether an inquiry comes before the top-up.
    pub inquiry: InquiryMode,
    /// Whether 200 00 to a top-up means credited; else it is pending.
    pub ok_is_final: bool,
    /// Whether a success answer to a top-up names our `partnerReferenceNo`; one that does not is in doubt then.
    pub echoes_reference: bool,
    /// Whether the `ORIGIN` header must be there.
    pub origin_header: bool,
    /// The form of `X-TIMESTAMP`.
    pub timestamp: TimestampForm,
    /// The most characters of `X-EXTERNAL-ID`.
    pub external_id_max: usize,
    /// Whether a fee the inquiry does not tell is sent as `0.00`.
    pub missing_fee_is_zero: bool,
    /// What a status inquiry says where the provider's number is not known.
    pub original_reference_no: OriginalReferenceNo,
    /// Response codes read differently from the standard; the first that fits wins.
    #[serde(default)]
    pub overrides: Vec<CodeOverride>,
    /// Where requests go, below the base URL.
    pub paths: Paths,
    /// Where a call signs another path than that of the request.
    #[serde(default)]
    pub signing_paths: SigningPaths,
    /// What a top-up carries beyond the mandatory members.
    pub top_up_fields: TopUpFields,
    /// What an inquiry carries beyond the mandatory members.
    pub inquiry_fields: InquiryFields,
    /// The waiting times, unless configured.
    pub defaults: Defaults,
}

/// The path of each call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paths {
    /// Service 73.
    pub token: String,
    /// Service 37.
    pub inquiry: String,
    /// Service 38.
    pub topup: String,
    /// Service 39 or 36.
    pub status: String,
}

/// The path to sign, where it is not that of the request. The token call signs none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningPaths {
    /// Service 37.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inquiry: Option<String>,
    /// Service 38.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topup: Option<String>,
    /// Service 39 or 36.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// Whether an inquiry comes before the top-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InquiryMode {
    /// Before every one.
    Always,
    /// Only where the job brings no `customerName`.
    WhenNeeded,
    /// Before none.
    Never,
}

/// The form of `X-TIMESTAMP`, in Jakarta time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimestampForm {
    /// `2024-05-01T10:20:30+07:00`.
    Seconds,
    /// `2024-05-01T10:20:30.000+07:00`.
    Milliseconds,
}

/// What a status inquiry says of the provider's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OriginalReferenceNo {
    /// Nothing, ever.
    Omit,
    /// The number, or an empty text where it is not known.
    EmptyWhenUnknown,
}

/// Which of the members that differ between providers a top-up carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TopUpFields {
    /// `feeAmount`, mandatory.
    pub fee_amount: bool,
    /// `transactionDate`.
    pub transaction_date: bool,
    /// `notes`.
    pub notes: bool,
    /// `additionalInfo.beneficiaryProvider`, mandatory.
    pub beneficiary_provider: bool,
    /// `additionalInfo.beneficiaryEmail`, where the job brings one.
    pub beneficiary_email: bool,
}

/// Which of the members that differ between providers an inquiry carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InquiryFields {
    /// `partnerReferenceNo`.
    pub partner_reference_no: bool,
    /// `transactionDate`.
    pub transaction_date: bool,
    /// `additionalInfo.beneficiaryProvider`, mandatory.
    pub beneficiary_provider: bool,
}

/// Waiting times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// Before the first status inquiry.
    #[serde(with = "crate::duration")]
    pub first_after: Duration,
    /// The longest pause between two.
    #[serde(with = "crate::duration")]
    pub interval_max: Duration,
    /// After the end of an attempt, before "not found" counts.
    #[serde(with = "crate::duration")]
    pub quiet_period: Duration,
    /// After which doubt stands before a person.
    #[serde(with = "crate::duration")]
    pub give_up_after: Duration,
    /// For how long the provider knows a reference again.
    #[serde(with = "crate::duration")]
    pub uniqueness_window: Duration,
}

/// Why a profile cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Not TOML, a member missing, unknown or of the wrong kind.
    #[error("the profile is unreadable: {0}")]
    Unreadable(String),
    /// A path that does not begin with `/`, or carries a query, a fragment, a blank or a control character.
    #[error("{0} must begin with / and be a path only")]
    Path(&'static str),
    /// A service that does not answer for the status.
    #[error("status_service must be 39 or 36")]
    StatusService,
    /// The token request is not JSON.
    #[error("token_body is not a JSON object")]
    TokenBody,
    /// Our request numbers would not fit.
    #[error("external_id_max must be at least 32")]
    ExternalIdMax,
}

impl Profile {
    /// The names of the built-in profiles.
    pub const BUILTIN: &[&str] = &["finpay", "midtrans"];

    /// The text of a built-in profile.
    pub fn builtin_toml(name: &str) -> Option<&'static str> {
        match name {
            "finpay" => Some(include_str!("../profiles/finpay.toml")),
            "midtrans" => Some(include_str!("../profiles/midtrans.toml")),
            _ => None,
        }
    }

    /// A built-in profile.
    pub fn builtin(name: &str) -> Option<Self> {
        Self::builtin_toml(name).map(|text| Self::from_toml(text).expect("a test reads every built-in profile"))
    }

    /// Reads a profile and checks it.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn from_toml(text: &str) -> Result<Self, ProfileError> {
        let profile: Self = toml::from_str(text).map_err(|error| ProfileError::Unreadable(error.to_string()))?;
        profile.check()?;
        Ok(profile)
    }

    /// Checks what the types do not: to be called after settings were overridden.
    ///
    /// # Errors
    /// Any [`ProfileError`] but [`ProfileError::Unreadable`].
    pub fn check(&self) -> Result<(), ProfileError> {
        let (paths, signing) = (&self.paths, &self.signing_paths);
        let named = [
            ("paths.token", Some(&paths.token)),
            ("paths.inquiry", Some(&paths.inquiry)),
            ("paths.topup", Some(&paths.topup)),
            ("paths.status", Some(&paths.status)),
            ("signing_paths.inquiry", signing.inquiry.as_ref()),
            ("signing_paths.topup", signing.topup.as_ref()),
            ("signing_paths.status", signing.status.as_ref()),
        ];
        let is_path = |path: &String| {
            path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte))
        };
        if let Some((name, _)) = named.iter().find(|(_, path)| !path.is_none_or(is_path)) {
            return Err(ProfileError::Path(name));
        }
        if !self.status_service.asks_status() {
            return Err(ProfileError::StatusService);
        }
        let token_body: Result<serde_json::Map<_, _>, _> = serde_json::from_str(&self.token_body);
        if token_body.is_err() {
            return Err(ProfileError::TokenBody);
        }
        if self.external_id_max < ExternalId::MAX_LEN {
            return Err(ProfileError::ExternalIdMax);
        }
        Ok(())
    }

    /// The path of a call, below the base URL.
    pub fn path(&self, service: Service) -> &str {
        match service {
            Service::AccessToken => &self.paths.token,
            Service::AccountInquiry => &self.paths.inquiry,
            Service::TopUp => &self.paths.topup,
            Service::TopUpStatus | Service::TransferStatus => &self.paths.status,
        }
    }

    /// The path a call signs, if it is not the path of the request.
    pub fn signing_path(&self, service: Service) -> Option<&str> {
        match service {
            Service::AccessToken => None,
            Service::AccountInquiry => self.signing_paths.inquiry.as_deref(),
            Service::TopUp => self.signing_paths.topup.as_deref(),
            Service::TopUpStatus | Service::TransferStatus => self.signing_paths.status.as_deref(),
        }
    }

    /// A time as this provider wants it in `X-TIMESTAMP`.
    pub fn spell_timestamp(&self, at: Timestamp) -> String {
        match self.timestamp {
            TimestampForm::Seconds => at.to_snap(),
            TimestampForm::Milliseconds => at.to_rfc3339(),
        }
    }

    /// What this profile says of a code that answered a call of `service`, if it says anything.
    pub fn class_override(&self, service: Service, code: ResponseCode) -> Option<Class> {
        self.overrides.iter().find(|rule| rule.applies(service, code)).map(|rule| rule.class)
    }
}
