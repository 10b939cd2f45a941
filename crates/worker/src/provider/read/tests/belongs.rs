//! M15: an answer belongs to its request.

use super::*;

const OTHER: &str = "78912343452347892";

/// A body with this code and reference, where there is one.
fn body(code: &str, reference: Option<&str>) -> String {
    let name = reference
        .map(|reference| format!(r#","partnerReferenceNo":"{reference}","originalPartnerReferenceNo":"{reference}""#));
    format!(
        r#"{{"responseCode":"{code}","customerName":"sa**m","referenceNo":"77","latestTransactionStatus":"03"{}}}"#,
        name.unwrap_or_default()
    )
}

fn read(profile: &Profile, service: Service, http: u16, body: &str) -> Reading {
    reading(profile, service, expected(), Timestamp::from_millis(0), &answered(http, body)).unwrap()
}

/// The reading of an answer whose HTTP status is that of its code.
fn plain(profile: &Profile, service: Service, code: &str, reference: Option<&str>) -> Reading {
    read(profile, service, code[..3].parse().unwrap(), &body(code, reference))
}

fn with_surplus(code: &str, reference: Option<&str>) -> Reply {
    let Reply::Answered(answered) = answered(code[..3].parse().unwrap(), &body(code, reference)) else {
        unreachable!()
    };
    Reply::Answered(Answered { surplus: true, ..answered })
}

#[test]
fn m15_a_success_counts_with_the_echo_of_our_reference_where_the_profile_says_that_it_is_echoed() {
    for name in Profile::BUILTIN {
        assert!(profile(name).echoes_reference, "{name}");
    }
    let finpay = profile("finpay");
    let named = plain(&finpay, Service::TopUp, "2003800", Some(REFERENCE));
    assert_eq!((named.event, named.belongs), (Event::TopUp(Answer::Paid), Some(Belongs::Named)));
    for reference in [None, Some("")] {
        let unnamed = plain(&finpay, Service::TopUp, "2003800", reference);
        assert_eq!((unnamed.event, unnamed.signal), (Event::TopUp(Answer::Accepted), Signal::Nothing), "asked about");
        assert_eq!((unnamed.belongs, unnamed.class), (None, Class::Ambiguous));
        assert_eq!(unnamed.fields.unwrap().reference_no, None, "the number may be another's");
    }
    let silent_about_it = Profile { echoes_reference: false, ..finpay };
    let unnamed = plain(&silent_about_it, Service::TopUp, "2003800", None);
    assert_eq!((unnamed.event, unnamed.belongs), (Event::TopUp(Answer::Paid), Some(Belongs::ByService)));
}

#[test]
fn m15_an_answer_that_names_another_reference_is_doubt_whatever_it_says() {
    let finpay = profile("finpay");
    for code in ["4043811", "4293800", "4033814", "4013801", "4003801", "4093801", "4043818", "5003800"] {
        let read = plain(&finpay, Service::TopUp, code, Some(OTHER));
        assert_eq!(read.event, Event::TopUp(Answer::Unknown), "{code}");
        assert_eq!((read.signal, read.token_refused, read.belongs), (Signal::Nothing, None, None), "{code}");
    }
    for code in ["2003800", "2023800"] {
        let read = plain(&finpay, Service::TopUp, code, Some(OTHER));
        assert_eq!((read.event, read.belongs), (Event::TopUp(Answer::Inconsistent), None), "{code}");
    }
    let failed = Event::InquiryFailed(Retry::Counted(None));
    for code in ["2003700", "4043711", "4003701", "4033714", "4013701"] {
        let read = plain(&finpay, Service::AccountInquiry, code, Some(OTHER));
        assert_eq!((read.event, read.signal, read.belongs), (failed.clone(), Signal::Nothing, None), "{code}");
    }
    for code in ["2003900", "2023900", "4043901", "4033914", "4013901"] {
        let read = plain(&finpay, Service::TopUpStatus, code, Some(OTHER));
        let nothing = StatusAnswer::Nothing(Retry::Counted(None));
        assert!(matches!(read.event, Event::Checked { answer, .. } if answer == nothing), "{code}: {:?}", read.event);
        assert_eq!((read.signal, read.belongs), (Signal::Nothing, None), "{code}");
    }
}

#[test]
fn m15_a_connection_is_kept_after_an_answer_that_names_its_request() {
    let finpay = profile("finpay");
    let answers = [
        (Service::AccountInquiry, "2003700"),
        (Service::TopUp, "2003800"),
        (Service::TopUp, "2023800"),
        (Service::TopUp, "4043811"),
        (Service::AccountInquiry, "4043711"),
        (Service::TopUpStatus, "2003900"),
    ];
    for (service, code) in answers {
        let read = plain(&finpay, service, code, Some(REFERENCE));
        assert_eq!(read.belongs, Some(Belongs::Named), "{code}");
    }
}

#[test]
fn m15_no_connection_is_kept_after_a_refusal_that_names_nothing() {
    let finpay = profile("finpay");
    for service in [Service::AccountInquiry, Service::TopUp, Service::TopUpStatus] {
        for (http, case) in [(404, 11), (404, 1), (429, 0), (403, 14), (401, 0), (401, 1), (400, 1), (409, 1), (500, 0)]
        {
            let code = format!("{http}{:02}{case:02}", service.code());
            assert_eq!(plain(&finpay, service, &code, None).belongs, None, "{code}");
        }
    }
}

#[test]
fn m15_no_connection_is_kept_after_an_answer_of_another_service_or_one_that_is_not_understood() {
    let finpay = profile("finpay");
    let services = [Service::AccountInquiry, Service::TopUp, Service::TopUpStatus];
    for asked in services {
        for other in services.into_iter().filter(|other| *other != asked) {
            let code = format!("200{:02}00", other.code());
            assert_eq!(plain(&finpay, asked, &code, Some(REFERENCE)).belongs, None, "{code} to {asked}");
        }
        let code = format!("200{:02}00", asked.code());
        for (http, text) in [
            (500, body(&code, Some(REFERENCE))),
            (200, String::new()),
            (200, "<html>".to_owned()),
            (200, body("", Some(REFERENCE))),
            (200, body(&format!("200{:02}77", asked.code()), Some(REFERENCE))),
        ] {
            assert_eq!(read(&finpay, asked, http, &text).belongs, None, "{http} {text}");
        }
    }
}

#[test]
fn m15_what_is_known_by_its_service_alone_is_followed_by_another_service() {
    let midtrans = profile("midtrans");
    let asked = plain(&midtrans, Service::AccountInquiry, "2003700", None);
    // No fee is needed there.
    assert!(matches!(asked.event, Event::Inquired { .. }));
    assert_eq!(asked.belongs, Some(Belongs::ByService));
    let told = plain(&midtrans, Service::TransferStatus, "2003600", None);
    assert_eq!(told.belongs, None, "none but status inquiries go by its connection");
}

#[test]
fn m15_a_refusal_with_bytes_behind_it_refuses_nothing() {
    let finpay = profile("finpay");
    for code in ["4043811", "4293800", "4033814", "4013801", "4003801"] {
        assert_eq!(answer("finpay", &with_surplus(code, None)), Answer::Unknown, "{code}");
    }
    assert_eq!(answer("finpay", &with_surplus("4043811", Some(REFERENCE))), Answer::Refused, "it is ours by name");
    assert_eq!(answer("finpay", &with_surplus("2003800", Some(REFERENCE))), Answer::Paid);
    let silent_about_it = Profile { echoes_reference: false, ..finpay.clone() };
    let unnamed = top_up(&silent_about_it, expected(), &with_surplus("2003800", None));
    assert_eq!((unnamed.event, unnamed.belongs), (Event::TopUp(Answer::Accepted), None));
    let asked = inquiry(&finpay, expected(), &with_surplus("4043711", None));
    assert_eq!(asked.event, Event::InquiryFailed(Retry::Counted(None)));
    assert_eq!(told("finpay", &with_surplus("4043901", None)), StatusAnswer::Nothing(Retry::Counted(None)));
}
