//! A built-in profile with the settings of a provider's section put over it.

use std::time::Duration;

use snap_core::{Profile, ProfileError};

use super::Section;
use crate::config::file::{self, Span};
use crate::config::unknown_keys::nearest;

/// Puts `value` over `target`, where there is one.
fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}

/// The profile that is named, without overrides.
pub(super) fn named(name: &str, section: &mut Section<'_>) -> Option<Profile> {
    let profile = Profile::builtin(name);
    if profile.is_none() {
        let hint = match nearest(name, Profile::BUILTIN.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the profiles are {}", Profile::BUILTIN.join(", ")),
        };
        section.problem("profile", format!("names `{name}`, which there is not"), hint);
    }
    profile
}

/// Takes the profile's settings out of the section and over the profile, and checks the outcome.
pub(super) fn overridden(mut profile: Profile, written: &mut file::Provider, section: &mut Section<'_>) -> Profile {
    set(&mut profile.inquiry, written.inquiry.take());
    set(&mut profile.ok_is_final, written.ok_is_final.take());
    set(&mut profile.echoes_reference, written.echoes_reference.take());
    set(&mut profile.token_body, written.token_body.take());
    set(&mut profile.status_service, written.status_service.take());
    set(&mut profile.phone_form, written.phone_form.take());
    set(&mut profile.phone_max, written.phone_max.take());
    set(&mut profile.customer_name_max, written.customer_name_max.take());
    set(&mut profile.origin_header, written.origin_header.take());
    set(&mut profile.timestamp, written.timestamp.take());
    set(&mut profile.external_id_max, written.external_id_max.take());
    set(&mut profile.missing_fee_is_zero, written.missing_fee_is_zero.take());
    set(&mut profile.original_reference_no, written.original_reference_no.take());
    set(&mut profile.overrides, written.overrides.take());

    let paths = std::mem::take(&mut written.paths);
    set(&mut profile.paths.token, paths.token);
    set(&mut profile.paths.inquiry, paths.inquiry);
    set(&mut profile.paths.topup, paths.topup);
    set(&mut profile.paths.status, paths.status);

    let signed = std::mem::take(&mut written.signing_paths);
    set(&mut profile.signing_paths.inquiry, signed.inquiry.map(Some));
    set(&mut profile.signing_paths.topup, signed.topup.map(Some));
    set(&mut profile.signing_paths.status, signed.status.map(Some));

    let fields = std::mem::take(&mut written.top_up_fields);
    set(&mut profile.top_up_fields.fee_amount, fields.fee_amount);
    set(&mut profile.top_up_fields.transaction_date, fields.transaction_date);
    set(&mut profile.top_up_fields.notes, fields.notes);
    set(&mut profile.top_up_fields.beneficiary_provider, fields.beneficiary_provider);
    set(&mut profile.top_up_fields.beneficiary_email, fields.beneficiary_email);

    let fields = std::mem::take(&mut written.inquiry_fields);
    set(&mut profile.inquiry_fields.partner_reference_no, fields.partner_reference_no);
    set(&mut profile.inquiry_fields.transaction_date, fields.transaction_date);
    set(&mut profile.inquiry_fields.beneficiary_provider, fields.beneficiary_provider);

    section.below("status", |section| waiting_times(&mut profile, &written.status, section));
    check(&profile, section);
    profile
}

fn waiting_times(profile: &mut Profile, written: &file::Status, section: &mut Section<'_>) {
    let defaults = &mut profile.defaults;
    // No quiet period at all is allowed here and warned about by `check`.
    set(&mut defaults.quiet_period, written.quiet_period.map(|Span(span)| span));
    let mut put = |key: &str, target: &mut Duration, span: Option<Span>| *target = section.span(key, span, *target);
    put("first_after", &mut defaults.first_after, written.first_after);
    put("interval_max", &mut defaults.interval_max, written.interval_max);
    put("give_up_after", &mut defaults.give_up_after, written.give_up_after);
    put("uniqueness_window", &mut defaults.uniqueness_window, written.uniqueness_window);
}

fn check(profile: &Profile, section: &mut Section<'_>) {
    match profile.check() {
        Ok(()) => {}
        Err(ProfileError::Path(name)) => section.problem(
            name,
            "is no plain path",
            "it begins with / and has no query; what comes before it belongs to base_url",
        ),
        Err(ProfileError::StatusService) => {
            section.problem("status_service", "does not tell the status of a top-up", "it is 39 or 36");
        }
        Err(ProfileError::TokenBody) => {
            section.problem("token_body", "is no JSON object", r#"as '{"grantType":"client_credentials"}'"#);
        }
        Err(ProfileError::ExternalIdMax) => {
            section.problem("external_id_max", "is less than the 32 digits of our numbers", "leave it out");
        }
        Err(other) => section.problem("profile", format!("cannot be used: {other}"), "leave out what overrides it"),
    }
    for place in crate::provider::without_effect(profile) {
        let rule = &profile.overrides[place];
        section.problem(
            &format!("overrides[{place}]"),
            format!(
                "has no effect: a status inquiry (service {}) answered with {} is read the same without it",
                profile.status_service.code(),
                rule.code
            ),
            "leave it out; there `success` (its latestTransactionStatus counts), `pending` and `auth_refresh` have an effect, \
             and whatever takes a standard meaning away",
        );
    }
    for (key, max) in [("phone_max", profile.phone_max), ("customer_name_max", profile.customer_name_max)] {
        if max == 0 {
            section.problem(key, "must be at least 1", "leave it out");
        }
    }
}
