//! M15: what a connection has carried before is told of each answer, and what goes behind an answer goes by its connection.

use std::time::{Duration, Instant};

use crate::support::{Act, NOW, Server, TOPUP_BODY, http, top_up, unkept};
use snap_client::{Belongs, By, NotSentReason, Payload, Reply, Silence, SnapClient, Token, UsedConnection, Way};
use snap_core::{ExternalId, Service};

const NAMED: &str = r#"{"responseCode":"2003800","partnerReferenceNo":"B"}"#;
const REFUSED: &str = r#"{"responseCode":"4293800","responseMessage":"Too Many Requests"}"#;

async fn by(client: &SnapClient, token: &Token, service: Service, by: By) -> (Reply, UsedConnection) {
    let id = ExternalId::new(NOW, 7);
    client.call_by(token, service, &id, Payload::new(TOPUP_BODY.as_bytes()), NOW, Way::by(by)).await
}

fn may_be_earlier(reply: &Reply) -> bool {
    let Reply::Answered(answered) = reply else { panic!("{reply:?}") };
    answered.may_be_earlier
}

fn connections(server: &Server) -> Vec<usize> {
    server.transactions().iter().map(|seen| seen.connection).collect()
}

#[tokio::test]
async fn m15_an_answer_by_a_connection_that_carried_its_service_before_may_be_an_earlier_ones() {
    let server = Server::start().await;
    let (client, token) = server.client().await;
    let (inquiry, top_up) = (Service::AccountInquiry, Service::TopUp);
    for (service, expected) in [(inquiry, false), (top_up, false), (inquiry, true), (top_up, true), (top_up, true)] {
        let (reply, used) = by(&client, &token, service, By::Any).await;
        assert_eq!(may_be_earlier(&reply), expected, "{service}");
        used.keep(Belongs::Named);
    }
    let (reply, used) = by(&client, &token, top_up, By::New).await;
    assert!(!may_be_earlier(&reply), "a new one has carried nothing");
    used.keep(Belongs::Named);
    assert_eq!(connections(&server), [1, 1, 1, 1, 1, 2]);
}

#[tokio::test]
async fn m15_status_inquiries_have_connections_of_their_own() {
    let server = Server::start().await;
    let (client, token) = server.client().await;
    let (status, top_up) = (Service::TopUpStatus, Service::TopUp);
    for (service, expected) in [(top_up, false), (status, false), (top_up, true), (status, true)] {
        let (reply, used) = by(&client, &token, service, By::Any).await;
        assert_eq!(may_be_earlier(&reply), expected, "{service}");
        used.keep(Belongs::Named);
    }
    assert_eq!(connections(&server), [1, 2, 1, 2]);
}

#[tokio::test]
async fn m15_behind_a_second_answer_to_another_request_comes_the_own_one() {
    for pause in [1, 30, 200].map(Duration::from_millis) {
        let server = Server::start().await;
        let (client, token) = server.client().await;
        top_up(&client, &token, 1).await;
        server.next(Act::Then(vec![(Duration::ZERO, http(429, &[], REFUSED)), (pause, http(200, &[], NAMED))]));
        let (stray, used) = unkept(&client, &token, 2).await;
        assert!(may_be_earlier(&stray));
        let (behind, _closed) = by(&client, &token, Service::TopUpStatus, By::Behind(used)).await;
        match behind {
            Reply::Answered(own) => assert_eq!((&own.body[..], own.may_be_earlier), (NAMED.as_bytes(), false)),
            // It was there before anything could be asked.
            Reply::NotSent { why, .. } => assert_eq!(why, NotSentReason::Connect),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn m15_behind_an_own_refusal_comes_the_answer_to_what_was_asked() {
    let server = Server::start().await;
    let (client, token) = server.client().await;
    top_up(&client, &token, 1).await;
    server.next(Act::Answer(429, &[], REFUSED));
    let (_refusal, used) = unkept(&client, &token, 2).await;
    server.next(Act::Answer(404, &[], r#"{"responseCode":"4043901"}"#));
    let (behind, _closed) = by(&client, &token, Service::TopUpStatus, By::Behind(used)).await;
    assert!(!may_be_earlier(&behind));
    assert_eq!(connections(&server), [1, 1, 1]);
}

#[tokio::test]
async fn m15_what_is_to_go_behind_an_answer_goes_by_no_other_connection() {
    let server = Server::start().await;
    let (client, token) = server.client().await;
    let closing: &[(&str, &str)] = &[("Connection", "close")];
    for act in [Act::AnswerAndClose, Act::Answer(503, &[], "<html>"), Act::Answer(429, closing, REFUSED)] {
        // One that was kept is there, and is not taken.
        top_up(&client, &token, 1).await;
        server.next(act);
        let (reply, used) = by(&client, &token, Service::TopUp, By::New).await;
        assert!(matches!(reply, Reply::Answered(_)), "{reply:?}");
        // The close arrives.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let before = server.transactions().len();
        let (behind, _closed) = by(&client, &token, Service::TopUpStatus, By::Behind(used)).await;
        assert!(matches!(behind, Reply::NotSent { why: NotSentReason::Connect, .. }), "{behind:?}");
        assert_eq!(server.transactions().len(), before);
    }
    let (behind, _closed) = by(&client, &token, Service::TopUpStatus, By::Behind(UsedConnection::none())).await;
    assert!(matches!(behind, Reply::NotSent { .. }), "{behind:?}");
}

#[tokio::test]
async fn m15_what_goes_behind_an_answer_has_what_is_left_of_its_time() {
    let server = Server::start().await;
    let (client, token) = server.impatient().await;
    let began = Instant::now();
    server.next(Act::Then(vec![(Duration::from_millis(250), http(429, &[], REFUSED))]));
    let (_refusal, used) = unkept(&client, &token, 1).await;
    server.next(Act::Silence);
    let (behind, _closed) = by(&client, &token, Service::TopUpStatus, By::Behind(used)).await;
    assert!(matches!(behind, Reply::Silent { why: Silence::Timeout, .. }), "{behind:?}");
    assert!(began.elapsed() < Duration::from_millis(600), "400 ms in all: {:?}", began.elapsed());
}
