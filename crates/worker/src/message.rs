//! The job message: bytes in, [`JobRequest`] or [`Refused`] out. No I/O and no clock.
//!
//! One pass finds the members as raw text, then each known one is read for itself. A refusal names the field and the
//! rule, never the value: values here are phone numbers and names.

mod members;
mod strict_json;
#[cfg(test)]
mod tests;

use std::fmt::Display;

use engine::DeadReason;
use outbox::JobRequest;
use snap_core::{Amount, AmountError, CustomerNumber, PartnerReferenceNo, Private, Timestamp};

use members::{Members, Problem, nearest};
use strict_json::{Path, shown};

/// The longest message, in bytes.
pub const BODY_MAX: usize = 64 * 1024;
/// The longest `metadata`, in bytes as sent.
pub const METADATA_MAX: usize = 4 * 1024;
/// The longest `customerName`, in characters.
pub const CUSTOMER_NAME_MAX: usize = 100;
/// The longest `notes`, in characters.
pub const NOTES_MAX: usize = 50;
/// The longest `beneficiaryProvider`, in characters.
pub const BENEFICIARY_PROVIDER_MAX: usize = 40;
/// The longest `beneficiaryEmail`, in characters.
pub const BENEFICIARY_EMAIL_MAX: usize = 50;

/// The fields of a job message, in the contract's order.
pub const FIELDS: [&str; 10] = [
    "partnerReferenceNo",
    "customerNumber",
    "amount",
    "provider",
    "customerName",
    "notes",
    "beneficiaryProvider",
    "beneficiaryEmail",
    "notAfter",
    "metadata",
];
/// The fields every job message has.
pub const REQUIRED: [&str; 3] = ["partnerReferenceNo", "customerNumber", "amount"];
/// The fields of `amount`, all of them required.
pub const AMOUNT_FIELDS: [&str; 2] = ["value", "currency"];

/// What the intake has to know of one configured provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderRule {
    /// Its name in the configuration.
    pub name: String,
    /// Its profile carries `beneficiaryProvider`, so a job must bring one.
    pub needs_beneficiary_provider: bool,
}

/// The configured providers, as far as a message can name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Providers {
    rules: Vec<ProviderRule>,
    default: Option<usize>,
}

impl Providers {
    /// The providers of a configuration; a message may leave the provider out where there is just one or a default.
    pub fn new(rules: Vec<ProviderRule>, default: Option<&str>) -> Self {
        let default = match default {
            Some(name) => rules.iter().position(|rule| rule.name == name),
            None => (rules.len() == 1).then_some(0),
        };
        Self { rules, default }
    }

    /// The provider of that name.
    pub fn get(&self, name: &str) -> Option<&ProviderRule> {
        self.rules.iter().find(|rule| rule.name == name)
    }

    /// The provider of a message that names none.
    pub fn default_rule(&self) -> Option<&ProviderRule> {
        self.default.and_then(|index| self.rules.get(index))
    }
}

/// A message that cannot become a job. `Display` is the detail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refused {
    /// `malformed` or `unknown_provider`.
    pub reason: DeadReason,
    /// The field at fault, as a path such as `amount.value`; none where the message as a whole is.
    pub field: Option<String>,
    /// What is wrong; names the field, repeats no value.
    pub detail: String,
    /// The `partnerReferenceNo`, where one valid one could be read.
    pub claimed_reference: Option<String>,
    /// The configured provider it is meant for, where that is known.
    pub provider: Option<String>,
}

/// The places of [`FIELDS`].
mod place {
    pub(super) const PARTNER_REFERENCE_NO: usize = 0;
    pub(super) const CUSTOMER_NUMBER: usize = 1;
    pub(super) const AMOUNT: usize = 2;
    pub(super) const PROVIDER: usize = 3;
    pub(super) const CUSTOMER_NAME: usize = 4;
    pub(super) const NOTES: usize = 5;
    pub(super) const BENEFICIARY_PROVIDER: usize = 6;
    pub(super) const BENEFICIARY_EMAIL: usize = 7;
    pub(super) const NOT_AFTER: usize = 8;
    pub(super) const METADATA: usize = 9;
}

type Message<'a> = Members<'a, { FIELDS.len() }>;

