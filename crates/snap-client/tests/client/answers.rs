//! M15: an answer belongs to its request. A connection is used again only where nothing of another answer can be on it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::support::{Act, NOW, Server, TOPUP_BODY, authority, config, http, top_up, unkept};
use snap_client::{Belongs, ClientConfig, Payload, Reply, SnapClient, Token};
use snap_core::{ExternalId, Service};

const OURS: &str = r#"{"responseCode":"2003800","partnerReferenceNo":"B"}"#;
const ANOTHERS: &str = r#"{"responseCode":"4043811","responseMessage":"Invalid Customer"}"#;

/// By how many connections two calls went when this happened between the request of the first and that of the second.
async fn connections_of_two_calls(first: Act, pause: Duration) -> usize {
    let server = Server::start().await;
    let (client, token) = server.impatient().await;
    server.next(first);
    top_up(&client, &token, 1).await;
    tokio::time::sleep(pause).await;
    let reply = top_up(&client, &token, 2).await;
    let Reply::Answered(answered) = &reply else { panic!("{reply:?}") };
    assert_eq!(&answered.body[..], br#"{"responseCode":"2003800"}"#, "the second call's own answer");
    let mut used: Vec<usize> = server.transactions().iter().map(|seen| seen.connection).collect();
    used.dedup();
    used.len()
}

const AT_ONCE: Duration = Duration::ZERO;
const SOON: Duration = Duration::from_millis(30);

#[tokio::test]
async fn m15_a_connection_is_closed_unless_its_answer_is_kept() {
    let server = Server::start().await;
    let (client, token) = server.client().await;
    for number in 0..3 {
        let (reply, used) = unkept(&client, &token, number).await;
        assert!(matches!(reply, Reply::Answered(_)), "{reply:?}");
        drop(used);
    }
    let used: Vec<usize> = server.transactions().iter().map(|seen| seen.connection).collect();
    assert_eq!(used, [1, 2, 3]);
}

#[tokio::test]
async fn m15_a_good_answer_alone_leaves_its_connection_open() {
    let good = Act::Answer(200, &[], r#"{"responseCode":"2003800"}"#);
    assert_eq!(connections_of_two_calls(good, AT_ONCE).await, 1);
}

#[tokio::test]
async fn m15_no_connection_is_used_again_after_a_5xx() {
    for status in [500, 502, 503, 504, 599] {
        let act = Act::Answer(status, &[], "<html>");
        assert_eq!(connections_of_two_calls(act, AT_ONCE).await, 2, "{status}");
    }
}

#[tokio::test]
async fn m15_no_connection_is_used_again_after_silence() {
    assert_eq!(connections_of_two_calls(Act::Silence, AT_ONCE).await, 2);
    let half = Act::Drip { prefix: "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", drip: b' ' };
    assert_eq!(connections_of_two_calls(half, AT_ONCE).await, 2);
}

#[tokio::test]
async fn m15_no_connection_is_used_again_after_an_interim_answer() {
    let whole = http(200, &[], OURS);
    for interim in ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"] {
        let act = Act::Then(vec![(AT_ONCE, format!("{interim}{whole}"))]);
        assert_eq!(connections_of_two_calls(act, AT_ONCE).await, 2, "{interim}");
        // However it is cut.
        let pieces = interim.as_bytes().chunks(4).map(|piece| String::from_utf8(piece.to_vec()).unwrap());
        let mut pieces: Vec<(Duration, String)> = pieces.map(|piece| (Duration::from_millis(2), piece)).collect();
        pieces.push((AT_ONCE, whole.clone()));
        assert_eq!(connections_of_two_calls(Act::Then(pieces), AT_ONCE).await, 2, "{interim}");
    }
    // A whole answer that is cut as finely stays one.
    let pieces = whole.as_bytes().chunks(3).map(|piece| String::from_utf8(piece.to_vec()).unwrap());
    let pieces = pieces.map(|piece| (Duration::from_millis(1), piece)).collect();
    assert_eq!(connections_of_two_calls(Act::Then(pieces), AT_ONCE).await, 1);
}

#[tokio::test]
async fn m15_a_byte_behind_an_answer_ends_its_connection() {
    let whole = http(200, &[], OURS);
    for behind in ["\0", "\r\n", &http(200, &[], ANOTHERS), "HTTP/1.1 100 Continue\r\n\r\n"] {
        let together = Act::Then(vec![(AT_ONCE, format!("{whole}{behind}"))]);
        assert_eq!(connections_of_two_calls(together, AT_ONCE).await, 2, "{behind:?} in the same packet");
        let later = Act::Then(vec![(AT_ONCE, whole.clone()), (Duration::from_millis(5), behind.to_owned())]);
        assert_eq!(connections_of_two_calls(later, SOON).await, 2, "{behind:?} while it was idle");
    }
}

#[tokio::test]
async fn m15_bytes_right_behind_an_answer_are_told() {
    let server = Server::start().await;
    let (client, token) = server.client().await;
    for (behind, expected) in [("", false), ("\0", true), (ANOTHERS, true)] {
        server.next(Act::Then(vec![(AT_ONCE, format!("{}{behind}", http(200, &[], OURS)))]));
        let Reply::Answered(answered) = top_up(&client, &token, 1).await else { panic!("no answer") };
        assert_eq!((answered.surplus, &answered.body[..]), (expected, OURS.as_bytes()), "{behind:?}");
    }
    server.next(Act::AnswerAndClose);
    let Reply::Answered(answered) = top_up(&client, &token, 2).await else { panic!("no answer") };
    assert!(!answered.surplus, "a close is no byte");
}

/// What arrives between two calls without the event loop having turned in between: tokio does not know of it yet.
#[tokio::test]
async fn m15_an_answer_that_came_while_the_machine_was_busy_is_seen_before_the_next_request_is_written() {
    let (client, token, told, tell) = against(|mut stream: TcpStream, tell: &Sender<()>, told: &Receiver<()>| {
        read_request(&mut stream);
        stream.write_all(http(200, &[], OURS).as_bytes()).unwrap();
        told.recv().unwrap();
        stream.write_all(http(404, &[], ANOTHERS).as_bytes()).unwrap();
        tell.send(()).unwrap();
        // To the client's end of it.
        let nothing = stream.read(&mut [0; 4096]);
        assert!(matches!(nothing, Ok(0) | Err(_)), "a request came by a connection with an unread answer");
    })
    .await;
    let first = top_up(&client, &token, 1).await;
    assert!(matches!(first, Reply::Answered(_)), "{first:?}");
    tell.send(()).unwrap();
    // Blocks the only thread: no readiness is learnt of meanwhile.
    told.recv().unwrap();
    let reply = top_up(&client, &token, 2).await;
    let Reply::Answered(answered) = &reply else { panic!("{reply:?}") };
    assert_eq!((answered.http_status, &answered.body[..]), (200, OURS.as_bytes()));
}

#[tokio::test]
async fn m15_after_an_answer_that_names_nothing_the_connection_carries_another_service_only() {
    let server = Server::start().await;
    let (client, token) = server.client().await;
    let services = [
        Service::AccountInquiry,
        Service::AccountInquiry,
        Service::TopUp,
        Service::AccountInquiry,
        Service::TopUpStatus,
    ];
    for (number, service) in (0..).zip(services) {
        let id = ExternalId::new(NOW, number);
        let (reply, used) = client.call(&token, service, &id, Payload::new(TOPUP_BODY.as_bytes()), NOW).await;
        assert!(matches!(reply, Reply::Answered(_)), "{reply:?}");
        used.keep(if service == Service::AccountInquiry { Belongs::ByService } else { Belongs::Named });
    }
    let used: Vec<usize> = server.transactions().iter().map(|seen| seen.connection).collect();
    // A top-up may follow either inquiry, and no other inquiry, however much later; status inquiries have their own.
    assert_eq!(used, [1, 2, 2, 3, 4]);
}

#[tokio::test]
async fn m15_each_token_request_has_a_connection_of_its_own() {
    let server = Server::start().await;
    for number in 1..=2 {
        server.next_token_answer(http(200, &[], &crate::support::token_body(number, "900")));
    }
    let client = SnapClient::new(server.config()).unwrap();
    let first = client.token(NOW).await.unwrap();
    client.refresh_token(&first, NOW).await.unwrap();
    let used: Vec<usize> = server.token_requests().iter().map(|seen| seen.connection).collect();
    assert_eq!(used, [0, 1]);
}

/// Session tickets and the like are read from the socket and are no answer.
#[tokio::test]
async fn m15_a_connection_over_tls_is_used_again_and_a_surplus_within_it_is_seen() {
    let accepted = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&accepted);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = channel();
    let tls = crate::support::tls();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let (session, stream) =
                (rustls::ServerConnection::new(std::sync::Arc::clone(&tls)).unwrap(), stream.unwrap());
            stream.set_nodelay(true).unwrap();
            let mut stream = rustls::StreamOwned::new(session, stream);
            let mut requests = 0;
            while read_request(&mut stream) {
                requests += 1;
                stream.write_all(http(200, &[], OURS).as_bytes()).unwrap();
                if requests == 3 {
                    stream.write_all(b"\0").unwrap();
                }
                stream.flush().unwrap();
                tell.send(()).unwrap();
            }
        }
    });
    let token = Server::start().await.client().await.1;
    let base = format!("https://localhost:{port}");
    let client = SnapClient::new(ClientConfig { ca_file: Some(authority()), ..config(&base) }).unwrap();
    for number in 1..=4 {
        let reply = top_up(&client, &token, number).await;
        assert!(matches!(reply, Reply::Answered(_)), "{reply:?}");
        told.recv().unwrap();
    }
    assert_eq!(accepted.load(std::sync::atomic::Ordering::SeqCst), 2, "three calls by the first, one by the second");
}

/// A client, a token, and a provider in a thread of its own: its first connection is `first`'s, every other answers each
/// request with a success.
async fn against(
    first: impl FnOnce(TcpStream, &Sender<()>, &Receiver<()>) + Send + 'static,
) -> (SnapClient, Token, Receiver<()>, Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let ((tell, told), (back, heard)) = (channel(), channel());
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let first = std::thread::spawn(move || first(stream, &back, &told));
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            while read_request(&mut stream) {
                stream.write_all(http(200, &[], OURS).as_bytes()).unwrap();
            }
        }
        first.join().unwrap();
    });
    let token = Server::start().await.client().await.1;
    let client = SnapClient::new(config(&format!("http://127.0.0.1:{port}"))).unwrap();
    (client, token, heard, tell)
}

/// Reads one request to its end; false at the end of the stream.
fn read_request(stream: &mut impl std::io::Read) -> bool {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    while !request.ends_with(TOPUP_BODY.as_bytes()) {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return false,
            Ok(length) => request.extend_from_slice(&piece[..length]),
        }
    }
    true
}
