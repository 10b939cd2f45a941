//! M15: an answer that names nothing, by a connection that carried a request of its service before.

use super::*;

/// The same reply, by a connection that carried this service before.
fn earlier(reply: Reply) -> Reply {
    let Reply::Answered(answered) = reply else { return reply };
    Reply::Answered(Answered { may_be_earlier: true, ..answered })
}

/// A code with our reference beside it.
fn named(code: &str) -> Reply {
    let body = format!(
        r#"{{"responseCode":"{code}","partnerReferenceNo":"{REFERENCE}","originalPartnerReferenceNo":"{REFERENCE}"}}"#
    );
    answered(code[..3].parse().unwrap(), &body)
}

/// Every kind of answer that says of a top-up that it was not executed.
const REFUSALS: [&str; 12] = [
    "4293800", "4033804", "4033806", "4013801", "4013803", "4013800", "4043811", "4033818", "4033814", "4003801",
    "4033801", "4043816",
];

#[test]
fn m15_a_refusal_that_may_be_an_earlier_top_ups_is_doubt_and_says_nothing_of_token_or_lane() {
    for name in Profile::BUILTIN {
        for code_of in REFUSALS {
            let read = top_up(&profile(name), expected(), &earlier(code(code_of)));
            assert_eq!((read.event, read.ask_again), (Event::TopUp(Answer::Unknown), true), "{name} {code_of}");
            assert_eq!((read.signal, read.token_refused, read.belongs), (Signal::Nothing, None, None), "{code_of}");
        }
    }
}

#[test]
fn m15_what_names_us_what_takes_nothing_back_and_what_came_first_is_read_as_ever() {
    let finpay = profile("finpay");
    for reply in REFUSALS.map(named).into_iter().chain(["2003800", "2023800"].map(named)) {
        let (first, later) =
            (top_up(&finpay, expected(), &reply), top_up(&finpay, expected(), &earlier(reply.clone())));
        assert_eq!(
            (first.event, first.signal, first.ask_again),
            (later.event, later.signal, later.ask_again),
            "{reply:?}"
        );
    }
    for (code_of, answer) in [
        ("5003800", Answer::Unknown),
        ("4093801", Answer::Duplicate),
        ("4043818", Answer::Duplicate),
        ("2023800", Answer::Accepted),
        ("2003800", Answer::Accepted),
    ] {
        let read = top_up(&finpay, expected(), &earlier(code(code_of)));
        assert_eq!((read.event, read.ask_again), (Event::TopUp(answer), false), "{code_of}");
    }
}

#[test]
fn m15_a_success_without_a_name_is_asked_about_where_it_may_be_an_earlier_ones_and_no_echo_is_promised() {
    let silent_about_it = Profile { echoes_reference: false, ..profile("finpay") };
    let read = top_up(&silent_about_it, expected(), &earlier(code("2003800")));
    assert_eq!((read.event, read.belongs), (Event::TopUp(Answer::Accepted), None));
}

/// What the top-up comes to that was refused so, when this came behind it.
fn borne_out(refusal: &str, answer: &Reply) -> Reading {
    let read = behind(&profile("finpay"), expected(), &earlier(code(refusal)), answer);
    assert!(!read.ask_again, "it was asked");
    read
}

#[test]
fn m15_a_refusal_is_believed_when_the_status_inquiry_behind_it_got_an_answer_of_its_own() {
    for own in ["4043901", "4293900", "4013901", "4003901", "5003900", "5043900", "4033914"] {
        for refusal in REFUSALS {
            let (alone, read) =
                (top_up(&profile("finpay"), expected(), &code(refusal)), borne_out(refusal, &code(own)));
            let of =
                |read: &Reading| (read.event.clone(), read.signal, read.token_refused, read.class, read.fields.clone());
            assert_eq!(of(&read), of(&alone), "{refusal} before {own}");
        }
    }
    for unpaid in ["05", "06", "07"] {
        let read = borne_out("4043811", &status_body("2003900", unpaid, REFERENCE, "10000.00"));
        assert_eq!(read.event, Event::TopUp(Answer::Refused), "{unpaid}");
    }
}

