//! Answers are hostile: what is readable is read, what is not is said to be unreadable, nothing panics.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::time::Duration;

use proptest::prelude::*;
use serde::Deserialize;
use snap_core::{
    AccessTokenResponse, AccountInquiryResponse, Amount, AnswerHead, ResponseCode, TopUpResponse, TopUpStatusResponse,
    TransactionStatus, UnreadableAnswer, parse_answer,
};

#[derive(Deserialize)]
struct Sample {
    id: String,
    body: String,
}

fn sample(id: &str) -> String {
    let mut file: toml::Table = toml::from_str(include_str!("../fixtures/answers.toml")).unwrap();
    let samples: Vec<Sample> = file.remove("answer").unwrap().try_into().unwrap();
    samples.into_iter().find(|sample| sample.id == id).unwrap().body
}

fn code(digits: &str) -> Option<ResponseCode> {
    Some(digits.parse().unwrap())
}

fn amount(text: &str) -> Amount {
    Amount::parse_strict(text).unwrap()
}

fn top_up(body: &str) -> TopUpResponse {
    parse_answer(body.as_bytes()).unwrap()
}

#[test]
fn the_finpay_top_up_sample_is_read() {
    let answer = top_up(&sample("finpay top-up"));
    assert_eq!(answer.code(), code("2003800"));
    assert_eq!(answer.reference_no.as_deref(), Some("2211150005490937"));
    assert_eq!(answer.partner_reference_no.as_deref(), Some("78912343452347893"));
    assert_eq!(answer.customer_number.unwrap().expose(), "081977817902");
    assert_eq!(answer.customer_name, None);
    assert!(answer.amount.unwrap().agrees_with(amount("10000.00")));
}

#[test]
fn the_finpay_inquiry_sample_is_read() {
    let answer: AccountInquiryResponse = parse_answer(sample("finpay account inquiry").as_bytes()).unwrap();
    assert_eq!(answer.code(), code("2003700"));
    assert_eq!(answer.customer_name.unwrap().expose(), "sa**m");
    assert_eq!(answer.min_amount.unwrap().amount(), Some(amount("10000.00")));
    assert_eq!(answer.max_amount, None);
    assert_eq!(answer.fee_amount.unwrap().amount(), Some(Amount::ZERO));
    assert_eq!(answer.fee_type.as_deref(), Some("Admin fee"));
}

#[test]
fn the_midtrans_samples_are_read() {
    let answer = top_up(&sample("midtrans top-up"));
    assert_eq!(answer.code(), code("2023800"));
    assert_eq!(answer.reference_no.as_deref(), Some("558rFI9lxMdQlOkm65"));
    let refusal = top_up(&sample("midtrans refusal"));
    assert_eq!(refusal.code(), code("4003800"));
    assert_eq!(refusal.amount, None);
}

#[test]
fn a_status_not_found_with_an_amount_of_nothing_is_read() {
    let answer: TopUpStatusResponse = parse_answer(sample("finpay status not found").as_bytes()).unwrap();
    assert_eq!(answer.status(), Some(TransactionStatus::NotFound));
    assert_eq!(answer.amount.unwrap().amount(), Some(Amount::ZERO));
    assert_eq!(answer.original_reference_no.as_deref(), Some(""));
}

#[test]
fn an_unknown_or_missing_status_says_nothing() {
    for body in [
        r#"{}"#,
        r#"{"latestTransactionStatus":null}"#,
        r#"{"latestTransactionStatus":""}"#,
        r#"{"latestTransactionStatus":"08"}"#,
        r#"{"latestTransactionStatus":"0"}"#,
        r#"{"latestTransactionStatus":0}"#,
        r#"{"latestTransactionStatus":" 00"}"#,
        r#"{"latestTransactionStatus":"SUCCESS"}"#,
    ] {
        let answer: TopUpStatusResponse = parse_answer(body.as_bytes()).unwrap();
        assert_eq!(answer.status(), None, "{body}");
    }
}