/// Reads one job message.
///
/// # Errors
///
/// [`Refused`] names the first field that breaks the contract.
pub fn parse(body: &[u8], content_type: Option<&str>, providers: &Providers) -> Result<JobRequest, Refused> {
    let text = text_of(body).map_err(|problem| refused(problem, None, None))?;
    let message = Members::read(text, "", &FIELDS);
    check_content_type(content_type)
        .and_then(|()| job(&message, providers))
        .map_err(|problem| refused(problem, reference_of(&message), provider_of(&message, providers)))
}

/// The `partnerReferenceNo` that a body claims, where one valid one can be read; the rest of it may be anything.
pub fn claimed_reference(body: &[u8]) -> Option<String> {
    reference_of(&Members::read(text_of(body).ok()?, "", &FIELDS))
}

fn refused(problem: Problem, claimed_reference: Option<String>, provider: Option<String>) -> Refused {
    let Problem { reason, field, detail } = problem;
    Refused { reason, field, detail, claimed_reference, provider }
}

fn reference_of(message: &Message<'_>) -> Option<String> {
    let text = message.text(place::PARTNER_REFERENCE_NO).ok()??;
    PartnerReferenceNo::try_from(text.into_owned()).ok().map(String::from)
}

fn provider_of(message: &Message<'_>, providers: &Providers) -> Option<String> {
    let rule = if message.has(place::PROVIDER) {
        providers.get(&message.text(place::PROVIDER).ok()??)
    } else {
        // Something that is no job message at all is meant for nobody.
        providers.default_rule().filter(|_| message.any())
    };
    rule.map(|rule| rule.name.clone())
}

fn text_of(body: &[u8]) -> Result<&str, Problem> {
    if body.len() > BODY_MAX {
        return Err(Problem::message(format_args!("has {} bytes; at most {BODY_MAX} are taken", body.len())));
    }
    std::str::from_utf8(body)
        .map_err(|error| Problem::message(format_args!("is not UTF-8 from byte {} on", error.valid_up_to())))
}

/// `application/json`, with any parameters but a foreign charset; an empty property counts as absent.
fn check_content_type(content_type: Option<&str>) -> Result<(), Problem> {
    let Some(content_type) = content_type.filter(|text| !text.is_empty()) else { return Ok(()) };
    let mut parts = content_type.split(';').map(str::trim);
    if !parts.next().is_some_and(|media_type| media_type.eq_ignore_ascii_case("application/json")) {
        let is = shown(content_type);
        return Err(Problem::field("content_type", format_args!("must be application/json or absent, is {is}")));
    }
    for (name, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
        let value = value.trim().trim_matches('"');
        if name.trim().eq_ignore_ascii_case("charset") && !value.eq_ignore_ascii_case("utf-8") {
            return Err(Problem::field("content_type", "must have no charset other than utf-8"));
        }
    }
    Ok(())
}

fn job(message: &Message<'_>, providers: &Providers) -> Result<JobRequest, Problem> {
    message.check()?;
    let mut request = JobRequest {
        partner_reference_no: partner_reference_no(message)?,
        customer_number: customer_number(message)?,
        amount: amount(message)?,
        provider: String::new(),
        customer_name: free_text(message, place::CUSTOMER_NAME, CUSTOMER_NAME_MAX)?.map(Private::from),
        notes: notes(message)?.map(Private::from),
        beneficiary_provider: free_text(message, place::BENEFICIARY_PROVIDER, BENEFICIARY_PROVIDER_MAX)?,
        beneficiary_email: free_text(message, place::BENEFICIARY_EMAIL, BENEFICIARY_EMAIL_MAX)?.map(Private::from),
        not_after: not_after(message)?,
        metadata: metadata(message)?,
    };
    // Last, since it can be a fault of the configuration: what is wrong with the message itself is said first.
    let rule = provider(message, providers)?;
    if rule.needs_beneficiary_provider && request.beneficiary_provider.is_none() {
        let what = format_args!("is missing; provider {} needs it", rule.name);
        return Err(Problem::field("beneficiaryProvider", what));
    }
    request.provider.clone_from(&rule.name);
    Ok(request)
}