#[test]
fn m15_what_the_status_inquiry_behind_a_refusal_knows_is_never_sent_again() {
    for known in ["00", "01", "02", "03", "04"] {
        let read = borne_out("4293800", &status_body("2003900", known, REFERENCE, "10000.00"));
        assert_eq!((read.event, read.signal), (Event::TopUp(Answer::Accepted), Signal::Nothing), "{known}");
    }
    assert_eq!(borne_out("4293800", &code("2023900")).event, Event::TopUp(Answer::Accepted));
    let differs = borne_out("4293800", &status_body("2003900", "00", REFERENCE, "1.00"));
    assert_eq!(differs.event, Event::TopUp(Answer::Accepted));
}

#[test]
fn m15_a_refusal_is_doubt_where_anything_else_came_behind_it() {
    let Reply::Answered(with_surplus) = code("4043901") else { unreachable!() };
    let Reply::Answered(disagrees) = code("4043901") else { unreachable!() };
    let others = [
        not_sent(),
        silent(Silence::Timeout),
        silent(Silence::Reset),
        answered(200, "<html>"),
        answered(504, "<html>"),
        code("4293800"),
        code("4043811"),
        code("4013701"),
        code("4043601"),
        status_body("2003900", "07", "other", "10000.00"),
        status_body("2003900", "00", "other", "10000.00"),
        Reply::Answered(Answered { surplus: true, ..with_surplus }),
        Reply::Answered(Answered { http_status: 200, ..disagrees }),
        earlier(code("4043901")),
    ];
    for other in others {
        for refusal in REFUSALS {
            let read = borne_out(refusal, &other);
            assert_eq!(
                (read.event, read.signal),
                (Event::TopUp(Answer::Unknown), Signal::Nothing),
                "{refusal}: {other:?}"
            );
            assert_eq!((read.token_refused, read.belongs), (None, None));
        }
    }
}

/// An override that reads a top-up's code as a status would make the top-up's own answer one.
#[test]
fn m15_an_override_does_not_make_another_services_answer_bear_a_refusal_out() {
    let (code_of, class, service) = ("2003800".parse().unwrap(), Class::Success, Some(Service::TopUpStatus));
    let rule = snap_core::CodeOverride { code: code_of, class, service };
    let profile = Profile { overrides: vec![rule], ..profile("finpay") };
    let read = behind(&profile, expected(), &earlier(code("4293800")), &code("2003800"));
    assert_eq!(read.event, Event::TopUp(Answer::Accepted));
}

