//! Each fault shows as it says, before and after the commit.

use std::time::Duration;

use snap_sim::{Case, Effect, Fault, Latest, Personality, Rule};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::client::{BOTH, CUSTOMER, Client, Heard, client, client_of, hear};

/// The next top-up meets this fault, for this reference; what is heard.
async fn top_up_with(client: &Client, reference: &str, fault: Fault, commit: bool) -> Heard {
    let rule = Rule {
        service: Some(38),
        reference: Some(reference.into()),
        times: Some(1),
        commit: Some(commit),
        ..Rule::new(fault)
    };
    client.sim.add_rule(rule);
    client.top_up(reference, CUSTOMER).await
}

/// Both personalities, before and after the commit: the same is heard, and only after it money has moved.
async fn shows(fault: Fault, expected: impl Fn(&Client, &Heard, bool)) {
    for by in BOTH {
        let client = client(by).await;
        for commit in [false, true] {
            let reference = format!("R-{commit}");
            let heard = top_up_with(&client, &reference, fault, commit).await;
            expected(&client, &heard, commit);
            assert_eq!(
                client.sim.credits_of(&reference),
                u64::from(commit),
                "{by:?} {fault:?} commit {commit}: {heard:?}"
            );
            let latest = client.latest(&reference).await;
            assert_eq!(latest, if commit { "00" } else { "07" });
            // The fault is over: a resend is as good as any.
            let again = client.top_up(&reference, CUSTOMER).await.answer().code();
            assert_eq!(again == "4093801", commit, "{again}");
            assert_eq!(client.sim.credits_of(&reference), 1);
        }
    }
}

fn service_success(client: &Client) -> &'static str {
    if client.by == Personality::Finpay { "2003800" } else { "2023800" }
}

#[tokio::test]
async fn a_timeout_is_silence() {
    shows(Fault::Timeout, |_, heard, _| {
        assert!(matches!(heard, Heard::Silence(bytes) if bytes.is_empty()), "{heard:?}")
    })
    .await;
}

#[tokio::test]
async fn a_timeout_ends_with_a_close_after_the_hang() {
    let client = client_of(Personality::Finpay, |behaviour| behaviour.hang = Duration::from_millis(50)).await;
    let heard = top_up_with(&client, "R-1", Fault::Timeout, true).await;
    assert!(matches!(heard, Heard::Closed(bytes) if bytes.is_empty()));
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    shows(Fault::Rst, |_, heard, _| assert!(matches!(heard, Heard::Reset), "{heard:?}")).await;
}

#[tokio::test]
async fn a_fin_is_a_fin() {
    shows(Fault::Fin, |_, heard, _| assert!(matches!(heard, Heard::Closed(bytes) if bytes.is_empty()), "{heard:?}"))
        .await;
}

#[tokio::test]
async fn garbage_is_no_http() {
    shows(Fault::NotHttp, |_, heard, _| {
        assert!(matches!(heard, Heard::Closed(bytes) if bytes.starts_with(b"SSH-")), "{heard:?}");
    })
    .await;
}

#[tokio::test]
async fn a_dripping_head_does_not_get_to_its_end() {
    shows(Fault::DripHeaders, |_, heard, _| {
        assert!(matches!(heard, Heard::Silence(bytes) if bytes.starts_with(b"HTT") && bytes.len() < 40), "{heard:?}");
    })
    .await;
}

#[tokio::test]
async fn a_dripping_body_does_not_get_to_its_end() {
    shows(Fault::DripBody, |_, heard, _| {
        let Heard::Silence(bytes) = heard else { panic!("{heard:?}") };
        let text = String::from_utf8_lossy(bytes);
        let (_, body) = text.split_once("\r\n\r\n").expect("the head comes at once");
        assert!(body.starts_with("{\"r") && body.len() < 40);
    })
    .await;
}

#[tokio::test]
async fn a_drip_gets_to_its_end_where_the_client_waits() {
    let mut client = client_of(Personality::Finpay, |behaviour| behaviour.drip = Duration::ZERO).await;
    client.patience = Duration::from_secs(5);
    for fault in [Fault::DripBody, Fault::DripHeaders] {
        let heard = top_up_with(&client, &format!("{fault:?}"), fault, true).await;
        assert_eq!(heard.answer().code(), "2003800");
    }
}