fn partner_reference_no(message: &Message<'_>) -> Result<PartnerReferenceNo, Problem> {
    let text = message.required_text(place::PARTNER_REFERENCE_NO)?;
    PartnerReferenceNo::try_from(text.into_owned()).map_err(|error| Problem::field("partnerReferenceNo", error))
}

fn customer_number(message: &Message<'_>) -> Result<CustomerNumber, Problem> {
    let text = message.required_text(place::CUSTOMER_NUMBER)?;
    CustomerNumber::parse(&text).map_err(|error| Problem::field("customerNumber", format_args!("is {error}")))
}

fn amount(message: &Message<'_>) -> Result<Amount, Problem> {
    let raw = message.object(place::AMOUNT)?.ok_or_else(|| message.missing(place::AMOUNT))?;
    let members = Members::read(raw, "amount", &AMOUNT_FIELDS);
    members.check()?;
    let (value, currency) = (members.required_text(0)?, members.required_text(1)?);
    if currency != "IDR" {
        return Err(Problem::field("amount.currency", "must be IDR"));
    }
    match Amount::parse_strict(&value) {
        Ok(amount) if amount.is_zero() => Err(Problem::field("amount.value", "must be more than zero")),
        Ok(amount) => Ok(amount),
        Err(error @ AmountError::Form) => Err(Problem::field("amount.value", format_args!("is {error}"))),
        Err(error @ AmountError::TooLarge) => Err(Problem::field("amount.value", format_args!("has {error}"))),
    }
}

/// An optional text, at most `max` characters.
fn free_text(message: &Message<'_>, index: usize, max: usize) -> Result<Option<String>, Problem> {
    let Some(text) = message.text(index)? else { return Ok(None) };
    let wrong = |what: &dyn Display| Err(Problem::field(FIELDS[index], what));
    if text.trim().is_empty() {
        return wrong(&"is empty; leave the field out");
    }
    if text.chars().count() > max {
        return wrong(&format_args!("has more than {max} characters"));
    }
    if text.chars().any(char::is_control) {
        return wrong(&"contains a control character");
    }
    Ok(Some(text.into_owned()))
}

/// Letters are ASCII letters: that is what the provider takes.
fn notes(message: &Message<'_>) -> Result<Option<String>, Problem> {
    let text = free_text(message, place::NOTES, NOTES_MAX)?;
    let is_taken = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'_');
    if text.as_deref().is_some_and(|text| !text.bytes().all(is_taken)) {
        return Err(Problem::field("notes", "must be letters, digits, spaces and _ only"));
    }
    Ok(text)
}

fn not_after(message: &Message<'_>) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = message.text(place::NOT_AFTER)? else { return Ok(None) };
    let at = Timestamp::parse_rfc3339(&text);
    at.map(Some).map_err(|error| Problem::field("notAfter", format_args!("is {error}")))
}

fn provider<'p>(message: &Message<'_>, providers: &'p Providers) -> Result<&'p ProviderRule, Problem> {
    let Some(name) = message.text(place::PROVIDER)? else {
        return providers.default_rule().ok_or_else(|| {
            Problem::field("provider", "is missing; several are configured and none of them is the default")
        });
    };
    if name.is_empty() {
        return Err(Problem::field("provider", "is empty; leave the field out"));
    }
    providers.get(&name).ok_or_else(|| {
        let hint = nearest(&name, providers.rules.iter().map(|rule| rule.name.as_str()));
        let hint = hint.map(|near| format!("; the nearest is {near}")).unwrap_or_default();
        let what = format_args!("{} is not configured{hint}", shown(&name));
        Problem { reason: DeadReason::UnknownProvider, ..Problem::field("provider", what) }
    })
}

/// The object as sent, byte for byte.
fn metadata(message: &Message<'_>) -> Result<Private, Problem> {
    let Some(raw) = message.object(place::METADATA)? else { return Ok(Private::from("{}")) };
    if raw.len() > METADATA_MAX {
        let what = format_args!("has {} bytes; at most {METADATA_MAX} are taken", raw.len());
        return Err(Problem::field("metadata", what));
    }
    strict_json::check(raw, &Path::Root("metadata"), 2)?;
    Ok(Private::from(raw))
}