#[test]
fn m15_the_top_ups_own_answer_behind_anothers_refusal_is_what_counts() {
    let body = format!(r#"{{"responseCode":"2003800","referenceNo":"22","partnerReferenceNo":"{REFERENCE}"}}"#);
    let read = borne_out("4293800", &answered(200, &body));
    assert_eq!((read.event, read.signal), (Event::TopUp(Answer::Paid), Signal::Fine));
    assert_eq!(read.fields.unwrap().reference_no.as_deref(), Some("22"));
    assert_eq!(borne_out("4293800", &named("4043811")).event, Event::TopUp(Answer::Refused));
    assert_eq!(borne_out("4043811", &named("2023800")).event, Event::TopUp(Answer::Accepted));
    // It names nothing: whosever it is, it is asked about and never sent again.
    assert_eq!(borne_out("4293800", &code("2003800")).event, Event::TopUp(Answer::Accepted));
    let anothers = answered(200, r#"{"responseCode":"2003800","partnerReferenceNo":"other"}"#);
    assert_eq!(borne_out("4293800", &anothers).event, Event::TopUp(Answer::Unknown));
}

#[test]
fn m15_an_inquiry_that_decides_and_may_be_an_earlier_ones_is_asked_again() {
    let failed = Event::InquiryFailed(Retry::Counted(None));
    for name in Profile::BUILTIN {
        for code_of in ["4043711", "4033705", "4003701", "4033714", "4013701", "4013700", "4043716"] {
            let read = inquiry(&profile(name), expected(), &earlier(code(code_of)));
            assert_eq!((read.event, read.ask_again), (failed.clone(), true), "{name} {code_of}");
            assert_eq!((read.signal, read.token_refused, read.belongs), (Signal::Nothing, None, None), "{code_of}");
        }
        let account = answered(
            200,
            r#"{"responseCode":"2003700","customerName":"sa**m","feeAmount":{"value":"1.00","currency":"IDR"}}"#,
        );
        assert!(inquiry(&profile(name), expected(), &earlier(account)).ask_again, "another customer's name");
    }
    for undecided in ["5003700", "4293700", "5043700"] {
        assert!(!inquiry(&profile("finpay"), expected(), &earlier(code(undecided))).ask_again, "{undecided}");
    }
    let ours = inquiry(&profile("finpay"), expected(), &earlier(named("4043711")));
    assert_eq!((ours.event, ours.ask_again), (Event::InquiryRefused, false));
}

#[test]
fn m15_a_status_that_settles_and_may_be_an_earlier_ones_is_asked_again() {
    let finpay = profile("finpay");
    let read = |reply: Reply| status(&finpay, expected(), Timestamp::from_millis(0), &earlier(reply));
    let unnamed =
        |word: &str| answered(200, &format!(r#"{{"responseCode":"2003900","latestTransactionStatus":"{word}"}}"#));
    let nothing = StatusAnswer::Nothing(Retry::Counted(None));
    let answer_of = |read: &Reading| match &read.event {
        Event::Checked { answer, .. } => *answer,
        other => panic!("{other:?}"),
    };
    for reply in [code("4043901"), unnamed("07"), unnamed("05"), unnamed("06"), code("4013901"), code("4033914")] {
        let read = read(reply);
        assert_eq!((answer_of(&read), read.ask_again, read.signal), (nothing, true, Signal::Nothing));
        assert_eq!((read.token_refused, read.fields.is_none()), (None, true));
    }
    // That it is known stays, whosever answer it was.
    for word in ["00", "04"] {
        let read = read(unnamed(word));
        assert_eq!((answer_of(&read), read.ask_again), (StatusAnswer::Pending, true), "{word}");
    }
    for reply in [unnamed("03"), code("2023900")] {
        let read = read(reply);
        assert_eq!((answer_of(&read), read.ask_again), (StatusAnswer::Pending, false));
    }
    for reply in [code("5003900"), code("4293900"), answered(200, "<html>")] {
        let read = read(reply);
        assert_eq!((answer_of(&read), read.ask_again), (nothing, false));
    }
    for word in ["00", "03", "05", "06", "07"] {
        let reply = status_body("2003900", word, REFERENCE, "10000.00");
        let (first, later) = (status(&finpay, expected(), Timestamp::from_millis(0), &reply), read(reply));
        assert_eq!((first.event, later.ask_again), (later.event, false), "{word}");
    }
}

#[test]
fn m2_what_a_status_that_was_asked_again_had_shown_is_not_forgotten() {
    let finpay = profile("finpay");
    let at = Timestamp::from_millis;
    let paid = answered(200, r#"{"responseCode":"2003900","latestTransactionStatus":"00"}"#);
    let first = status(&finpay, expected(), at(1), &earlier(paid));
    let after = |first: &Reading, again: &Reply| status(&finpay, expected(), at(2), again).after(first).event;
    let checked = |answer| Event::Checked { asked_at: at(2), answer };
    assert_eq!(after(&first, &code("4043901")), checked(StatusAnswer::Pending), "it is never sent again");
    assert_eq!(after(&first, &not_sent()), checked(StatusAnswer::Pending));
    let named = status_body("2003900", "06", REFERENCE, "10000.00");
    assert_eq!(after(&first, &named), checked(StatusAnswer::Failed));
    let first = status(&finpay, expected(), at(1), &earlier(code("4043901")));
    assert_eq!(after(&first, &code("4043901")), checked(StatusAnswer::NotFound), "once, and not twice");
}

#[test]
fn m15_no_connection_is_kept_after_an_answer_whose_copy_would_name_the_next_request_too() {
    let finpay = profile("finpay");
    for refused in ["4293800", "4013801", "4033814", "4003801"] {
        let read = top_up(&finpay, expected(), &named(refused));
        assert_eq!(read.leaves(), None, "{refused}: the same reference is sent again");
    }
    for word in ["07", "03", "00"] {
        let reply = status_body("2003900", word, REFERENCE, "10000.00");
        let read = status(&finpay, expected(), Timestamp::from_millis(0), &reply);
        assert_eq!(read.leaves().is_none(), word == "07", "{word}: a copy would be the second in a row");
    }
    for (service, kept) in [(Service::TopUp, "4043811"), (Service::AccountInquiry, "4043711")] {
        let read = reading(&finpay, service, expected(), Timestamp::from_millis(0), &named(kept)).unwrap();
        assert_eq!(read.leaves(), Some(Belongs::Named), "{kept}: the job ends");
    }
}
