//! M2: whatever shows that the provider knows the top-up is evidence, and overrides count in it.

use super::*;

const NOTHING: StatusAnswer = StatusAnswer::Nothing(Retry::Counted(None));

/// What a status inquiry tells that was answered so, with these members beside the code.
fn tells(profile: &Profile, http: u16, code: &str, members: &str) -> StatusAnswer {
    let reply = answered(http, &format!(r#"{{"responseCode":"{code}"{members}}}"#));
    match status(profile, expected(), Timestamp::from_millis(0), &reply).event {
        Event::Checked { answer, .. } => answer,
        other => panic!("{other:?}"),
    }
}

fn ours() -> String {
    format!(r#","originalPartnerReferenceNo":"{REFERENCE}""#)
}

fn overridden(code: &str, class: Class) -> Profile {
    let rule = snap_core::CodeOverride { code: code.parse().unwrap(), class, service: Some(Service::TopUpStatus) };
    Profile { overrides: vec![rule], ..profile("finpay") }
}

#[test]
fn m2_http_202_to_a_status_inquiry_shows_that_the_provider_knows_the_top_up() {
    let finpay = profile("finpay");
    for members in ["", &ours(), r#","latestTransactionStatus":"03""#, r#","latestTransactionStatus":"08""#] {
        assert_eq!(tells(&finpay, 202, "2023900", members), StatusAnswer::Pending, "{members}");
    }
    for status in ["00", "04", "05", "06", "07"] {
        let members = format!(r#"{},"latestTransactionStatus":"{status}""#, ours());
        assert_eq!(tells(&finpay, 202, "2023900", &members), StatusAnswer::Pending, "{status} inside a 202 is pending");
    }
    assert_eq!(tells(&finpay, 202, "2003900", ""), StatusAnswer::Pending, "whatever the code");
    assert_eq!(told("finpay", &answered(202, "")), StatusAnswer::Pending, "and without one");
    assert_eq!(tells(&profile("midtrans"), 202, "2023600", ""), StatusAnswer::Pending);
    assert_eq!(tells(&finpay, 202, "2023800", ""), NOTHING, "what answers a top-up answers no status inquiry");
    let anothers = r#","originalPartnerReferenceNo":"other""#;
    assert_eq!(tells(&finpay, 202, "2023900", anothers), NOTHING, "another top-up is known");
}

#[test]
fn m2_its_own_success_that_names_the_top_up_shows_that_it_is_known_whatever_its_status() {
    let finpay = profile("finpay");
    let number = r#","originalReferenceNo":"77""#;
    let plain_number = r#","referenceNo":"77""#;
    let plain_name = format!(r#","partnerReferenceNo":"{REFERENCE}""#);
    for names in [ours().as_str(), number, plain_number, plain_name.as_str()] {
        for status in ["", r#","latestTransactionStatus":"08""#, r#","latestTransactionStatus":"""#] {
            assert_eq!(
                tells(&finpay, 200, "2003900", &format!("{names}{status}")),
                StatusAnswer::Pending,
                "{names} {status}"
            );
        }
        let not_found = format!(r#"{names},"latestTransactionStatus":"07""#);
        assert_eq!(tells(&finpay, 200, "2003900", &not_found), StatusAnswer::NotFound, "{names}");
    }
    assert_eq!(tells(&finpay, 200, "2003900", ""), NOTHING, "it names nothing");
    let anothers = r#","originalPartnerReferenceNo":"other","originalReferenceNo":"77""#;
    assert_eq!(tells(&finpay, 200, "2003900", anothers), NOTHING, "it knows another");
    let plain = r#","partnerReferenceNo":"other","latestTransactionStatus":"03""#;
    assert_eq!(tells(&finpay, 200, "2003900", plain), NOTHING, "it knows another");
}

#[test]
fn m2_a_not_found_that_names_the_status_of_a_top_up_is_none() {
    let finpay = profile("finpay");
    for status in ["00", "01", "02", "03", "04", "05", "06"] {
        let status = format!(r#","latestTransactionStatus":"{status}""#);
        let ours = format!("{}{status}", ours());
        assert_eq!(tells(&finpay, 404, "4043901", &ours), StatusAnswer::Pending, "{status}: it knows the top-up");
        assert_eq!(tells(&finpay, 404, "4043901", &status), NOTHING, "{status}: nobody knows whose it is");
    }
    for status in ["", r#","latestTransactionStatus":"07""#, r#","latestTransactionStatus":"""#] {
        let ours = format!("{}{status}", ours());
        assert_eq!(tells(&finpay, 404, "4043901", &ours), StatusAnswer::NotFound, "{status}");
    }
}

#[test]
fn m2_overrides_for_the_status_service_count() {
    let success = overridden("2000000", Class::Success);
    let paid = format!(r#"{},"latestTransactionStatus":"00","amount":{{"value":"10000.00","currency":"IDR"}}"#, ours());
    assert_eq!(tells(&success, 200, "2000000", &paid), StatusAnswer::Paid { amount_seen: true });
    assert_eq!(tells(&success, 200, "2000000", r#","latestTransactionStatus":"07""#), StatusAnswer::NotFound);
    assert_eq!(tells(&success, 200, "2000000", &ours()), StatusAnswer::Pending);
    assert_eq!(tells(&profile("finpay"), 200, "2000000", &paid), NOTHING, "without it the code is another service's");
    assert_eq!(tells(&success, 500, "2000000", &paid), NOTHING, "it still has to agree with the HTTP status");

    let pending = overridden("2003977", Class::Pending);
    assert_eq!(tells(&pending, 200, "2003977", ""), StatusAnswer::Pending);
    let busy = overridden("5033900", Class::Pending);
    assert_eq!(tells(&busy, 503, "5033900", ""), StatusAnswer::Pending);

    let never_proof = overridden("4043901", Class::RetrySafe);
    assert_eq!(tells(&never_proof, 404, "4043901", ""), NOTHING, "not found is said to prove nothing");
    let expired = overridden("4010000", Class::AuthRefresh);
    let read = status(&expired, expected(), Timestamp::from_millis(0), &code("4010000"));
    assert_eq!(read.token_refused, Some(LaneFault::TokenRefused));
}

#[test]
fn an_override_for_the_status_service_alone_that_changes_nothing_is_known() {
    let idle = |code: &str, class, service| {
        let rule = snap_core::CodeOverride { code: code.parse().unwrap(), class, service };
        let own = Profile { overrides: vec![rule], ..profile("finpay") };
        !without_effect(&own).is_empty()
    };
    let status = Some(Service::TopUpStatus);
    for (code, class) in [
        ("2003900", Class::Success),
        ("2003900", Class::Ambiguous),
        ("4043901", Class::Ambiguous),
        ("2023900", Class::Success),
        ("2023900", Class::RetrySafe),
        ("4043911", Class::BusinessReject),
        ("5003900", Class::ConfigError),
        ("9993900", Class::RetrySafe),
    ] {
        assert!(idle(code, class, status), "{code} {class:?}");
        assert!(idle(code, class, None), "{code} {class:?}, by its digits");
    }
    assert!(idle("2000000", Class::RetrySafe, status));
    assert!(idle("2003600", Class::Pending, None) && idle("2003600", Class::Pending, Some(Service::TransferStatus)));
    for (code, class) in [
        ("2000000", Class::Success),
        ("2003977", Class::Pending),
        ("4043901", Class::RetrySafe),
        ("4033914", Class::BusinessReject),
        ("4013900", Class::AuthRefresh),
        ("xxxxxxx", Class::BusinessReject),
    ] {
        assert!(!idle(code, class, status), "{code} {class:?}");
    }
    // For another service, or for more than this one: theirs to say.
    assert!(!idle("4003800", Class::BusinessReject, None) && !idle("400xx00", Class::ConfigError, None));
    assert!(!idle("2003900", Class::Pending, Some(Service::TopUp)));
    // The first that fits wins, so one behind it is never asked.
    let rule = |code: &str, class| snap_core::CodeOverride { code: code.parse().unwrap(), class, service: status };
    let overrides = vec![rule("2003977", Class::Pending), rule("2003977", Class::Success)];
    assert_eq!(without_effect(&Profile { overrides, ..profile("finpay") }), [1]);
}
