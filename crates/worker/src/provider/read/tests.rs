//! Replies of every kind against the readings the money rules demand.

mod belongs;
mod earlier;
mod kept;
mod known;

use std::time::Duration;

use engine::{Answer, Event, Retry, StatusAnswer};
use snap_client::{Answered, Belongs, Bytes, NotSentReason, Reply, Silence};

use super::*;

const REFERENCE: &str = "78912343452347893";

fn profile(name: &str) -> Profile {
    Profile::builtin(name).unwrap()
}

fn expected() -> Expected<'static> {
    let amount = Amount::parse_strict("10000.00").unwrap();
    Expected { reference: REFERENCE, amount, has_customer_name: false }
}

fn answered(http_status: u16, body: &str) -> Reply {
    Reply::Answered(Answered {
        http_status,
        body: Bytes::copy_from_slice(body.as_bytes()),
        surplus: false,
        may_be_earlier: false,
        retry_after: None,
        date: None,
        elapsed: Duration::ZERO,
    })
}

fn code(code: &str) -> Reply {
    let http = code[..3].parse().unwrap();
    answered(http, &format!(r#"{{"responseCode":"{code}","responseMessage":"x"}}"#))
}

fn silent(why: Silence) -> Reply {
    Reply::Silent { why, detail: String::new(), http_status: None, elapsed: Duration::ZERO }
}

fn not_sent() -> Reply {
    Reply::NotSent { why: NotSentReason::Connect, detail: String::new(), elapsed: Duration::ZERO }
}

fn answer(name: &str, reply: &Reply) -> Answer {
    match top_up(&profile(name), expected(), reply).event {
        Event::TopUp(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn told(name: &str, reply: &Reply) -> StatusAnswer {
    match status(&profile(name), expected(), Timestamp::from_millis(0), reply).event {
        Event::Checked { answer, .. } => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn m2_whatever_is_not_understood_leaves_a_top_up_in_doubt() {
    let foreign = answered(200, r#"{"responseCode":"2003900","responseMessage":"Successful"}"#);
    let disagreeing = [answered(200, r#"{"responseCode":"4033805"}"#), answered(400, r#"{"responseCode":"2003800"}"#)];
    let unreadable = [
        "",
        "<html>502</html>",
        "[]",
        "null",
        "{}",
        r#"{"responseCode":2}"#,
        r#"{"responseCode":"20038"}"#,
        "\u{feff}{}",
    ];
    for name in ["finpay", "midtrans"] {
        assert_eq!(answer(name, &foreign), Answer::Unknown);
        for reply in &disagreeing {
            assert_eq!(answer(name, reply), Answer::Unknown);
        }
        for http in [200, 202, 307, 400, 401, 404, 429, 500, 502, 503, 504] {
            for body in unreadable {
                assert_eq!(answer(name, &answered(http, body)), Answer::Unknown, "{http} {body}");
            }
        }
        for why in [Silence::Timeout, Silence::Reset, Silence::NotHttp, Silence::Truncated, Silence::TooLarge] {
            assert_eq!(answer(name, &silent(why)), Answer::Unknown, "{why}");
        }
        for doubtful in ["5003800", "5003801", "5003802", "5043800", "4043801", "2993899", "4993800", "4033816"] {
            assert_eq!(answer(name, &code(doubtful)), Answer::Unknown, "{doubtful}");
        }
    }
}

#[test]
fn m7_success_needs_the_right_code_reference_and_amount() {
    let ok = |reference: &str, value: &str| {
        answered(
            200,
            &format!(
                r#"{{"responseCode":"2003800","referenceNo":"22","partnerReferenceNo":{reference},"amount":{{"value":{value},"currency":"IDR"}}}}"#
            ),
        )
    };
    let ours = format!("\"{REFERENCE}\"");
    for value in [r#""10000.00""#, r#""10000""#, r#""10000.0""#, "10000"] {
        assert_eq!(answer("finpay", &ok(&ours, value)), Answer::Paid, "{value}");
    }
    let without_amount = format!(r#"{{"responseCode":"2003800","partnerReferenceNo":{ours}}}"#);
    assert_eq!(answer("finpay", &answered(200, &without_amount)), Answer::Paid, "absent is not different");
    for value in [r#""10000.01""#, r#""1000.00""#, r#""much""#, "{}"] {
        assert_eq!(answer("finpay", &ok(&ours, value)), Answer::Inconsistent, "{value}");
    }
    assert_eq!(answer("finpay", &ok("\"78912343452347892\"", r#""10000.00""#)), Answer::Inconsistent);
    assert_eq!(answer("midtrans", &ok(&ours, r#""10000.00""#)), Answer::Accepted, "200 is not final there");
    assert_eq!(answer("midtrans", &code("2023800")), Answer::Accepted);
    assert_eq!(answer("finpay", &code("2023800")), Answer::Accepted);
}

#[test]
fn m8_only_what_provably_was_not_executed_may_be_sent_again() {
    let free = |sent| Answer::NotExecuted { sent, retry: Retry::Free };
    assert_eq!(answer("finpay", &not_sent()), free(false));
    for refused in ["4293800", "4033804", "4033806"] {
        let counted = Answer::NotExecuted { sent: true, retry: Retry::Counted(None) };
        assert_eq!(answer("midtrans", &code(refused)), counted, "{refused}");
    }
    for (refused, fault) in [
        ("4013801", LaneFault::TokenRefused),
        ("4013803", LaneFault::TokenRefused),
        ("4013800", LaneFault::Unauthorized),
    ] {
        let reading = top_up(&profile("midtrans"), expected(), &code(refused));
        assert_eq!(reading.event, Event::TopUp(free(true)));
        assert_eq!(reading.token_refused, Some(fault), "{refused}");
    }
}

#[test]
fn m9_our_own_faults_are_the_lanes() {
    for (refused, fault) in [
        ("4033801", LaneFault::FeatureNotAllowed),
        ("4033814", LaneFault::InsufficientFunds),
        ("4033819", LaneFault::MerchantBlacklisted),
        ("4033820", LaneFault::MerchantLimit),
        ("4043808", LaneFault::InvalidMerchant),
        ("4043816", LaneFault::PartnerNotFound),
    ] {
        let reading = top_up(&profile("finpay"), expected(), &code(refused));
        assert_eq!(reading.signal, Signal::Fault(fault), "{refused}");
        assert_eq!(reading.event, Event::TopUp(Answer::NotExecuted { sent: true, retry: Retry::Free }));
    }
    let wrong = top_up(&profile("finpay"), expected(), &code("4003801"));
    assert_eq!((wrong.event, wrong.signal), (Event::TopUp(Answer::Wrong), Signal::Wrong));
}

#[test]
fn a_refusal_of_this_customer_or_amount_ends_the_attempt() {
    for refused in ["4033802", "4033803", "4033805", "4033818", "4043811"] {
        assert_eq!(answer("finpay", &code(refused)), Answer::Refused, "{refused}");
    }
    assert_eq!(answer("midtrans", &code("4003800")), Answer::Refused, "beneficiary account not found");
    assert_eq!(answer("finpay", &code("4003800")), Answer::Wrong);
}

fn status_body(code: &str, status: &str, reference: &str, value: &str) -> Reply {
    let http = code[..3].parse().unwrap();
    answered(
        http,
        &format!(
            r#"{{"responseCode":"{code}","originalPartnerReferenceNo":"{reference}","serviceCode":"38","amount":{{"value":"{value}","currency":"IDR"}},"latestTransactionStatus":"{status}"}}"#
        ),
    )
}

#[test]
fn m7_a_status_of_00_needs_our_reference_and_amount() {
    let paid = StatusAnswer::Paid { amount_seen: true };
    assert_eq!(told("finpay", &status_body("2003900", "00", REFERENCE, "10000")), paid);
    assert_eq!(told("midtrans", &status_body("2003600", "00", REFERENCE, "10000.00")), paid);
    assert_eq!(told("finpay", &status_body("2003900", "00", REFERENCE, "1.00")), StatusAnswer::Inconsistent);
    assert_eq!(told("finpay", &status_body("2003900", "00", "other", "10000.00")), StatusAnswer::Inconsistent);
    let bare = answered(200, r#"{"responseCode":"2003900","latestTransactionStatus":"00"}"#);
    assert_eq!(told("finpay", &bare), StatusAnswer::Paid { amount_seen: false });
}

#[test]
fn the_status_inquirys_own_code_says_nothing_about_the_top_up() {
    let nothing = StatusAnswer::Nothing(Retry::Counted(None));
    for refused in ["4003901", "4003902", "5003900", "5043900", "4093900", "4043918", "4043900", "4033905", "4043911"] {
        assert_eq!(told("finpay", &code(refused)), nothing, "{refused}");
    }
    let foreign = status_body("2003800", "00", REFERENCE, "10000.00");
    assert_eq!(told("finpay", &foreign), nothing, "a top-up's code answers no status inquiry");
    assert_eq!(told("midtrans", &status_body("2003900", "00", REFERENCE, "10000.00")), nothing);
    for unreadable in ["08", "", "paid", "0"] {
        assert_eq!(told("finpay", &status_body("2003900", unreadable, "", "10000.00")), nothing);
    }
    assert_eq!(told("finpay", &status_body("2003900", "06", "other", "10000.00")), nothing, "another top-up failed");
}

#[test]
fn not_found_has_two_shapes() {
    assert_eq!(told("finpay", &status_body("2003900", "07", REFERENCE, "0")), StatusAnswer::NotFound);
    assert_eq!(told("finpay", &code("4043901")), StatusAnswer::NotFound);
    assert_eq!(told("midtrans", &code("4043601")), StatusAnswer::NotFound);
    assert_eq!(told("midtrans", &code("4043901")), StatusAnswer::Nothing(Retry::Counted(None)), "another service's");
    assert_eq!(told("finpay", &answered(404, "<html>nginx</html>")), StatusAnswer::Nothing(Retry::Counted(None)));
}

#[test]
fn every_status_is_read_for_what_it_is() {
    for (status, answer) in [
        ("01", StatusAnswer::Pending),
        ("02", StatusAnswer::Pending),
        ("03", StatusAnswer::Pending),
        ("04", StatusAnswer::Refunded),
        ("05", StatusAnswer::Cancelled),
        ("06", StatusAnswer::Failed),
    ] {
        assert_eq!(told("finpay", &status_body("2003900", status, REFERENCE, "10000.00")), answer);
    }
}

#[test]
fn a_provider_that_is_down_costs_no_job_anything() {
    let page = answered(503, "<html>down</html>");
    for reply in [not_sent(), page] {
        let asked = inquiry(&profile("finpay"), expected(), &reply);
        assert_eq!((asked.event, asked.signal), (Event::InquiryFailed(Retry::Free), Signal::Unreachable));
        assert_eq!(told("finpay", &reply), StatusAnswer::Nothing(Retry::Free));
    }
}

#[test]
fn an_inquiry_is_believed_only_where_everything_in_it_can_be_read() {
    let finpay = profile("finpay");
    let body = |extra: &str| {
        answered(
            200,
            &format!(
                r#"{{"responseCode":"2003700","partnerReferenceNo":"{REFERENCE}","customerName":"sa**m"{extra}}}"#
            ),
        )
    };
    let read = |reply: &Reply| inquiry(&finpay, expected(), reply).event;
    assert_eq!(
        read(&body(r#","minAmount":{"value":"1","currency":"IDR"},"feeAmount":{"value":"0.00","currency":"IDR"}"#)),
        Event::Inquired {
            customer_name: Some("sa**m".into()),
            fee: Some(Amount::ZERO),
            min: Some(Amount::parse_strict("1.00").unwrap()),
            max: None,
        }
    );
    let failed = Event::InquiryFailed(Retry::Counted(None));
    for field in ["minAmount", "maxAmount", "feeAmount"] {
        assert_eq!(read(&body(&format!(r#","{field}":{{"value":"lots","currency":"IDR"}}"#))), failed, "{field}");
        assert_eq!(read(&body(&format!(r#","{field}":{{"value":"1.00","currency":"USD"}}"#))), failed, "{field}");
    }
    let other = answered(200, r#"{"responseCode":"2003700","partnerReferenceNo":"other","customerName":"sa**m"}"#);
    assert_eq!(read(&other), failed);
    let nameless = answered(200, r#"{"responseCode":"2003700"}"#);
    assert_eq!(read(&nameless), Event::InquiryWrong);
    let own_name = Expected { has_customer_name: true, ..expected() };
    assert!(matches!(inquiry(&finpay, own_name, &nameless).event, Event::Inquired { customer_name: None, .. }));
    for refused in ["4043711", "4033705"] {
        assert_eq!(read(&code(refused)), Event::InquiryRefused, "{refused}");
    }
    for trouble in ["5003700", "5043700", "4293700", "4093700", "2003800"] {
        assert_eq!(read(&code(trouble)), failed, "{trouble}");
    }
}

#[test]
fn m2_an_array_is_no_answer() {
    let array = answered(200, r#"["2003800","Successful"]"#);
    assert_eq!(answer("finpay", &array), Answer::Unknown);
    let status = answered(200, r#"["2003900","ok",null,null,null,null,null,"00"]"#);
    assert_eq!(told("finpay", &status), StatusAnswer::Nothing(Retry::Counted(None)));
}

#[test]
fn m7_a_foreign_answers_number_is_not_kept() {
    let foreign = answered(200, r#"{"responseCode":"2003800","partnerReferenceNo":"OTHER","referenceNo":"FOREIGN"}"#);
    assert_eq!(top_up(&profile("finpay"), expected(), &foreign).fields.and_then(|fields| fields.reference_no), None);
}

#[test]
fn m4_the_number_of_an_answer_that_is_not_believed_is_not_kept() {
    // A gateway's 500 around a success, a success that names another service, a refusal: each with a number.
    for (http, code) in [(500, "2003800"), (200, "2003700"), (404, "4043811"), (409, "4093801")] {
        let reply = answered(http, &format!(r#"{{"responseCode":"{code}","referenceNo":"62000000000000000007"}}"#));
        let fields = top_up(&profile("finpay"), expected(), &reply).fields;
        assert_eq!(fields.and_then(|fields| fields.reference_no), None, "HTTP {http} {code}");
    }
}

#[test]
fn a_number_that_is_none_takes_no_ones_place() {
    let long = "9".repeat(65);
    for none in ["", long.as_str(), "22\\u001b[2J", "22\\u0000"] {
        let body = format!(r#"{{"responseCode":"2003800","partnerReferenceNo":"{REFERENCE}","referenceNo":"{none}"}}"#);
        let fields = top_up(&profile("finpay"), expected(), &answered(200, &body)).fields;
        assert_eq!(fields.and_then(|fields| fields.reference_no), None, "{none}");
        let body =
            format!(r#"{{"responseCode":"2003900","originalReferenceNo":"{none}","latestTransactionStatus":"00"}}"#);
        let read = status(&profile("finpay"), expected(), Timestamp::from_millis(0), &answered(200, &body));
        assert_eq!(read.fields.and_then(|fields| fields.reference_no), None, "{none}");
    }
}

#[test]
fn m2_a_duplicate_is_neither_a_success_nor_a_refusal() {
    for duplicate in ["4093800", "4093801", "4043814", "4043818"] {
        assert_eq!(answer("finpay", &code(duplicate)), Answer::Duplicate, "{duplicate}");
    }
    assert_eq!(answer("finpay", &answered(500, r#"{"responseCode":"4043818"}"#)), Answer::Unknown);
}

#[test]
fn m9_an_answer_that_disagrees_with_itself_stops_no_lane() {
    for reply in [answered(500, r#"{"responseCode":"4033714"}"#), answered(403, r#"{"responseCode":"4033814"}"#)] {
        assert_eq!(inquiry(&profile("finpay"), expected(), &reply).signal, Signal::Nothing);
    }
}
