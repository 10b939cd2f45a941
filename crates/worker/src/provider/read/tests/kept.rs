//! What is kept of a reply beside its meaning, and what it says about the lane.

use super::*;

fn status_reading(body: &str) -> Reading {
    status(&profile("finpay"), expected(), Timestamp::from_millis(0), &answered(200, body))
}

/// The answer of a status inquiry with this status, of our top-up and amount.
fn with_status(word: &str) -> String {
    format!(
        r#"{{"responseCode":"2003900","responseMessage":"Successful","originalPartnerReferenceNo":"{REFERENCE}",
            "originalReferenceNo":"7","latestTransactionStatus":"{word}","amount":{{"value":"10000.00","currency":"IDR"}}}}"#
    )
}

#[test]
fn each_service_has_its_reading_and_a_token_says_nothing_about_a_job() {
    let of = |service| {
        let read =
            reading(&profile("finpay"), service, expected(), Timestamp::from_millis(7), &silent(Silence::Timeout));
        read.map(|read| read.event)
    };
    assert_eq!(of(Service::TopUp), Some(Event::TopUp(Answer::Unknown)));
    assert_eq!(of(Service::AccountInquiry), Some(Event::InquiryFailed(Retry::Counted(None))));
    let nothing = StatusAnswer::Nothing(Retry::Counted(None));
    let asked = Event::Checked { asked_at: Timestamp::from_millis(7), answer: nothing };
    assert_eq!((of(Service::TopUpStatus), of(Service::TransferStatus)), (Some(asked.clone()), Some(asked)));
    assert_eq!(of(Service::AccessToken), None);
}

#[test]
fn the_providers_number_code_and_words_are_kept_of_what_it_took() {
    let body = format!(
        r#"{{"responseCode":"2003800","responseMessage":"Suc\u0007cessful","referenceNo":"77","partnerReferenceNo":"{REFERENCE}"}}"#
    );
    let read = top_up(&profile("finpay"), expected(), &answered(200, &body));
    let kept = AnswerFields {
        reference_no: Some("77".to_owned()),
        response_code: Some("2003800".to_owned()),
        response_message: Some("Successful".to_owned()),
        fee_amount: None,
    };
    assert_eq!((read.event, read.fields), (Event::TopUp(Answer::Paid), Some(kept)));
    assert_eq!((read.http_status, read.code.map(|code| code.to_string())), (Some(200), Some("2003800".to_owned())));
}

#[test]
fn a_number_that_could_not_be_asked_with_is_none() {
    let longest = "9".repeat(64);
    assert_eq!(kept_number(Some(&longest)), Some(longest.clone()));
    for number in [String::new(), format!("{longest}9"), "12\n3".to_owned()] {
        assert_eq!(kept_number(Some(&number)), None, "{number:?}");
    }
    assert_eq!(kept_number(None), None);
}

#[test]
fn the_http_status_of_an_answer_that_broke_off_is_kept() {
    let broken = Reply::Silent {
        why: Silence::Timeout,
        detail: "cut".to_owned(),
        http_status: Some(502),
        elapsed: Duration::ZERO,
    };
    let at = Timestamp::from_millis(0);
    for service in [Service::TopUp, Service::AccountInquiry, Service::TopUpStatus] {
        let read = reading(&profile("finpay"), service, expected(), at, &broken).unwrap();
        assert_eq!(read.http_status, Some(502), "{service}");
        assert!(read.detail.unwrap().ends_with("cut"));
    }
}

#[test]
fn m9_a_status_answer_that_tells_nothing_does_not_make_a_lane_move() {
    let unreadable = status_reading(r#"{"responseCode":"2003900","latestTransactionStatus":"99"}"#);
    assert_eq!(unreadable.signal, Signal::Nothing);
    assert_eq!(status_reading(&with_status("03")).signal, Signal::Fine);
}

#[test]
fn only_a_status_that_settles_the_top_up_replaces_what_its_own_answer_said() {
    for settling in ["00", "04", "05", "06"] {
        let fields = status_reading(&with_status(settling)).fields.unwrap();
        assert_eq!(fields.reference_no.as_deref(), Some("7"), "{settling}");
    }
    for open in ["01", "02", "03", "07"] {
        assert_eq!(status_reading(&with_status(open)).fields, None, "{open}");
    }
    let other = status_reading(&with_status("00").replace("10000.00", "10000.01"));
    assert_eq!(other.fields, None);
    assert_eq!(other.detail.as_deref(), Some("the status names another amount or partnerReferenceNo"));
}
