//! Answers to the token request.

use std::time::Duration;

use snap_client::{TokenFailure, token_of};

use super::answer::case;
use crate::reading::{is_fit_to_show, repeats_no_number};

pub(super) const WORDS: &[&str] = &[
    "finpay 200\n",
    "finpay 401\n",
    "finpay 500\n",
    "finpay 302\n",
    "finpay silent\n",
    "{",
    "}",
    "\"accessToken\":\"abc.def\"",
    "\"responseCode\":\"2007300\"",
    "\"responseCode\":\"4017300\"",
    "\"responseCode\":\"5007300\"",
    "\"expiresIn\":\"900\"",
    "\"expiresIn\":900",
    "\"expiresIn\":-1",
    "\"expiresIn\":1e9",
    "18446744073709551615",
    "\"tokenType\":\"Bearer\"",
    "null",
    "[",
    "\\u0000",
    "\\r\\n",
    "é",
];

pub(super) fn check(data: &[u8]) {
    let case = case(data);
    let success = |status: u16| (200..300).contains(&status);
    let code =
        case.text("responseCode").filter(|code| code.len() == 7 && code.bytes().all(|byte| byte.is_ascii_digit()));
    let code = code.and_then(|code| code.get(..3)?.parse::<u16>().ok());
    match token_of(&case.reply) {
        Ok((token, lifetime)) => {
            assert!(case.http.is_some_and(success) && code.is_none_or(success), "a token of {:?}, {code:?}", case.http);
            assert_eq!(case.text("accessToken").as_deref(), Some(token.expose()));
            assert!(!format!("{token:?}").contains(token.expose()) || token.expose().len() < 9, "the token is shown");
            assert!(lifetime > Duration::ZERO && lifetime <= Duration::from_secs(86_400), "it lives for {lifetime:?}");
        }
        Err(failure) => {
            let said = failure.to_string();
            is_fit_to_show(&said, 200);
            repeats_no_number(&said, &String::from_utf8_lossy(data));
            let token = case.text("accessToken").filter(|token| token.len() >= 9);
            assert!(token.is_none_or(|token| !said.contains(&token)), "the token came back: {said}");
            // Only an answer refuses.
            let is_refusal = matches!(failure, TokenFailure::Refused { .. });
            assert!(!is_refusal || case.http.is_some(), "silence is no refusal");
        }
    }
}
