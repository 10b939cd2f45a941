use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;

const SINCE: Timestamp = Timestamp::from_millis(1_795_000_000_123);

struct Server {
    address: std::net::SocketAddr,
    shutdown: CancellationToken,
    served: JoinHandle<()>,
}

impl Server {
    async fn start(limits: Limits, probe: Probe) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving = serve_within(limits, listener, Arc::new(probe), shutdown.clone());
        let served = JoinSet::from_iter([serving]);
        Self { address, shutdown, served: own(served) }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn ask(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        answer(&mut stream).await
    }

    async fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await
    }

    async fn stop(self) {
        self.shutdown.cancel();
        timeout(Duration::from_secs(5), self.served).await.expect("the server ends").unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "the test is the owner of its server")]
fn own(mut tasks: JoinSet<()>) -> JoinHandle<()> {
    tokio::spawn(async move { while tasks.join_next().await.is_some() {} })
}

/// Everything until the server closes.
async fn answer(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = timeout(Duration::from_secs(5), stream.read_to_end(&mut text)).await;
    // A reset after the answer is how an unread request body ends.
    drop(read.expect("the server closes"));
    String::from_utf8(text).unwrap()
}

fn ask<T: Clone + Send + Sync + 'static>(value: T) -> Ask<T> {
    Box::new(move || Box::pin(std::future::ready(value.clone())))
}

fn fine() -> Readiness {
    Readiness { store: Ok(()), broker: Some(Ok(())), degraded: Vec::new() }
}

fn probe(readiness: Readiness) -> Probe {
    Probe { readiness: ask(readiness), metrics: ask(Ok("topup_outbox_pending 0\n# EOF\n".to_owned())) }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default()
}

#[tokio::test]
async fn healthz_says_that_the_process_lives() {
    let server = Server::start(LIMITS, probe(fine())).await;
    let answer = server.get("/healthz").await;
    assert_eq!((status(&answer), body(&answer)), ("200", "ok\n"));
    server.stop().await;
}

#[tokio::test]
async fn readyz_is_200_while_store_and_broker_are_there() {
    let server = Server::start(LIMITS, probe(fine())).await;
    let answer = server.get("/readyz?verbose").await;
    assert_eq!(status(&answer), "200");
    assert!(answer.contains("content-type: application/json\r\n"), "{answer}");
    assert_eq!(body(&answer), "{\"status\":\"ready\",\"reasons\":[],\"degraded\":[]}\n");
    server.stop().await;
}

#[tokio::test]
async fn readyz_lists_standing_lanes_and_stays_200() {
    let lane = Degraded { provider: "finpay".to_owned(), cause: "insufficient_funds".to_owned(), since: SINCE };
    let readiness = Readiness { broker: None, degraded: vec![lane], ..fine() };
    let server = Server::start(LIMITS, probe(readiness)).await;
    let answer = server.get("/readyz").await;
    assert_eq!(status(&answer), "200");
    assert_eq!(
        body(&answer),
        "{\"status\":\"ready\",\"reasons\":[],\"degraded\":[{\"provider\":\"finpay\",\"cause\":\"insufficient_funds\",\"since\":\"2026-11-18T18:06:40.123+07:00\"}]}\n"
    );
    server.stop().await;
}

#[tokio::test]
async fn readyz_is_503_with_each_reason() {
    let readiness = Readiness {
        store: Err("the disk is full".to_owned()),
        broker: Some(Err("not connected".to_owned())),
        ..fine()
    };
    let server = Server::start(LIMITS, probe(readiness)).await;
    let answer = server.get("/readyz").await;
    assert_eq!(status(&answer), "503");
    assert_eq!(
        body(&answer),
        "{\"status\":\"unavailable\",\"reasons\":[\"store: the disk is full\",\"broker: not connected\"],\"degraded\":[]}\n"
    );
    server.stop().await;
}

#[tokio::test]
async fn metrics_come_as_openmetrics() {
    let server = Server::start(LIMITS, probe(fine())).await;
    let answer = server.get("/metrics").await;
    assert_eq!(status(&answer), "200");
    assert!(
        answer.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"),
        "{answer}"
    );
    assert_eq!(body(&answer), "topup_outbox_pending 0\n# EOF\n");
    server.stop().await;
}

#[tokio::test]
async fn metrics_are_503_when_the_store_cannot_be_read() {
    let broken = Probe { metrics: ask(Err("the store cannot be read".to_owned())), ..probe(fine()) };
    let server = Server::start(LIMITS, broken).await;
    let answer = server.get("/metrics").await;
    assert_eq!((status(&answer), body(&answer)), ("503", "the store cannot be read\n"));
    server.stop().await;
}