#[tokio::test]
async fn endless_heads_and_bodies_have_no_end() {
    for fault in [Fault::EndlessHeaders, Fault::EndlessBody] {
        shows(fault, |_, heard, _| {
            assert!(matches!(heard, Heard::TooMuch(bytes) if bytes.starts_with(b"HTTP/1.1 20")));
        })
        .await;
    }
}

#[tokio::test]
async fn a_huge_body_is_right_but_huge() {
    shows(Fault::HugeBody, |client, heard, _| {
        let Heard::Answer(answer) = heard else { panic!() };
        assert_eq!(answer.code(), service_success(client));
        assert!(answer.body.len() > 64 * 1024);
    })
    .await;
}

#[tokio::test]
async fn a_truncated_body_ends_before_its_length() {
    shows(Fault::TruncatedBody, |_, heard, _| {
        let Heard::Closed(bytes) = heard else { panic!("{heard:?}") };
        assert!(String::from_utf8_lossy(bytes).contains("{\"responseCode\":\"20"));
    })
    .await;
}

#[tokio::test]
async fn any_case_can_be_answered_before_or_after_the_commit() {
    for (http, case) in
        [(500, 0), (500, 1), (504, 0), (409, 0), (409, 1), (401, 0), (401, 1), (403, 14), (403, 1), (404, 18), (403, 4)]
    {
        shows(Fault::Answer(Case::new(http, case)), |_, heard, _| {
            let Heard::Answer(answer) = heard else { panic!("{heard:?}") };
            assert_eq!((answer.status, answer.code()), (http, format!("{http}38{case:02}")));
        })
        .await;
    }
}

#[tokio::test]
async fn a_rate_limit_may_say_when_to_come_back() {
    for (fault, hint) in [(Fault::RateLimited, Some("1".to_owned())), (Fault::RateLimitedNoHint, None)] {
        shows(fault, |_, heard, _| {
            let Heard::Answer(answer) = heard else { panic!("{heard:?}") };
            assert_eq!((answer.code(), answer.header("retry-after")), ("4293800".into(), hint.clone()));
        })
        .await;
    }
    let client = client(Personality::Finpay).await;
    client.sim.add_rule(Rule { delay_ms: Some(2500), ..Rule::new(Fault::RateLimited) });
    assert_eq!(client.top_up("R-1", CUSTOMER).await.answer().header("retry-after").as_deref(), Some("3"));
}

#[tokio::test]
async fn a_bad_gateway_is_a_page() {
    shows(Fault::BadGateway, |_, heard, _| {
        let Heard::Answer(answer) = heard else { panic!("{heard:?}") };
        assert_eq!((answer.status, answer.header("content-type").unwrap()), (502, "text/html".into()));
        assert!(answer.body.starts_with(b"<html>"));
    })
    .await;
}

#[tokio::test]
async fn a_redirect_counts_who_follows() {
    shows(Fault::Redirect, |client, heard, _| {
        let Heard::Answer(answer) = heard else { panic!("{heard:?}") };
        assert_eq!((answer.status, answer.header("location").unwrap()), (307, "/_sim/redirected".into()));
        assert_eq!(client.sim.verdict().redirects_followed, 0);
    })
    .await;
    let client = client(Personality::Finpay).await;
    let (status, _) = client.admin("POST", "redirected", "{}").await;
    assert_eq!((status, client.sim.verdict().redirects_followed), (200, 1));
}

#[tokio::test]
async fn http_and_body_disagree() {
    shows(Fault::HttpDisagrees, |client, heard, commit| {
        let Heard::Answer(answer) = heard else { panic!("{heard:?}") };
        let expected = if commit { (500, service_success(client)) } else { (200, "4033815") };
        assert_eq!((answer.status, answer.code().as_str()), expected);
    })
    .await;
}

#[tokio::test]
async fn codes_are_foreign_unknown_or_missing() {
    for (fault, code) in [(Fault::ForeignService, "2003900"), (Fault::UnknownCode, "2003877"), (Fault::MissingCode, "")]
    {
        shows(fault, |_, heard, _| {
            let Heard::Answer(answer) = heard else { panic!("{heard:?}") };
            assert_eq!(answer.code(), code);
            assert_eq!(answer.json()["partnerReferenceNo"].as_str().map(|text| &text[..2]), Some("R-"));
        })
        .await;
    }
}

