//! What each way a provider can misbehave becomes. Source: measured behaviour of the HTTP stack, row by row.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Act, NOW, Server, TOPUP_BODY, authority, config, top_up};
use snap_client::{ClientConfig, NotSentReason, Payload, Reply, Silence, SnapClient, TokenFailure};
use snap_core::{ExternalId, Service};
use tokio::net::TcpListener;

/// Plays one act for a top-up and says what came of it; the provider must have seen at most one copy.
async fn silence_after(act: Act) -> (Silence, Option<u16>) {
    let server = Server::start().await;
    let (client, token) = server.impatient().await;
    server.next(act);
    let reply = top_up(&client, &token, 1).await;
    assert!(server.transactions().len() <= 1, "sent twice");
    match reply {
        Reply::Silent { why, detail, http_status, .. } => {
            assert!(!detail.is_empty() && detail.len() <= 800, "{detail}");
            assert!(!detail.contains("127.0.0.1") && !detail.contains("token-1"), "{detail}");
            (why, http_status)
        }
        other => panic!("expected silence, got {other:?}"),
    }
}

async fn not_sent(config: ClientConfig) -> NotSentReason {
    // The token fails the same way; a token of another server serves for the call itself.
    let elsewhere = Server::start().await;
    let (_, token) = elsewhere.client().await;
    let client = SnapClient::new(config).unwrap();
    assert!(matches!(client.token(NOW).await, Err(TokenFailure::Unreachable { .. })));
    match top_up(&client, &token, 1).await {
        Reply::NotSent { why, detail, .. } => {
            assert!(!detail.is_empty());
            why
        }
        other => panic!("expected a failed connect, got {other:?}"),
    }
}

#[tokio::test]
async fn m8_only_a_failed_connect_counts_as_not_sent() {
    // Bound and let go: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    assert_eq!(not_sent(config(&format!("http://127.0.0.1:{port}"))).await, NotSentReason::Connect);

    // A reserved name. Where a resolver does not even answer, the connect limit ends the wait.
    let unresolvable = ClientConfig { ca_file: Some(authority()), ..config("https://no-such-host.invalid") };
    assert!(matches!(not_sent(unresolvable).await, NotSentReason::Dns | NotSentReason::ConnectTimeout));

    // A server that does not speak TLS.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream.try_write(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
        }
    });
    let not_tls = ClientConfig { ca_file: Some(authority()), ..config(&format!("https://127.0.0.1:{port}")) };
    assert!(matches!(not_sent(not_tls).await, NotSentReason::Tls | NotSentReason::Connect));

    // A handshake that never ends.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let hanging = ClientConfig {
        ca_file: Some(authority()),
        connect_timeout: Duration::from_millis(200),
        ..config(&format!("https://127.0.0.1:{port}"))
    };
    assert_eq!(not_sent(hanging).await, NotSentReason::ConnectTimeout);
}

#[tokio::test]
async fn m8_a_connect_that_outlasts_the_whole_call_is_still_known_as_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let hanging = ClientConfig {
        ca_file: Some(authority()),
        connect_timeout: Duration::from_secs(30),
        // A tenth of it is between both ends: what a busy machine may need to notice the first.
        request_timeout: Duration::from_secs(3),
        ..config(&format!("https://127.0.0.1:{port}"))
    };
    assert_eq!(not_sent(hanging).await, NotSentReason::ConnectTimeout);
}

#[tokio::test]
async fn m8_a_reset_before_the_request_was_read_is_in_doubt_unless_not_a_byte_was_written() {
    for _ in 0..20 {
        let server = Server::start().await;
        let (client, token) = server.impatient().await;
        server.next(Act::ResetOnAccept);
        // The reset races with the request.
        match top_up(&client, &token, 1).await {
            Reply::Silent { why: Silence::Reset, .. } => {}
            Reply::NotSent { why: NotSentReason::Connect, .. } => {}
            other => panic!("{other:?}"),
        }
        assert!(server.transactions().is_empty());
    }
}

