//! Parsers with a mistake: each has to be found by the inputs that every test run makes, or the targets prove nothing.

use engine::{Answer, Event, StatusAnswer};
use fuzz::mutate::Dice;
use fuzz::search::{Found, search};
use fuzz::targets::{amount, message, status_answer, top_up_answer};
use fuzz::{TARGETS, corpus};
use snap_client::Reply;
use snap_core::{Amount, Profile, Service, Timestamp};
use worker::message::{ProviderRule, Providers};
use worker::provider::{Expected, Reading, reading};

/// What the run of the tests finds with this check in the place of the target's.
fn found(target: &str, check: impl Fn(&[u8])) -> Found {
    let words = TARGETS.iter().find(|known| known.name == target).expect("it is a target");
    let known: Vec<Vec<u8>> = corpus::read(target).expect("a corpus").into_iter().map(|(_, input)| input).collect();
    search(check, &known, words.words, Dice::new(1, target), words.times).expect_err("the mistake was not found")
}

#[test]
fn an_amount_with_three_decimals_is_found() {
    let lax = |text: &str| Amount::parse_strict(text).or_else(|_| Amount::parse_lenient(text));
    let found = found("amount", |data| amount::strict_holds(lax, &String::from_utf8_lossy(data)));
    assert!(found.said.contains("read strictly"), "{found}");
}

fn providers() -> Providers {
    let rule =
        |name: &str, needs_beneficiary_provider| ProviderRule { name: name.to_owned(), needs_beneficiary_provider };
    Providers::new(vec![rule("finpay", false), rule("midtrans", true)], Some("finpay"))
}

/// The reader of messages, given something else than what came.
fn misread(change: impl Fn(&str) -> String) -> Found {
    let providers = providers();
    found("message", |data| {
        let parse = |body: &[u8]| {
            let body = std::str::from_utf8(body).map_or_else(|_| body.to_vec(), |text| change(text).into_bytes());
            worker::message::parse(&body, None, &providers)
        };
        message::holds(parse, data);
    })
}

#[test]
fn a_reader_that_lets_a_mistyped_field_pass_is_found() {
    let found = misread(|text| text.replace(r#""notafter":"#, r#""notAfter":"#));
    assert!(found.said.contains("taken"), "{found}");
}

#[test]
fn a_reader_for_which_the_last_of_two_members_counts_is_found() {
    // Through a tree that keeps one of each.
    let found = misread(|text| {
        let tree = serde_json::from_str::<serde_json::Value>(text);
        tree.map_or_else(|_| text.to_owned(), |tree| tree.to_string())
    });
    assert!(found.said.contains("taken"), "{found}");
}

#[test]
fn a_reader_that_rounds_an_amount_is_found() {
    let found = misread(|text| text.replace(r#".005""#, r#".01""#).replace(r#".000""#, r#".00""#));
    assert!(found.said.contains("no value"), "{found}");
}

#[test]
fn a_refusal_that_repeats_the_customers_name_is_found() {
    // A name of long words, and one of short ones.
    for name in ["Siti Aminah", "Adi Budi S"] {
        let providers = providers();
        let found = found("message", |data| {
            let text = String::from_utf8_lossy(data).replace("Siti Aminah", name);
            let parse = |body: &[u8]| {
                worker::message::parse(body, None, &providers).map_err(|mut refused| {
                    let sent = serde_json::from_slice::<serde_json::Value>(body).unwrap_or_default();
                    refused.detail.push_str(sent["customerName"].as_str().unwrap_or_default());
                    refused
                })
            };
            message::holds(parse, text.as_bytes());
        });
        assert!(found.said.contains("came back"), "{found}");
    }
}

/// The reader of answers, which is then believed more than it says.
fn believed(target: &str, believe: impl Fn(&mut Reading, &Reply)) -> Found {
    let read = move |profile: &Profile, service: Service, expected: Expected<'_>, at: Timestamp, reply: &Reply| {
        let mut read = reading(profile, service, expected, at, reply)?;
        believe(&mut read, reply);
        Some(read)
    };
    match target {
        "top_up" => found(target, |data| top_up_answer::holds(&read, data)),
        _ => found(target, |data| status_answer::holds(&read, data)),
    }
}

#[test]
fn m7_a_success_of_another_amount_that_is_believed_is_found() {
    let found = believed("top_up", |read, _| {
        if read.event == Event::TopUp(Answer::Inconsistent) {
            read.event = Event::TopUp(Answer::Paid);
        }
    });
    assert!(found.said.contains("paid, and not this one"), "{found}");
    let found = believed("status", |read, _| {
        if let Event::Checked { answer, .. } = &mut read.event
            && *answer == StatusAnswer::Inconsistent
        {
            *answer = StatusAnswer::Paid { amount_seen: true };
        }
    });
    assert!(found.said.contains("Paid") || found.said.contains("the amount was seen"), "{found}");
}

#[test]
fn m2_a_success_inside_an_error_page_that_is_believed_is_found() {
    let found = believed("top_up", |read, reply| {
        let Reply::Answered(answered) = reply else { return };
        if read.event == Event::TopUp(Answer::Unknown) && String::from_utf8_lossy(&answered.body).contains("2003800") {
            read.event = Event::TopUp(Answer::Paid);
        }
    });
    assert!(found.said.contains("paid"), "{found}");
}

#[test]
fn m8_doubt_that_is_taken_for_not_executed_is_found() {
    let found = believed("top_up", |read, _| {
        if read.event == Event::TopUp(Answer::Unknown) {
            read.event = Event::TopUp(Answer::NotExecuted { sent: true, retry: engine::Retry::Free });
        }
    });
    assert!(found.said.contains("not executed by"), "{found}");
}

#[test]
fn a_success_that_is_never_understood_is_found() {
    let found = believed("top_up", |read, _| {
        if matches!(read.event, Event::TopUp(Answer::Paid)) {
            read.event = Event::TopUp(Answer::Unknown);
            read.fields = None;
        }
    });
    assert!(found.said.contains("was not understood"), "{found}");
}