#[tokio::test]
async fn amounts_and_references_do_not_match() {
    shows(Fault::AmountMismatch, |_, heard, _| {
        let Heard::Answer(answer) = heard else { panic!("{heard:?}") };
        assert_eq!(answer.json()["amount"]["value"], "10001.00");
    })
    .await;
    shows(Fault::ReferenceMismatch, |client, heard, commit| {
        let Heard::Answer(answer) = heard else { panic!("{heard:?}") };
        assert_eq!(answer.code(), service_success(client));
        assert_eq!(
            answer.json()["partnerReferenceNo"],
            format!("R-{}7", &commit.to_string()[..commit.to_string().len() - 1])
        );
    })
    .await;
}

#[tokio::test]
async fn bodies_are_empty_or_no_json() {
    shows(Fault::EmptyBody, |_, heard, _| {
        let Heard::Answer(answer) = heard else { panic!("{heard:?}") };
        assert_eq!((answer.status, answer.body.len()), (200, 0));
    })
    .await;
    shows(Fault::GarbageJson, |_, heard, _| {
        let Heard::Answer(answer) = heard else { panic!("{heard:?}") };
        assert!(answer.status == 200 && answer.json().is_null() && !answer.body.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_pending_top_up_comes_to_its_end() {
    let ends = [
        (Fault::PendingThenSuccess, "00", 1),
        (Fault::PendingThenFailed, "06", 0),
        (Fault::PendingThenCancelled, "05", 0),
        (Fault::PendingThenRefunded, "04", 0),
        (Fault::PendingForever, "03", 0),
        (Fault::PendingThenLost, "07", 0),
    ];
    for by in BOTH {
        for (fault, latest, credits) in ends {
            let client = client(by).await;
            let answer = top_up_with(&client, "R-1", fault, true).await.answer();
            assert_eq!((answer.status, answer.code().as_str()), (202, "2023800"), "{fault:?}");
            assert_eq!(client.latest("R-1").await, latest, "{fault:?}");
            assert_eq!(client.sim.credits_of("R-1"), credits);
            assert_eq!(client.sim.verdict().reversed, u64::from(fault == Fault::PendingThenRefunded));
            assert_eq!(
                client.sim.requests().iter().find(|record| record.service == 38).unwrap().effect,
                Effect::Accepted
            );
        }
    }
}

#[tokio::test]
async fn a_rule_says_how_long_it_stays_pending() {
    let client = client(Personality::Finpay).await;
    client.sim.add_rule(Rule { service: Some(38), delay_ms: Some(800), ..Rule::new(Fault::PendingThenFailed) });
    assert_eq!(client.top_up("R-1", CUSTOMER).await.answer().code(), "2023800");
    assert_eq!(client.latest("R-1").await, "03");
    eventually(async || client.latest("R-1").await == "06").await;
}

#[tokio::test]
async fn a_late_commit_takes_effect_after_the_client_has_gone() {
    for by in BOTH {
        let client = client_of(by, |behaviour| behaviour.late_commit = Duration::from_millis(600)).await;
        let gone = {
            let heard = top_up_with(&client, "R-1", Fault::LateCommit, true).await;
            assert!(matches!(heard, Heard::Silence(bytes) if bytes.is_empty()));
            Instant::now()
        };
        assert_eq!(client.latest("R-1").await, "07");
        eventually(async || client.sim.credits_of("R-1") == 1).await;
        assert!(gone.elapsed() >= Duration::from_millis(500), "{:?}", gone.elapsed());
        eventually(async || client.sim.verdict().pending_effects == 0).await;
        assert_eq!(client.latest("R-1").await, "00");
    }
}

#[tokio::test]
async fn a_late_commit_collides_with_a_resend() {
    let client = client(Personality::Finpay).await;
    client.sim.add_rule(Rule { times: Some(1), delay_ms: Some(600), ..Rule::new(Fault::LateCommit) });
    assert!(matches!(client.top_up("R-1", CUSTOMER).await, Heard::Silence(_)));
    eventually(async || client.sim.verdict().pending_effects == 1).await;
    assert_eq!(client.top_up("R-1", CUSTOMER).await.answer().code(), "2003800");
    eventually(async || client.sim.verdict().pending_effects == 0).await;
    assert_eq!(client.sim.credits_of("R-1"), 1);
}

#[tokio::test]
async fn a_late_commit_pays_twice_where_nothing_protects() {
    let client =
        client_of(Personality::Finpay, |behaviour| behaviour.repeat_policy = snap_sim::RepeatPolicy::PayAgain).await;
    client.sim.add_rule(Rule { times: Some(1), delay_ms: Some(600), ..Rule::new(Fault::LateCommit) });
    assert!(matches!(client.top_up("R-1", CUSTOMER).await, Heard::Silence(_)));
    assert_eq!(client.top_up("R-1", CUSTOMER).await.answer().code(), "2003800");
    eventually(async || client.sim.verdict().double_credits == 1).await;
}

#[tokio::test]
async fn a_commit_becomes_visible_late() {
    for by in BOTH {
        let client = client_of(by, |behaviour| behaviour.hidden_inquiries = 2).await;
        let heard = top_up_with(&client, "R-1", Fault::LateVisibility, true).await;
        assert!(matches!(heard, Heard::Closed(_)));
        assert_eq!(client.sim.credits_of("R-1"), 1);
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(client.latest("R-1").await);
        }
        assert_eq!(seen, ["07", "07", "00", "00"]);
        assert_eq!(client.top_up("R-1", CUSTOMER).await.answer().code(), "4093801");
    }
}

#[tokio::test]
async fn inquiries_meet_faults_of_their_own() {
    let client = client(Personality::Finpay).await;
    let with = async |reference: &str, fault| {
        client.sim.clear_rules();
        client.sim.add_rule(Rule { service: Some(37), ..Rule::new(fault) });
        client.inquiry(reference, CUSTOMER).await
    };
    let json = with("R-1", Fault::AmountOutOfRange).await.answer().json();
    assert_eq!(
        (json["minAmount"]["value"].as_str(), json["amount"]["value"].as_str()),
        (Some("10001.00"), Some("10000.00"))
    );
    let json = with("R-2", Fault::WithoutFee).await.answer().json();
    assert!(json["responseCode"] == "2003700" && json.get("feeAmount").is_none());
    assert_eq!(with("R-3", Fault::Answer(Case::new(404, 11))).await.answer().code(), "4043711");
    assert_eq!(with("R-4", Fault::Answer(Case::new(403, 5))).await.answer().code(), "4033705");
    assert_eq!(with("R-5", Fault::AmountMismatch).await.answer().json()["amount"]["value"], "10001.00");
    assert_eq!(with("R-6", Fault::ForeignService).await.answer().code(), "2003900");
    assert!(matches!(with("R-7", Fault::Rst).await, Heard::Reset));

    let client = crate::client::client(Personality::Midtrans).await;
    client.sim.add_rule(Rule::new(Fault::AmountOutOfRange));
    assert_eq!(client.inquiry("", CUSTOMER).await.answer().code(), "4033702");
}

#[tokio::test]
async fn status_inquiries_meet_faults_of_their_own() {
    for by in BOTH {
        let client = client(by).await;
        let digits = if by == Personality::Finpay { "39" } else { "36" };
        client.top_up("R-1", CUSTOMER).await.answer();
        let with = async |fault| {
            client.sim.clear_rules();
            client.sim.add_rule(Rule { reference: Some("R-1".into()), ..Rule::new(fault) });
            client.status("R-1").await
        };
        for (report, expected) in [(Latest::Paying, "02"), (Latest::Refunded, "04")] {
            assert_eq!(with(Fault::Report(report)).await.answer().json()["latestTransactionStatus"], expected);
        }
        let code = with(Fault::Report(Latest::NotFound)).await.answer().code();
        assert_eq!(code, if by == Personality::Finpay { "2003900" } else { "4043601" });
        assert_eq!(with(Fault::AmountMismatch).await.answer().json()["amount"]["value"], "10001.00");
        assert_eq!(with(Fault::ReferenceMismatch).await.answer().json()["originalPartnerReferenceNo"], "R-7");
        assert_eq!(with(Fault::Answer(Case::new(500, 0))).await.answer().code(), format!("500{digits}00"));
        assert!(matches!(with(Fault::Timeout).await, Heard::Silence(_)));
        let foreign = with(Fault::ForeignService).await.answer().code();
        assert_eq!(foreign, if by == Personality::Finpay { "2003800" } else { "2003900" });
    }
}

#[tokio::test]
async fn the_token_endpoint_meets_faults_too() {
    let client = client(Personality::Finpay).await;
    let with = async |fault| {
        client.sim.clear_rules();
        client.sim.add_rule(Rule { service: Some(73), ..Rule::new(fault) });
        client.token_request(|_| {}).await
    };
    assert_eq!(with(Fault::Answer(Case::new(401, 0))).await.answer().code(), "4017300");
    assert_eq!(with(Fault::Answer(Case::new(500, 0))).await.answer().code(), "5007300");
    assert!(matches!(with(Fault::Timeout).await, Heard::Silence(_)));
    assert!(matches!(with(Fault::Fin).await, Heard::Closed(_)));
    assert_eq!(with(Fault::EmptyBody).await.answer().body.len(), 0);
}

#[tokio::test]
async fn a_forged_request_is_refused_whatever_the_script_says() {
    let client = client(Personality::Finpay).await;
    client.sim.add_rule(Rule::new(Fault::Timeout));
    let draft = client.top_up_draft("R-1", CUSTOMER).with("X-SIGNATURE", "forged");
    assert_eq!(client.send(&draft).await.answer().code(), "4013800");
}

pub(crate) async fn eventually(mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so().await {
        assert!(Instant::now() < deadline, "did not come about in ten seconds");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// One connection with this fault on the next top-up.
async fn kept_open(client: &Client, fault: Fault) -> TcpStream {
    client.sim.add_rule(Rule { service: Some(38), times: Some(1), ..Rule::new(fault) });
    let mut stream = TcpStream::connect(client.sim.addr()).await.unwrap();
    send(&mut stream, client, "A").await;
    stream
}

async fn send(stream: &mut TcpStream, client: &Client, reference: &str) {
    stream.write_all(&client.top_up_draft(reference, CUSTOMER).bytes()).await.unwrap();
}

#[tokio::test]
async fn an_answer_comes_twice_and_the_connection_goes_on() {
    let client = client(Personality::Finpay).await;
    let mut stream = kept_open(&client, Fault::AnsweredTwice).await;
    let first = hear(&mut stream, client.patience).await.answer();
    assert_eq!(first.json()["partnerReferenceNo"], "A");
    let again = hear(&mut stream, client.patience).await.answer();
    assert_eq!(again.body, first.body);
    send(&mut stream, &client, "B").await;
    assert_eq!(hear(&mut stream, client.patience).await.answer().json()["partnerReferenceNo"], "B");
    assert_eq!((client.sim.credits_of("A"), client.sim.credits_of("B")), (1, 1));
}

#[tokio::test]
async fn a_late_answer_comes_when_the_next_request_has_come() {
    let client = client(Personality::Finpay).await;
    let mut stream = kept_open(&client, Fault::LateAnswer(Case::new(404, 11))).await;
    let proxy = hear(&mut stream, client.patience).await.answer();
    assert_eq!((proxy.status, proxy.code()), (504, String::new()));
    send(&mut stream, &client, "B").await;
    assert_eq!(hear(&mut stream, client.patience).await.answer().code(), "4043811", "the answer to A");
    eventually(async || client.sim.credits_of("B") == 1).await;
    assert_eq!(client.sim.credits_of("A"), 0);
}

#[tokio::test]
async fn a_second_answer_comes_to_the_next_request_of_its_service() {
    let client = client(Personality::Finpay).await;
    let mut stream = kept_open(&client, Fault::SecondAnswer(Case::new(429, 0))).await;
    assert_eq!(hear(&mut stream, client.patience).await.answer().json()["partnerReferenceNo"], "A");
    stream.write_all(&client.status_draft("A").bytes()).await.unwrap();
    assert_eq!(hear(&mut stream, client.patience).await.answer().code(), "2003900", "another service's request");
    send(&mut stream, &client, "B").await;
    assert_eq!(hear(&mut stream, client.patience).await.answer().code(), "4293800", "the second answer to A");
    assert_eq!(hear(&mut stream, client.patience).await.answer().json()["partnerReferenceNo"], "B");
    send(&mut stream, &client, "C").await;
    assert_eq!(hear(&mut stream, client.patience).await.answer().json()["partnerReferenceNo"], "C", "once");
    assert_eq!((client.sim.credits_of("A"), client.sim.credits_of("B"), client.sim.credits_of("C")), (1, 1, 1));
}

#[tokio::test]
async fn an_interim_answer_and_a_surplus_byte_surround_the_answer() {
    let client = client(Personality::Finpay).await;
    let mut stream = kept_open(&client, Fault::InterimAnswer).await;
    let mut bytes = [0; 16];
    stream.read_exact(&mut bytes[..12]).await.unwrap();
    assert_eq!(&bytes[..12], b"HTTP/1.1 103");
    let mut stream = kept_open(&client, Fault::SurplusByte).await;
    let mut all = Vec::new();
    while !all.ends_with(b"} ") {
        assert_ne!(stream.read_buf(&mut all).await.unwrap(), 0);
    }
}
