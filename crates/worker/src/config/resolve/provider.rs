//! One provider's section.

use std::sync::Arc;
use std::time::Duration;

use super::{Section, profile};
use crate::config::file::{self, Span};
use crate::config::secret::beside;
use crate::config::{ProviderConfig, RetryConfig};

const ISSUED: &str = "the provider issues it with the contract";

/// The provider, unless something it cannot be without is missing.
pub(super) fn resolve(name: &str, mut written: file::Provider, section: &mut Section<'_>) -> Option<ProviderConfig> {
    check_name(name, section);
    let named = section.required("profile", written.profile.take(), "\"finpay\" or \"midtrans\"");
    let profile = named
        .and_then(|named| profile::named(&named, section))
        .map(|profile| profile::overridden(profile, &mut written, section));
    let base_url = section.required("base_url", written.base_url, "the provider's host, with https://");
    let base_url = base_url.filter(|url| is_usable(url, section));
    let client_key = section.required("client_key", written.client_key, ISSUED);
    let partner_id = section.required("partner_id", written.partner_id, ISSUED);
    let channel_id = section.required("channel_id", written.channel_id, ISSUED);
    let headers = [("client_key", &client_key), ("partner_id", &partner_id), ("channel_id", &channel_id)];
    for (key, value) in headers.into_iter().chain([("origin", &written.origin)]) {
        check_header(key, value.as_deref(), section);
    }
    if profile.as_ref().is_some_and(|profile| profile.origin_header) {
        section.required(
            "origin",
            written.origin.as_ref(),
            "the ORIGIN header: your domain, as agreed with the provider",
        );
    }
    let from = "{ env = \"NAME\" } or { file = \"path\" }";
    let client_secret = section.required("client_secret", written.client_secret, from);
    let private_key = section.required("private_key", written.private_key, from);

    let max_in_flight = written.max_in_flight.unwrap_or(64);
    section.range("max_in_flight", max_in_flight, 1, 10_000);
    let connect_timeout = section.span("connect_timeout", written.connect_timeout, Duration::from_secs(3));
    let request_timeout = section.span("request_timeout", written.request_timeout, Duration::from_secs(30));
    let send_within = section.span("send_within", written.send_within, ProviderConfig::SEND_WITHIN);
    let probe_initial = section.span("probe_initial", written.probe_initial, Duration::from_secs(5));
    let probe_max = section.span("probe_max", written.probe_max, Duration::from_secs(300));
    check_order("probe_initial", probe_initial, "probe_max", probe_max, section);
    let inquiry_max_age = written.inquiry_max_age.map_or(Duration::from_secs(300), |Span(span)| span);
    let retry = section.below("retry", |section| retry(&written.retry, section));

    Some(ProviderConfig {
        file: section.file.to_owned(),
        name: name.to_owned(),
        profile: Arc::new(profile?),
        base_url: base_url?,
        client_key: client_key?,
        client_secret: section.secret("client_secret", client_secret?),
        private_key: section.secret("private_key", private_key?),
        partner_id: partner_id?,
        channel_id: channel_id?,
        origin: written.origin,
        ca_file: written.ca_file.map(|path| beside(section.file, &path)),
        max_in_flight: usize::try_from(max_in_flight).expect("at most 10,000"),
        rate_limit: written.rate_limit.unwrap_or(0),
        connect_timeout,
        request_timeout,
        send_within,
        probe_initial,
        probe_max,
        inquiry_max_age,
        retry: retry?,
    })
}

/// The name stands in URLs of events, in metrics, in command lines and in names of variables.
fn check_name(name: &str, section: &mut Section<'_>) {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    let begins_well = name.starts_with(|first: char| first.is_ascii_lowercase());
    if !begins_well || name.len() > 32 || !name.bytes().all(plain) || name.contains("__") {
        section.problems.push(crate::config::Problem::at(
            section.path.clone(),
            "cannot be a provider's name",
            "up to 32 lower-case letters, digits, dashes and single underscores, beginning with a letter",
        ));
    }
}

fn is_usable(base_url: &str, section: &mut Section<'_>) -> bool {
    match snap_client::check_base_url(base_url) {
        Ok(()) => true,
        Err(snap_client::ConfigError::Setting { problem, .. }) => {
            section.problem("base_url", problem, "as https://host or https://host/prefix");
            false
        }
        Err(other) => {
            section.problem("base_url", other.to_string(), "as https://host or https://host/prefix");
            false
        }
    }
}

fn check_header(key: &str, value: Option<&str>, section: &mut Section<'_>) {
    match value {
        Some("") => section.problem(key, "is empty", ISSUED),
        Some(value) if !value.bytes().all(|byte| byte.is_ascii_graphic()) => {
            section.problem(key, "cannot stand in a header", "printable ASCII without spaces");
        }
        _ => {}
    }
}

fn check_order(shorter: &str, short: Duration, longer: &str, long: Duration, section: &mut Section<'_>) {
    if short > long {
        section.problem(shorter, format!("is longer than {longer}"), format!("shorten it, or lengthen {longer}"));
    }
}

fn retry(written: &file::Retry, section: &mut Section<'_>) -> Option<RetryConfig> {
    let initial = section.span("initial", written.initial, Duration::from_secs(1));
    let max = section.span("max", written.max, Duration::from_secs(300));
    check_order("initial", initial, "max", max, section);
    let multiplier = written.multiplier.unwrap_or(2.0);
    if !(1.0..=100.0).contains(&multiplier) {
        section.problem("multiplier", format!("is {multiplier}"), "it goes from 1 (no growth) to 100");
    }
    let jitter = written.jitter.unwrap_or(0.2);
    let jitter_ppm = parts_per_million(jitter);
    if jitter_ppm.is_none() {
        section.problem("jitter", format!("is {jitter}"), "it is a share of the pause, from 0 to 1");
    }
    let attempts = written.attempts.unwrap_or(8);
    section.range("attempts", attempts, 1, 1000);
    Some(RetryConfig { initial, max, multiplier, jitter_ppm: jitter_ppm?, attempts })
}

/// By its digits, so that no float is ever calculated with.
fn parts_per_million(share: f64) -> Option<u32> {
    (0.0..=1.0).contains(&share).then(|| format!("{share:.6}").replace('.', "").parse().ok()).flatten()
}
