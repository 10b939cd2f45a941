//! The headers of SNAP requests and the three we read from answers.
//!
//! Source: ASPI data standard, hub.finpay.id api-authorization (ORIGIN), docs.midtrans.com/reference.

use std::time::Duration;

use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, RETRY_AFTER,
};
use snap_core::{ExternalId, Timestamp};

use crate::{ConfigError, Token};

pub(crate) const USER_AGENT: &str = concat!("topup-worker/", env!("CARGO_PKG_VERSION"));

const AGENT: HeaderValue = HeaderValue::from_static(USER_AGENT);
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const X_TIMESTAMP: HeaderName = HeaderName::from_static("x-timestamp");
const X_SIGNATURE: HeaderName = HeaderName::from_static("x-signature");
const X_CLIENT_KEY: HeaderName = HeaderName::from_static("x-client-key");
const X_PARTNER_ID: HeaderName = HeaderName::from_static("x-partner-id");
const X_EXTERNAL_ID: HeaderName = HeaderName::from_static("x-external-id");
const CHANNEL_ID: HeaderName = HeaderName::from_static("channel-id");

/// The values that never change, made once.
pub(crate) struct Identity {
    pub(crate) host: HeaderValue,
    pub(crate) client_key: HeaderValue,
    pub(crate) partner_id: HeaderValue,
    pub(crate) channel_id: HeaderValue,
    /// Only where the profile wants the header.
    pub(crate) origin: Option<HeaderValue>,
}

impl Identity {
    /// Headers of a transaction (37, 38, 39, 36).
    pub(crate) fn transaction(
        &self,
        token: &Token,
        external_id: &ExternalId,
        timestamp: &str,
        signature: &str,
    ) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(12);
        headers.insert(HOST, self.host.clone());
        headers.insert(hyper::header::USER_AGENT, AGENT);
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(ACCEPT, JSON);
        headers.insert(AUTHORIZATION, token.authorization());
        headers.insert(X_TIMESTAMP, made_here(timestamp));
        headers.insert(X_SIGNATURE, sensitive(signature));
        headers.insert(X_PARTNER_ID, self.partner_id.clone());
        headers.insert(X_EXTERNAL_ID, made_here(external_id.as_str()));
        headers.insert(CHANNEL_ID, self.channel_id.clone());
        if let Some(origin) = &self.origin {
            headers.insert(ORIGIN, origin.clone());
        }
        headers
    }

    /// Headers of the token request (73).
    pub(crate) fn token_request(&self, timestamp: &str, signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(ACCEPT, JSON);
        headers.insert(X_CLIENT_KEY, self.client_key.clone());
        headers.insert(X_TIMESTAMP, made_here(timestamp));
        headers.insert(X_SIGNATURE, sensitive(signature));
        headers
    }
}

/// A configured header value: present, visible ASCII, nothing a proxy could fold.
pub(crate) fn configured(setting: &'static str, value: &str) -> Result<HeaderValue, ConfigError> {
    let problem = |problem: &str| ConfigError::Setting { setting, problem: problem.to_owned() };
    if value.is_empty() {
        return Err(problem("is empty"));
    }
    if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(problem("must be printable ASCII without spaces"));
    }
    HeaderValue::from_str(value).map_err(|_invalid| problem("cannot stand in a header"))
}

fn made_here(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).expect("timestamps, Base64 and digits are visible ASCII")
}

fn sensitive(value: &str) -> HeaderValue {
    let mut value = made_here(value);
    value.set_sensitive(true);
    value
}

/// The answer's `Date`, in whole seconds.
pub(crate) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(DATE)?.to_str().ok()?)
}

/// The answer's `X-TIMESTAMP`, in whole seconds as a rule. Some providers give back the request's own.
pub(crate) fn timestamp(headers: &HeaderMap) -> Option<Timestamp> {
    Timestamp::parse_rfc3339(headers.get(X_TIMESTAMP)?.to_str().ok()?.trim()).ok()
}

/// `Retry-After` in seconds, or as a date, which is then taken relative to `now`.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match value.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => http_date(value).map(|at| at.since(now)),
    }
}

fn http_date(text: &str) -> Option<Timestamp> {
    let zoned = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Timestamp::from_millis(zoned.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn the_date_of_an_answer_is_read() {
        let read = date(&headers(DATE, "Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(read, Some(Timestamp::from_millis(784_111_777_000)));
        assert_eq!(date(&headers(DATE, "yesterday")), None);
        assert_eq!(date(&HeaderMap::new()), None);
    }

    #[test]
    fn the_timestamp_of_an_answer_is_read() {
        let read = timestamp(&headers(X_TIMESTAMP, "2024-05-01T10:20:30+07:00"));
        assert_eq!(read, Some(Timestamp::from_millis(1_714_533_630_000)));
        assert_eq!(timestamp(&headers(X_TIMESTAMP, "2024-05-01 10:20:30")), None);
        assert_eq!(timestamp(&HeaderMap::new()), None);
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let now = Timestamp::from_millis(784_111_777_000);
        let read = |value| retry_after(&headers(RETRY_AFTER, value), now);
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read("Sun, 06 Nov 1994 08:50:07 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(read("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO), "in the past: no wait");
        assert_eq!(read("soon"), None);
        assert_eq!(read("-1"), None);
    }

    #[test]
    fn a_configured_header_value_must_be_visible_ascii() {
        assert!(configured("partner_id", "82150823919040624621823174737537").is_ok());
        for bad in ["", "a b", "a\nb", "tëst"] {
            let error = configured("partner_id", bad).expect_err("refused");
            assert!(error.to_string().starts_with("partner_id "), "{error}");
        }
    }
}
