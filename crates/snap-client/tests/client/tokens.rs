//! One token for all, one request at a time, and never used past its time.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::support::{NOW, Server, http, token_body, top_up, verifies_token_signature};
use snap_client::{ClientConfig, SnapClient, TokenFailure};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

#[tokio::test]
async fn the_token_request_is_the_profiles_and_is_signed() {
    let server = Server::start().await;
    server.client().await;
    let seen = &server.token_requests()[0];
    assert_eq!(seen.path, "/base/v1.0/access-token/b2b");
    assert_eq!(seen.body, br#"{"grantType":"client_credentials"}"#);
    assert!(verifies_token_signature(seen));
    for (name, value) in [
        ("x-client-key", "client-key"),
        ("x-timestamp", "2026-11-22T10:00:00+07:00"),
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("authorization", ""),
        ("x-external-id", ""),
    ] {
        assert_eq!(seen.header(name), value, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_callers_make_one_token_request() {
    let server = Server::start().await;
    server.token_gate.forget_permits(usize::MAX);
    let client = SnapClient::new(server.config()).unwrap();
    let barrier = Arc::new(Barrier::new(65));
    let mut callers = JoinSet::new();
    for _ in 0..64 {
        let (client, barrier) = (client.clone(), Arc::clone(&barrier));
        callers.spawn(async move {
            barrier.wait().await;
            client.token(NOW).await.map(|_| ())
        });
    }
    barrier.wait().await;
    server.token_gate.add_permits(64);
    assert!(callers.join_all().await.iter().all(Result::is_ok));
    assert_eq!(server.token_requests().len(), 1);
    let exchanges = client.take_token_exchanges();
    assert_eq!(exchanges.len(), 1, "one record, however many waited");
    assert!(exchanges[0].granted && exchanges[0].started == NOW && exchanges[0].http_status == Some(200));
    assert_eq!(exchanges[0].code.unwrap().to_string(), "2007300");
    assert!(client.take_token_exchanges().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_wait_together_fail_together() {
    let server = Server::start().await;
    server.token_gate.forget_permits(usize::MAX);
    server.next_token_answer(http(401, &[], r#"{"responseCode":"4017300"}"#));
    let client = SnapClient::new(server.config()).unwrap();
    let first = async { client.token(NOW).await.unwrap_err() };
    let second = async { client.token(NOW).await.unwrap_err() };
    let gate = async { server.token_gate.add_permits(1) };
    // Polled in this order, so that both wait before the gate opens.
    let (first, second, ()) = tokio::join!(biased; first, second, gate);
    for failure in [first, second] {
        assert!(matches!(failure, TokenFailure::Refused { http_status: 401, code: Some(_) }), "{failure}");
    }
    assert_eq!(server.token_requests().len(), 1);
}

#[tokio::test]
async fn a_caller_who_gives_up_stops_nobody() {
    let server = Server::start().await;
    server.token_gate.forget_permits(usize::MAX);
    let client = SnapClient::new(server.config()).unwrap();
    let mut leader = Box::pin(client.token(NOW));
    let mut follower = Box::pin(client.token(NOW));
    // Each is polled once, so the request is under way by the leader's hand.
    assert!(is_pending(&mut leader).await);
    assert!(is_pending(&mut follower).await);
    drop(leader);
    server.token_gate.add_permits(1);
    follower.await.unwrap();
    assert_eq!(server.token_requests().len(), 1);
}

#[tokio::test]
async fn a_request_that_everybody_gave_up_is_not_joined() {
    let server = Server::start().await;
    server.token_gate.forget_permits(usize::MAX);
    let client = SnapClient::new(server.config()).unwrap();
    let mut abandoned = Box::pin(client.token(NOW));
    assert!(is_pending(&mut abandoned).await);
    drop(abandoned);
    server.token_gate.add_permits(2);
    client.token(NOW).await.unwrap();
}

#[tokio::test]
async fn a_token_is_kept_until_shortly_before_it_expires() {
    // 10 s a call and 5 s of allowance before the end of 900 s, and up to 60 s to fetch the next one in peace.
    for (expires_in, kept_for) in [
        ("900", 824),
        ("\"900\"", 824),
        ("\"2026-11-22T10:15:00+07:00\"", 824),
        ("0", 824),
        ("null", 824),
        ("3600", 3524),
        ("\"60\"", 38),
    ] {
        let server = Server::start().await;
        server.next_token_answer(http(200, &[("Connection", "close")], &token_body(1, expires_in)));
        let (client, _) = server.client().await;
        forward(kept_for).await;
        client.token(NOW).await.unwrap();
        assert_eq!(server.token_requests().len(), 1, "{expires_in}: kept");
        forward(2).await;
        client.token(NOW).await.unwrap();
        assert_eq!(server.token_requests().len(), 2, "{expires_in}: replaced");
    }
}

#[tokio::test]
async fn while_one_fetches_the_next_token_early_the_others_go_on() {
    let server = Server::start().await;
    let (client, old) = server.client().await;
    forward(830).await;
    server.token_gate.forget_permits(usize::MAX);
    let mut fetching = Box::pin(client.token(NOW));
    assert!(is_pending(&mut fetching).await);
    let other = client.token(NOW).await.unwrap();
    assert_eq!(format!("{other:?}"), format!("{old:?}"));
    server.token_gate.add_permits(1);
    let new = fetching.await.unwrap();
    assert_ne!(format!("{new:?}"), format!("{old:?}"));
    assert_eq!(server.token_requests().len(), 2);
}

#[tokio::test]
async fn a_failed_early_refresh_leaves_the_good_token_in_use() {
    let server = Server::start().await;
    let (client, _) = server.client().await;
    forward(830).await;
    server.next_token_answer(http(503, &[], ""));
    client.token(NOW).await.expect("the old one is still good");
    client.token(NOW).await.expect("and no new try at once");
    assert_eq!(server.token_requests().len(), 2);

    forward(60).await;
    server.next_token_answer(http(503, &[("Retry-After", "9")], ""));
    let failure = client.token(NOW).await.unwrap_err();
    let retry_after = match failure {
        TokenFailure::Trouble { http_status: Some(503), code: None, retry_after, .. } => retry_after,
        other => panic!("{other}"),
    };
    assert_eq!(retry_after, Some(Duration::from_secs(9)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_refusals_of_one_token_lead_to_one_new_token() {
    let server = Server::start().await;
    let (client, stale) = server.client().await;
    let barrier = Arc::new(Barrier::new(64));
    let mut callers = JoinSet::new();
    for _ in 0..64 {
        let (client, barrier, stale) = (client.clone(), Arc::clone(&barrier), stale.clone());
        callers.spawn(async move {
            barrier.wait().await;
            client.refresh_token(&stale, NOW).await.map(|token| format!("{token:?}"))
        });
    }
    let mut tokens: Vec<String> = callers.join_all().await.into_iter().map(Result::unwrap).collect();
    tokens.dedup();
    assert_eq!(tokens, ["Token(#2, [redacted])"]);
    assert_eq!(server.token_requests().len(), 2);
}

#[tokio::test]
async fn a_refused_token_is_never_handed_out_again() {
    let server = Server::start().await;
    let (client, stale) = server.client().await;
    server.next_token_answer(http(503, &[], ""));
    client.refresh_token(&stale, NOW).await.expect_err("in trouble");
    let next = client.token(NOW).await.unwrap();
    assert_ne!(format!("{next:?}"), format!("{stale:?}"));
    top_up(&client, &next, 1).await;
    assert_eq!(server.transactions()[0].header("authorization"), "Bearer token-2");
}

#[tokio::test]
async fn a_provider_that_issues_the_same_text_again_is_not_asked_for_ever() {
    let server = Server::start().await;
    let same = || http(200, &[("Connection", "close")], &token_body(1, "900"));
    server.next_token_answer(same());
    server.next_token_answer(same());
    let (client, first) = server.client().await;
    let second = client.refresh_token(&first, NOW).await.unwrap();
    // Somebody else whose first token was refused gets the second issue, not a third.
    let third = client.refresh_token(&first, NOW).await.unwrap();
    assert_eq!(format!("{second:?}"), format!("{third:?}"));
    assert_eq!(server.token_requests().len(), 2);
}

#[tokio::test]
async fn answers_without_a_token_are_told_apart() {
    let unavailable = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 6\r\n\r\n<html>";
    for (answer, expected) in [
        (http(401, &[], r#"{"responseCode":"4017300"}"#), "refused HTTP 401, code 4017300"),
        (http(200, &[], r#"{"responseCode":"4017300"}"#), "refused HTTP 200, code 4017300"),
        (http(404, &[], "<html>no such page</html>"), "refused HTTP 404"),
        (http(403, &[], r#"{"responseCode":"4037301"}"#), "refused HTTP 403, code 4037301"),
        (http(403, &[], r#"{"responseCode":"4037304"}"#), "trouble HTTP 403, code 4037304"),
        (http(429, &[], ""), "trouble HTTP 429"),
        (unavailable.to_owned(), "trouble HTTP 503"),
        (http(200, &[], r#"{"responseCode":"5007300","accessToken":"x"}"#), "trouble HTTP 200, code 5007300"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_owned(), "trouble truncated"),
        (http(307, &[("Location", "/elsewhere")], ""), "unusable HTTP 307"),
        (http(200, &[], "<html>"), "unusable the answer is not a JSON object"),
        (http(200, &[], r#"{"responseCode":"2007300"}"#), "unusable the answer has no accessToken"),
        (http(200, &[], r#"{"accessToken":"two\r\nlines"}"#), "unusable the access token"),
        (http(200, &[], r#"{"accessToken":""}"#), "unusable the access token"),
        (http(200, &[], r#"{"accessToken":"no-code","expiresIn":900}"#), "granted"),
        (http(200, &[], r#"{"responseCode":2007300,"accessToken":"number-code"}"#), "granted"),
        (http(200, &[], r#"{"responseCode":"2000000","accessToken":"foreign-code"}"#), "granted"),
    ] {
        let server = Server::start().await;
        server.next_token_answer(answer.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
        let client = SnapClient::new(server.config()).unwrap();
        let read = match client.token(NOW).await {
            Ok(_) => "granted".to_owned(),
            Err(TokenFailure::Unreachable { why, detail }) => format!("unreachable {why}: {detail}"),
            Err(TokenFailure::Refused { http_status, code: None }) => format!("refused HTTP {http_status}"),
            Err(TokenFailure::Refused { http_status, code: Some(code) }) => {
                format!("refused HTTP {http_status}, code {code}")
            }
            Err(TokenFailure::Unusable { detail }) => format!("unusable {detail}"),
            Err(TokenFailure::Trouble { detail, .. }) => format!("trouble {detail}"),
        };
        assert!(read.starts_with(expected), "{answer}\nexpected {expected}\nread     {read}");
        assert_eq!(server.token_requests().len(), 1, "{answer}");
        let exchange = client.take_token_exchanges().remove(0);
        assert_eq!(exchange.granted, read == "granted");
        assert_eq!(exchange.detail.is_none(), exchange.granted);
        assert!(!format!("{exchange:?}").contains("-code\""), "{exchange:?}");
    }
}

#[tokio::test]
async fn a_silent_token_endpoint_is_trouble_at_the_total_limit() {
    let server = Server::start().await;
    server.token_gate.forget_permits(usize::MAX);
    let config = ClientConfig { request_timeout: Duration::from_millis(200), ..server.config() };
    let failure = SnapClient::new(config).unwrap().token(NOW).await.unwrap_err();
    assert!(matches!(failure, TokenFailure::Trouble { http_status: None, .. }), "{failure}");
}

/// Moves the clock of the tokens while no request is under way.
async fn forward(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

/// Polls once.
async fn is_pending<F: Future>(future: &mut Pin<Box<F>>) -> bool {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}
