//! Which overrides say something of the status inquiry's answers that would not be read so without them.

use std::time::Duration;

use snap_client::{Answered, Reply};
use snap_core::{Amount, CodeOverride, Profile, ResponseCode, Service, Timestamp};

use super::{Expected, Reading, status};

const REFERENCE: &str = "-";
const STATUSES: [Option<&str>; 4] = [None, Some("00"), Some("03"), Some("07")];
/// Of patterns that leave it open.
const HTTP: [u16; 15] = [200, 202, 401, 403, 404, 400, 429, 500, 503, 504, 409, 405, 422, 201, 502];

/// The place of each override that is meant for the status inquiry alone and changes no reading of it, counted from 0.
pub(crate) fn without_effect(profile: &Profile) -> Vec<usize> {
    let idle = |&place: &usize| {
        let rule = &profile.overrides[place];
        is_for_status_alone(rule) && !has_effect(profile, place)
    };
    (0..profile.overrides.len()).filter(idle).collect()
}

fn is_for_status_alone(rule: &CodeOverride) -> bool {
    match rule.service {
        Some(service) => service.asks_status(),
        None => {
            let digits = rule.code.to_string()[3..5].parse::<u8>().ok().and_then(Service::from_code);
            digits.is_some_and(Service::asks_status)
        }
    }
}

fn has_effect(profile: &Profile, place: usize) -> bool {
    let rule = &profile.overrides[place];
    let mut without = profile.clone();
    without.overrides.remove(place);
    let codes = codes(rule, profile.status_service);
    let mut answers = codes.flat_map(|code| STATUSES.map(|status| answer(code, status)));
    answers.any(|answer| meaning(&read(profile, &answer)) != meaning(&read(&without, &answer)))
}

/// The codes that the rule is about, as answers of this service.
fn codes(rule: &CodeOverride, service: Service) -> impl Iterator<Item = ResponseCode> {
    let pattern = rule.code.to_string();
    let https: Vec<u16> = pattern[..3].parse().map_or_else(|_open| HTTP.to_vec(), |http| vec![http]);
    let digits = pattern[3..5].parse().unwrap_or_else(|_open| service.code());
    let all = https.into_iter().flat_map(move |http| (0..100).map(move |case| (http, case)));
    let codes = all.filter_map(move |(http, case)| ResponseCode::parse(&format!("{http:03}{digits:02}{case:02}")).ok());
    codes.filter(move |code| rule.applies(service, *code))
}

fn answer(code: ResponseCode, status: Option<&str>) -> Reply {
    let body = serde_json::json!({
        "responseCode": code.as_str(),
        "originalPartnerReferenceNo": REFERENCE,
        "latestTransactionStatus": status,
    });
    Reply::Answered(Answered {
        http_status: code.http_status(),
        body: body.to_string().into(),
        surplus: false,
        may_be_earlier: false,
        retry_after: None,
        date: None,
        elapsed: Duration::ZERO,
    })
}

fn read(profile: &Profile, reply: &Reply) -> Reading {
    let expected = Expected { reference: REFERENCE, amount: Amount::ZERO, has_customer_name: true };
    status(profile, expected, Timestamp::from_millis(0), reply)
}

/// All of a reading that something follows from.
fn meaning(reading: &Reading) -> (&engine::Event, crate::lane::Signal, Option<snap_core::LaneFault>) {
    (&reading.event, reading.signal, reading.token_refused)
}
