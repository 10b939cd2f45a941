//! What a response code means for the money. The rules are the matches in here; the table is only tested against them.

use crate::{Class, Profile, ResponseCode, Service};

/// The class of a code that answered a call of `service`.
///
/// The profile's overrides win. A code of another service, or an unknown one, proves nothing. The answer of a status
/// inquiry is never success here, and never a refusal of the top-up: that is what
/// [`TransactionStatus::class`](crate::TransactionStatus::class) is for.
pub fn classify(profile: &Profile, service: Service, code: ResponseCode) -> Class {
    if let Some(class) = profile.class_override(service, code) {
        return class;
    }
    if code.service() != service.code() {
        return unknown(service);
    }
    let (http, case) = (code.http_status(), code.case());
    match service {
        Service::TopUp if (http, case) == (200, 0) && !profile.ok_is_final => Class::Pending,
        Service::TopUp => of_top_up(http, case),
        Service::AccountInquiry => of_inquiry(http, case),
        Service::TopUpStatus | Service::TransferStatus => of_status(http, case),
        Service::AccessToken => of_token(http, case),
    }
}

/// The class of a whole reply: as [`classify`], but a missing code, or one that disagrees with the HTTP status, proves
/// nothing.
pub fn classify_reply(profile: &Profile, service: Service, http_status: u16, code: Option<ResponseCode>) -> Class {
    match code {
        Some(code) if code.http_status() == http_status => classify(profile, service, code),
        _ => unknown(service),
    }
}

/// What is not understood is doubt where money moves, and asked again where none does.
const fn unknown(service: Service) -> Class {
    if service.moves_money() { Class::Ambiguous } else { Class::RetrySafe }
}

/// The standard's case codes as the answer of a call that moves money.
/// Source: `fixtures/response-codes.csv`, rows `standard,any`.
const fn of_top_up(http: u16, case: u8) -> Class {
    match (http, case) {
        (200, 0) => Class::Success,
        (202, 0) => Class::Pending,
        (400, 0..=2) => Class::ConfigError,
        (401, 1 | 3) => Class::AuthRefresh,
        (401, 0 | 2 | 4) => Class::ConfigError,
        (403, 4 | 6 | 14 | 20) => Class::RetrySafe,
        (403, 0 | 2 | 3 | 5 | 7..=9 | 15 | 17 | 18 | 23) => Class::BusinessReject,
        (403, 1 | 10..=13 | 19 | 21 | 22) => Class::ConfigError,
        (404, 9 | 11..=13 | 19) => Class::BusinessReject,
        (404, 2 | 3 | 5..=8 | 10 | 15..=17) => Class::ConfigError,
        (404, 14) | (409, 0 | 1) => Class::Duplicate,
        (405, 0 | 1) => Class::ConfigError,
        (429, 0) => Class::RetrySafe,
        // 403 16, 404 00/01/04/18, every 5xx, and whatever the standard does not list.
        _ => Class::Ambiguous,
    }
}

/// An inquiry moves nothing, so there is no doubt to settle: it is free to be asked again.
const fn of_inquiry(http: u16, case: u8) -> Class {
    match of_top_up(http, case) {
        Class::Ambiguous | Class::Duplicate => Class::RetrySafe,
        class => class,
    }
}

/// About the question, not about the top-up. Source: rows `standard,39`.
const fn of_status(http: u16, case: u8) -> Class {
    match (http, case) {
        // Answered; what became of the top-up stands in the body.
        (200, 0) => Class::Ambiguous,
        (404, 0 | 1 | 18) => Class::Ambiguous,
        _ => match of_top_up(http, case) {
            // A refusal of the question must never pass for a refusal of the top-up.
            Class::Ambiguous | Class::Duplicate | Class::BusinessReject | Class::Success => Class::RetrySafe,
            class => class,
        },
    }
}

/// A token has no customer to refuse and no token to refresh. Source: rows `standard,73`.
const fn of_token(http: u16, case: u8) -> Class {
    match of_top_up(http, case) {
        Class::BusinessReject | Class::AuthRefresh => Class::ConfigError,
        Class::Ambiguous | Class::Duplicate => Class::RetrySafe,
        class => class,
    }
}