#[tokio::test]
async fn m8_a_connection_closed_while_idle_costs_nothing_and_is_not_used() {
    let server = Server::start().await;
    let (client, token) = server.client().await;
    for number in 0..20 {
        server.next(Act::AnswerAndClose);
        assert!(matches!(top_up(&client, &token, number).await, Reply::Answered(_)), "call {number}");
        // Long enough for the close to arrive; the next call must notice it before it writes.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.transactions().len(), 20);
}

#[tokio::test]
async fn idle_connections_are_closed_when_told() {
    let server = Server::start().await;
    let (client, token) = server.client().await;
    assert!(matches!(top_up(&client, &token, 1).await, Reply::Answered(_)));
    client.close_idle();
    assert!(matches!(top_up(&client, &token, 2).await, Reply::Answered(_)));
    assert_eq!(server.accepted(), 2, "a fresh one is kept");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(16)).await;
    tokio::time::resume();
    client.close_idle();
    assert!(matches!(top_up(&client, &token, 3).await, Reply::Answered(_)));
    assert_eq!(server.accepted(), 3, "one that was idle for long is not");
}

#[tokio::test]
async fn m8_a_reset_or_close_after_the_request_was_read_is_in_doubt() {
    assert_eq!(silence_after(Act::Reset).await, (Silence::Reset, None));
    assert_eq!(silence_after(Act::Close).await, (Silence::Reset, None));
}

#[tokio::test]
async fn m8_silence_and_dripping_headers_end_at_the_total_limit_in_doubt() {
    assert_eq!(silence_after(Act::Silence).await, (Silence::Timeout, None));
    let dripping = Act::Drip { prefix: "HTTP/1.1 200 OK\r\nX-Slow: ", drip: b'x' };
    assert_eq!(silence_after(dripping).await, (Silence::Timeout, None));
}

#[tokio::test]
async fn m8_garbage_and_endless_headers_are_in_doubt() {
    assert_eq!(silence_after(Act::Bytes("SSH-2.0-OpenSSH_9.2\r\n\r\n")).await, (Silence::NotHttp, None));
    let endless = Act::Flood { prefix: "HTTP/1.1 200 OK\r\n", flood: "X-More: and more and more\r\n" };
    assert_eq!(silence_after(endless).await, (Silence::NotHttp, None));
}

#[tokio::test]
async fn m8_a_truncated_body_is_in_doubt() {
    let truncated = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"responseCode\":\"2003800\"";
    assert_eq!(silence_after(Act::Bytes(truncated)).await, (Silence::Truncated, Some(200)));
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"res";
    assert_eq!(silence_after(Act::Bytes(chunked)).await, (Silence::Truncated, Some(200)));
}

#[tokio::test]
async fn m8_a_dripping_body_ends_at_the_total_limit_in_doubt() {
    let dripping = Act::Drip { prefix: "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", drip: b' ' };
    assert_eq!(silence_after(dripping).await, (Silence::Timeout, Some(200)));
}

#[tokio::test]
async fn m11_a_body_beyond_64_kib_is_not_read_on() {
    let endless = Act::Flood { prefix: "HTTP/1.1 200 OK\r\n\r\n", flood: "{\"responseCode\":\"2003800\"}" };
    assert_eq!(silence_after(endless).await, (Silence::TooLarge, Some(200)));
    let announced = Act::Drip { prefix: "HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n", drip: b' ' };
    assert_eq!(silence_after(announced).await, (Silence::TooLarge, Some(200)));
}

#[tokio::test]
async fn m11_a_body_of_exactly_64_kib_is_read() {
    let server = Server::start().await;
    let (client, token) = server.client().await;
    let body: &'static str = Box::leak("x".repeat(64 * 1024).into_boxed_str());
    server.next(Act::Answer(200, &[], body));
    let Reply::Answered(answered) = top_up(&client, &token, 1).await else { panic!("not read") };
    assert_eq!(answered.body.len(), 64 * 1024);
}