#[test]
fn a_token_lives_as_long_as_it_says_or_900_seconds() {
    let lifetime = |expires_in: &str| {
        let body = format!(r#"{{"accessToken":"t","expiresIn":{expires_in}}}"#);
        parse_answer::<AccessTokenResponse>(body.as_bytes()).unwrap().lifetime()
    };
    let seconds = Duration::from_secs;
    assert_eq!(lifetime("\"900\""), seconds(900));
    assert_eq!(lifetime("3600"), seconds(3600));
    assert_eq!(lifetime("\"2024-05-01T10:20:30+07:00\""), seconds(900));
    assert_eq!(lifetime("null"), seconds(900));
    assert_eq!(lifetime("0"), seconds(900));
    assert_eq!(lifetime("-1"), seconds(900));
    assert_eq!(lifetime("18446744073709551615"), seconds(86_400));
    assert_eq!(lifetime("99999999999999999999999"), seconds(900));
}

#[test]
fn texts_may_come_as_numbers_and_keep_every_digit() {
    let answer =
        top_up(r#"{"responseCode":2003800,"referenceNo":61945219227478976148442931867349,"responseMessage":true}"#);
    assert_eq!(answer.code(), code("2003800"));
    assert_eq!(answer.reference_no.as_deref(), Some("61945219227478976148442931867349"));
    assert_eq!(answer.response_message.as_deref(), Some("true"));
}

#[test]
fn escapes_in_texts_are_read() {
    let answer = top_up(r#"{"referenceNo":"A\/B\u00eb\"\\"}"#);
    assert_eq!(answer.reference_no.as_deref(), Some("A/Bë\"\\"));
}

#[test]
fn amounts_come_in_many_spellings() {
    let read = |money: &str| {
        let answer = top_up(&format!(r#"{{"responseCode":"2003800","amount":{money}}}"#));
        assert_eq!(answer.code(), code("2003800"), "{money}");
        answer.amount.and_then(|money| money.amount())
    };
    for same in [
        r#"{"value":"10000.00","currency":"IDR"}"#,
        r#"{"currency":"idr","value":"10000"}"#,
        r#"{"value":"10000.0"}"#,
        r#"{"value":10000,"currency":null,"more":[]}"#,
        r#"{"value":10000.000}"#,
    ] {
        assert_eq!(read(same), Some(amount("10000.00")), "{same}");
    }
    assert_eq!(read(r#"{"value":"0"}"#), Some(Amount::ZERO));
    assert_eq!(read(r#"{"value":9007199254740993.01}"#), Some(amount("9007199254740993.01")));
    assert_eq!(read("null"), None);
}

#[test]
fn an_unreadable_amount_is_there_but_agrees_with_nothing() {
    for money in [
        r#""10000.00""#,
        "10000",
        "[]",
        r#"["10000.00","IDR"]"#,
        "{}",
        r#"{"value":null}"#,
        r#"{"value":"10000.00","currency":"USD"}"#,
        r#"{"value":"10000.00","value":"1.00"}"#,
        r#"{"value":"1e4"}"#,
        r#"{"value":1e4}"#,
        r#"{"value":"-10000.00"}"#,
        r#"{"value":"10,000.00"}"#,
        r#"{"value":" 10000.00"}"#,
        r#"{"value":"10000.001"}"#,
        r#"{"value":"10000."}"#,
        r#"{"value":{"value":"10000.00"}}"#,
    ] {
        let read = top_up(&format!(r#"{{"amount":{money}}}"#)).amount.expect("there");
        assert_eq!(read.amount(), None, "{money}");
        assert!(!read.agrees_with(amount("10000.00")), "{money}");
        assert!(!read.agrees_with(Amount::ZERO), "{money}");
    }
}

#[test]
fn what_is_no_object_is_no_answer() {
    for body in ["", " ", "null", "[]", r#"["2003800"]"#, r#""2003800""#, "<html>502 Bad Gateway</html>", "\u{feff}{}"]
    {
        assert_eq!(parse_answer::<AnswerHead>(body.as_bytes()), Err(UnreadableAnswer::NotAnObject), "{body:?}");
    }
    assert_eq!(parse_answer::<AnswerHead>(&[0xff, 0xfe]), Err(UnreadableAnswer::NotAnObject));
}

#[test]
fn a_broken_or_contradictory_object_is_unreadable() {
    for body in [
        "{",
        r#"{"responseCode":"2003800""#,
        r#"{"responseCode":"2003800"}{}"#,
        r#"{"responseCode":"2003800","responseCode":"4033814"}"#,
        r#"{"responseCode":{"value":"2003800"}}"#,
        r#"{"responseCode":["2003800"]}"#,
        "{\"responseCode\":\"\u{1}\"}",
        r#"{"responseCode":"\ud800"}"#,
        r#"{"responseCode":0123456}"#,
    ] {
        assert!(matches!(parse_answer::<TopUpResponse>(body.as_bytes()), Err(UnreadableAnswer::At { .. })), "{body}");
    }
    assert!(parse_answer::<TopUpResponse>(b"{\"responseCode\":\"\xff\"}").is_err());
}

#[test]
fn a_code_that_is_none_is_kept_as_it_came() {
    let answer = top_up(r#"{"responseCode":"OK"}"#);
    assert_eq!((answer.response_code.as_deref(), answer.code()), (Some("OK"), None));
    assert_eq!(top_up("{}").code(), None);
}

#[test]
fn a_token_and_a_status_have_their_code_and_a_status_its_digits() {
    let token: AccessTokenResponse = parse_answer(br#"{"responseCode":"2007300"}"#).unwrap();
    assert_eq!(token.code(), code("2007300"));
    let body = br#"{"responseCode":"2003900","latestTransactionStatus":"05"}"#;
    let status: TopUpStatusResponse = parse_answer(body).unwrap();
    assert_eq!((status.code(), status.status().unwrap().to_string().as_str()), (code("2003900"), "05"));
}

#[test]
fn an_error_about_an_answer_never_quotes_it() {
    let error = parse_answer::<TopUpResponse>(br#"{"customerName":["Siti Aminah"]}"#).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("Siti"));
}

#[test]
fn answers_show_neither_names_nor_numbers_nor_tokens() {
    let answer = top_up(r#"{"customerNumber":"081977817902","customerName":"Siti Aminah"}"#);
    let token: AccessTokenResponse = parse_answer(br#"{"accessToken":"eyJhbGciOi"}"#).unwrap();
    let shown = format!("{answer:?} {token:?}");
    assert!(!shown.contains("7902") && !shown.contains("Siti") && !shown.contains("eyJ"), "{shown}");
}

#[test]
fn depth_costs_nothing() {
    let depth = 500_000;
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        // Ignored, where a text belongs, where money belongs, and inside money.
        let head: AnswerHead = parse_answer(format!(r#"{{"x":{deep},"responseCode":"2003800"}}"#).as_bytes()).unwrap();
        assert_eq!(head.code(), code("2003800"));
        assert!(parse_answer::<AnswerHead>(format!(r#"{{"responseCode":{deep}}}"#).as_bytes()).is_err());
        for money in [deep.clone(), format!(r#"{{"value":{deep}}}"#), format!(r#"{{"x":{deep}}}"#)] {
            assert_eq!(top_up(&format!(r#"{{"amount":{money}}}"#)).amount.unwrap().amount(), None);
        }
        assert!(parse_answer::<AnswerHead>(open.repeat(depth).as_bytes()).is_err());
    }
}

/// It is enough that it came back.
fn returns<T>(_: T) {}

fn read_as_everything(body: &[u8]) {
    returns(parse_answer::<AnswerHead>(body));
    returns(parse_answer::<AccessTokenResponse>(body).map(|answer| answer.lifetime()));
    returns(parse_answer::<AccountInquiryResponse>(body));
    returns(parse_answer::<TopUpResponse>(body).map(|answer| answer.code()));
    returns(parse_answer::<TopUpStatusResponse>(body).map(|answer| answer.status()));
}

proptest! {
    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..512)) {
        read_as_everything(&body);
    }

    #[test]
    fn no_damaged_answer_panics(
        at in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        id in prop::sample::select(vec![
            "finpay top-up", "finpay account inquiry", "midtrans top-up", "finpay status not found", "midtrans token",
        ]),
    ) {
        let mut body = sample(id).into_bytes();
        let place = at.index(body.len());
        body[place] = byte;
        read_as_everything(&body);
        body.truncate(cut.index(body.len()));
        read_as_everything(&body);
    }
}