#[tokio::test]
async fn other_methods_are_405_and_other_paths_404() {
    let server = Server::start(LIMITS, probe(fine())).await;
    for method in ["POST", "HEAD", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let answer = server.ask(&format!("{method} /readyz HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        assert_eq!(status(&answer), "405", "{method}");
        assert!(answer.contains("allow: GET\r\n"), "{answer}");
    }
    for path in ["/", "/metrics/", "/READYZ", "/healthz/../metrics", "/%6detrics"] {
        assert_eq!(status(&server.get(path).await), "404", "{path}");
    }
    assert_eq!(status(&server.ask("POST / HTTP/1.1\r\nHost: x\r\n\r\n").await), "404");
    server.stop().await;
}

#[tokio::test]
async fn a_request_body_is_not_read() {
    let server = Server::start(LIMITS, probe(fine())).await;
    let request = format!("POST /readyz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{}", "x".repeat(1000));
    assert_eq!(status(&server.ask(&request).await), "405");
    server.stop().await;
}

#[tokio::test]
async fn rubbish_and_endless_headers_are_turned_away() {
    let server = Server::start(LIMITS, probe(fine())).await;
    assert_eq!(status(&server.ask("\u{1}\u{2}\u{3}\r\n\r\n").await), "400");
    let endless = format!("GET /healthz HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(HEAD_MAX * 2));
    assert_eq!(status(&server.ask(&endless).await), "431");
    let answer = server.get("/healthz").await;
    assert_eq!(status(&answer), "200");
    server.stop().await;
}

#[tokio::test]
async fn one_request_a_connection() {
    let server = Server::start(LIMITS, probe(fine())).await;
    let twice = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2);
    assert_eq!(server.ask(&twice).await.matches("HTTP/1.1 200").count(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_never_ends_its_headers_is_cut() {
    let limits = Limits { header: Duration::from_millis(50), ..LIMITS };
    let server = Server::start(limits, probe(fine())).await;
    let mut silent = server.connect().await;
    let mut dripping = server.connect().await;
    dripping.write_all(b"GET /healthz HT").await.unwrap();
    assert!(!answer(&mut silent).await.contains("200"));
    assert!(!answer(&mut dripping).await.contains("200"));
    server.stop().await;
}

#[tokio::test]
async fn a_probe_that_hangs_is_unavailable() {
    let limits = Limits { probe: Duration::from_millis(50), ..LIMITS };
    let hanging = Probe {
        readiness: Box::new(|| Box::pin(std::future::pending())),
        metrics: Box::new(|| Box::pin(std::future::pending())),
    };
    let server = Server::start(limits, hanging).await;
    let answer = server.get("/readyz").await;
    assert_eq!(status(&answer), "503");
    assert!(answer.contains("store: no answer in time"), "{answer}");
    assert_eq!(status(&server.get("/metrics").await), "503");
    assert_eq!(status(&server.get("/healthz").await), "200");
    server.stop().await;
}

#[tokio::test]
async fn more_clients_than_allowed_wait_for_their_turn() {
    let limits = Limits { connections: 1, header: Duration::from_millis(100), ..LIMITS };
    let server = Server::start(limits, probe(fine())).await;
    let _silent = server.connect().await;
    assert_eq!(status(&server.get("/healthz").await), "200");
    server.stop().await;
}

#[tokio::test]
async fn a_request_under_way_ends_after_shutdown_and_a_hanging_one_is_cut() {
    let (asked, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow: Ask<Result<String, String>> = {
        let (asked, go) = (Arc::clone(&asked), Arc::clone(&go));
        Box::new(move || {
            let (asked, go) = (Arc::clone(&asked), Arc::clone(&go));
            Box::pin(async move {
                asked.notify_one();
                go.notified().await;
                Ok("late\n".to_owned())
            })
        })
    };
    let limits = Limits { drain: Duration::from_millis(500), ..LIMITS };
    let server = Server::start(limits, Probe { metrics: slow, ..probe(fine()) }).await;
    let mut under_way = server.connect().await;
    under_way.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    asked.notified().await;
    let mut hanging = server.connect().await;
    hanging.write_all(b"GET /readyz HTTP/1.1\r\n").await.unwrap();
    server.shutdown.cancel();
    go.notify_one();
    assert_eq!(body(&answer(&mut under_way).await), "late\n");
    let address = server.address;
    server.stop().await;
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}