#[tokio::test]
async fn m11_a_redirect_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let server = Server::start().await;
        let (client, token) = server.client().await;
        server.next(Act::Answer(status, &[("Location", "/base/v1.0/emoney/topup")], ""));
        let Reply::Answered(answered) = top_up(&client, &token, 1).await else { panic!("no answer") };
        assert_eq!(answered.http_status, status);
        assert_eq!(server.transactions().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn m11_an_error_status_is_an_answer_and_is_not_retried() {
    for status in [401, 408, 421, 425, 429, 500, 502, 503, 504, 599] {
        let server = Server::start().await;
        let (client, token) = server.client().await;
        server.next(Act::Answer(status, &[("Retry-After", "7"), ("Date", "Sun, 22 Nov 2026 03:00:02 GMT")], "<html>"));
        let Reply::Answered(answered) = top_up(&client, &token, 1).await else { panic!("no answer") };
        assert_eq!((answered.http_status, &answered.body[..]), (status, &b"<html>"[..]));
        assert_eq!(answered.retry_after, Some(Duration::from_secs(7)));
        assert_eq!(answered.date, Some(NOW.plus(Duration::from_secs(2))));
        assert_eq!(server.transactions().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn m11_a_connection_the_server_closed_between_requests_leads_to_no_copy() {
    let server = Server::start().await;
    let (client, token) = server.client().await;
    let mut answered = 0;
    for number in 0..200 {
        // The close races with the next request.
        server.next(Act::AnswerAndClose);
        match top_up(&client, &token, number).await {
            Reply::Answered(_) => answered += 1,
            Reply::Silent { why: Silence::Reset, .. } => {}
            other => panic!("{other:?}"),
        }
    }
    let mut numbers: Vec<String> =
        server.transactions().iter().map(|seen| seen.header("x-external-id").to_owned()).collect();
    let seen = numbers.len();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), seen, "a request arrived twice");
    assert!(answered <= seen && answered > 0, "{answered} of {seen}");
}

#[tokio::test]
async fn m11_a_reused_connection_that_is_reset_under_the_request_is_in_doubt() {
    let server = Server::start().await;
    let (client, token) = server.client().await;
    assert!(matches!(top_up(&client, &token, 1).await, Reply::Answered(_)));
    server.next(Act::Reset);
    let reply = top_up(&client, &token, 2).await;
    assert!(matches!(reply, Reply::Silent { why: Silence::Reset, .. }), "{reply:?}");
    let seen = server.transactions();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].connection, seen[1].connection);
}

/// The child's proxies lead nowhere, so its calls succeed only where they are not used.
#[test]
fn m11_proxies_from_the_environment_are_ignored() {
    let nowhere = "http://127.0.0.1:9";
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "replies::connections_are_reused"])
        .envs(
            ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
                .map(|name| (name, nowhere)),
        )
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && output.contains("1 passed"), "{output}");
}

#[tokio::test]
async fn connections_are_reused() {
    let server = Server::start().await;
    let (client, token) = server.client().await;
    for number in 0..50 {
        assert!(matches!(top_up(&client, &token, number).await, Reply::Answered(_)));
    }
    assert_eq!(server.accepted(), 2, "one for the token, one for all calls");
}

#[tokio::test]
async fn the_bytes_signed_are_the_bytes_sent_and_the_path_includes_the_prefix() {
    let server = Server::start().await;
    let (client, token) = server.client().await;
    for service in [Service::AccountInquiry, Service::TopUp, Service::TopUpStatus] {
        let id = ExternalId::new(NOW, 7);
        let (reply, _used) = client.call(&token, service, &id, Payload::new(TOPUP_BODY.as_bytes()), NOW).await;
        assert!(matches!(reply, Reply::Answered(_)), "{reply:?}");
    }
    let seen = server.transactions();
    let paths: Vec<&str> = seen.iter().map(|seen| seen.path.as_str()).collect();
    assert_eq!(paths, ["account-inquiry", "topup", "topup-status"].map(|name| format!("/base/v1.0/emoney/{name}")));
    for seen in &seen {
        assert_eq!(seen.body, TOPUP_BODY.as_bytes());
        assert!(seen.signature_holds(&seen.path));
        assert!(!seen.signature_holds(seen.path.trim_start_matches("/base")), "the check is a real one");
    }
}

#[tokio::test]
async fn a_transaction_carries_the_headers_of_the_standard_and_no_others() {
    let server = Server::start().await;
    let (client, token) = server.client().await;
    top_up(&client, &token, 42).await;
    let seen = &server.transactions()[0];
    let mut names: Vec<&str> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept",
            "authorization",
            "channel-id",
            "content-length",
            "content-type",
            "host",
            "origin",
            "user-agent",
            "x-external-id",
            "x-partner-id",
            "x-signature",
            "x-timestamp"
        ]
    );
    for (name, value) in [
        ("accept", "application/json"),
        ("authorization", "Bearer token-1"),
        ("channel-id", "95221"),
        ("content-type", "application/json"),
        ("origin", "www.example.co.id"),
        ("x-external-id", ExternalId::new(NOW, 42).as_str()),
        ("x-partner-id", "partner-7"),
        ("x-timestamp", "2026-11-22T10:00:00+07:00"),
    ] {
        assert_eq!(seen.header(name), value, "{name}");
    }
}

#[tokio::test]
async fn a_profile_without_origin_sends_none() {
    let server = Server::start().await;
    let profile = Arc::new(snap_core::Profile::builtin("midtrans").unwrap());
    let client = SnapClient::new(ClientConfig { profile, origin: None, ..server.config() }).unwrap();
    let token = client.token(NOW).await.unwrap();
    let id = ExternalId::new(NOW, 1);
    let (_reply, _used) = client.call(&token, Service::TransferStatus, &id, Payload::new("{}"), NOW).await;
    let seen = &server.transactions()[0];
    assert_eq!((seen.path.as_str(), seen.header("origin")), ("/base/v1.0/transfer/status", ""));
}

#[tokio::test]
async fn a_certificate_counts_only_where_its_authority_is_trusted() {
    let port = tls_server().await;
    let base = format!("https://localhost:{port}");
    let trusting = SnapClient::new(ClientConfig { ca_file: Some(authority()), ..config(&base) }).unwrap();
    let token = trusting.token(NOW).await.expect("a token over TLS");
    assert!(matches!(top_up(&trusting, &token, 1).await, Reply::Answered(_)));

    let stranger = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/server.pem");
    let doubting = SnapClient::new(ClientConfig { ca_file: Some(stranger.into()), ..config(&base) }).unwrap();
    let reply = top_up(&doubting, &token, 2).await;
    assert!(matches!(reply, Reply::NotSent { why: NotSentReason::Tls, .. }), "{reply:?}");
}

#[test]
fn settings_that_cannot_work_are_named() {
    let good = || config("https://snap.example.test");
    for (setting, config) in [
        ("base_url", config("http://snap.example.test")),
        ("client_key", ClientConfig { client_key: String::new(), ..good() }),
        ("client_secret", ClientConfig { client_secret: "".into(), ..good() }),
        ("private_key", ClientConfig { private_key_pem: "no key".into(), ..good() }),
        ("partner_id", ClientConfig { partner_id: "a\r\nb".to_owned(), ..good() }),
        ("channel_id", ClientConfig { channel_id: " ".to_owned(), ..good() }),
        ("origin", ClientConfig { origin: None, ..good() }),
        ("request_timeout", ClientConfig { request_timeout: Duration::ZERO, ..good() }),
        ("ca_file", ClientConfig { ca_file: Some("/nonexistent/ca.pem".into()), ..good() }),
    ] {
        let config = ClientConfig { ca_file: config.ca_file.or_else(|| Some(authority())), ..config };
        let error = SnapClient::new(config).expect_err(setting).to_string();
        assert!(error.starts_with(setting), "{error}");
    }
}

#[tokio::test]
async fn nothing_that_can_be_printed_holds_a_secret() {
    let server = Server::start().await;
    let (client, token) = server.client().await;
    let reply = top_up(&client, &token, 1).await;
    let printed = format!("{:?} {client:?} {token:?} {reply:?}", server.config());
    for secret in [crate::support::SECRET, "token-1", "PRIVATE KEY", "2003800"] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
}

/// Answers every request over TLS with a token that is also a success.
async fn tls_server() -> u16 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let acceptor = tokio_rustls::TlsAcceptor::from(crate::support::tls());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 8192];
            drop(stream.read(&mut request).await);
            let answer = crate::support::http(200, &[("Connection", "close")], &crate::support::token_body(1, "900"));
            drop(stream.write_all(answer.as_bytes()).await);
            drop(stream.shutdown().await);
        }
    };
    // Ends with the runtime of its test.
    tokio::runtime::Handle::current().spawn(serve);
    port
}
