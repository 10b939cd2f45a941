//! A provider of raw bytes: reads requests whole, checks their signatures, and answers as badly as it is told to.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use snap_client::{Belongs, ClientConfig, Payload, Reply, SnapClient, Token, UsedConnection};
use snap_core::{ExternalId, Profile, Service, SymmetricKey, Timestamp, VerifyingKey};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub(crate) const SECRET: &str = "client-secret-of-the-tests";
pub(crate) const PRIVATE_KEY: &str = include_str!("../fixtures/test-only-key.pem");
pub(crate) const TOPUP_BODY: &str =
    r#"{"partnerReferenceNo":"A/B-1","customerName":"Zoë \"Z\" O'Hara","customerNumber":"081234567890"}"#;

/// 2026-11-22T10:00:00+07:00
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_316_400_000);

/// What the server does with the next connection or request that is not for a token.
pub(crate) enum Act {
    /// A whole answer; the connection stays open.
    Answer(u16, &'static [(&'static str, &'static str)], &'static str),
    /// A whole answer, then the connection is closed without having said so.
    AnswerAndClose,
    /// The connection is reset before anything is read.
    ResetOnAccept,
    /// The request is read, then the connection is reset.
    Reset,
    /// The request is read, then the connection is closed.
    Close,
    /// The request is read and nothing follows.
    Silence,
    /// `prefix` at once, then `drip` byte by byte, for ever.
    Drip { prefix: &'static str, drip: u8 },
    /// `prefix` at once, then `flood` as fast as it goes, for ever.
    Flood { prefix: &'static str, flood: &'static str },
    /// These bytes, then the connection is closed.
    Bytes(&'static str),
    /// These bytes, each after its pause; the connection stays open.
    Then(Vec<(Duration, String)>),
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Which of the accepted connections it came by.
    pub(crate) connection: usize,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(header, _)| header == name);
        let value = found.next().map_or("", |(_, value)| value);
        assert!(found.next().is_none(), "{name} came twice");
        value
    }

    pub(crate) fn signature_holds(&self, path: &str) -> bool {
        let token = self.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
        let (timestamp, signature) = (self.header("x-timestamp"), self.header("x-signature"));
        SymmetricKey::new(SECRET).verify_transaction("POST", path, token, &self.body, timestamp, signature)
    }

    fn is_for_token(&self) -> bool {
        self.path.ends_with("/access-token/b2b")
    }
}

#[derive(Default)]
struct State {
    acts: Mutex<VecDeque<Act>>,
    token_answers: Mutex<VecDeque<String>>,
    seen: Mutex<Vec<Seen>>,
    accepted: AtomicUsize,
    tokens_made: AtomicUsize,
}

pub(crate) struct Server {
    pub(crate) port: u16,
    state: Arc<State>,
    /// Token answers wait for a permit of this.
    pub(crate) token_gate: Arc<Semaphore>,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let token_gate = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::clone(&state), Arc::clone(&token_gate)));
        Self { port, state, token_gate, _tasks: tasks }
    }

    /// Queues what happens to the next transaction; with nothing queued it succeeds.
    pub(crate) fn next(&self, act: Act) {
        self.state.acts.lock().unwrap().push_back(act);
    }

    /// Queues a whole raw answer to a token request; with nothing queued a token is issued.
    pub(crate) fn next_token_answer(&self, raw: impl Into<String>) {
        self.state.token_answers.lock().unwrap().push_back(raw.into());
    }

    pub(crate) fn transactions(&self) -> Vec<Seen> {
        self.requests(|seen| !seen.is_for_token())
    }

    pub(crate) fn token_requests(&self) -> Vec<Seen> {
        self.requests(Seen::is_for_token)
    }

    pub(crate) fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }

    fn requests(&self, which: impl Fn(&Seen) -> bool) -> Vec<Seen> {
        self.state.seen.lock().unwrap().iter().filter(|seen| which(seen)).cloned().collect()
    }

    pub(crate) fn config(&self) -> ClientConfig {
        config(&format!("http://127.0.0.1:{}/base", self.port))
    }

    /// A client that gives up soon, and its token.
    pub(crate) async fn impatient(&self) -> (SnapClient, Token) {
        let client =
            SnapClient::new(ClientConfig { request_timeout: Duration::from_millis(400), ..self.config() }).unwrap();
        let token = client.token(NOW).await.unwrap();
        (client, token)
    }

    /// A client with ordinary limits, and its token.
    pub(crate) async fn client(&self) -> (SnapClient, Token) {
        let client = SnapClient::new(self.config()).unwrap();
        let token = client.token(NOW).await.unwrap();
        (client, token)
    }
}

pub(crate) fn config(base_url: &str) -> ClientConfig {
    ClientConfig {
        name: "finpay".to_owned(),
        profile: Arc::new(Profile::builtin("finpay").unwrap()),
        base_url: base_url.to_owned(),
        client_key: "client-key".to_owned(),
        client_secret: SECRET.into(),
        private_key_pem: PRIVATE_KEY.into(),
        partner_id: "partner-7".to_owned(),
        channel_id: "95221".to_owned(),
        origin: Some("www.example.co.id".to_owned()),
        connect_timeout: Duration::from_secs(3),
        request_timeout: Duration::from_secs(10),
        pool_size: 64,
        ca_file: None,
    }
}

/// One top-up with a number of its own, whose answer is believed.
pub(crate) async fn top_up(client: &SnapClient, token: &Token, number: u64) -> Reply {
    let (reply, used) = unkept(client, token, number).await;
    used.keep(Belongs::Named);
    reply
}

/// The same, and the connection before anything is made of it.
pub(crate) async fn unkept(client: &SnapClient, token: &Token, number: u64) -> (Reply, UsedConnection) {
    let external_id = ExternalId::new(NOW, number);
    client.call(token, Service::TopUp, &external_id, Payload::new(TOPUP_BODY.as_bytes()), NOW).await
}

pub(crate) fn authority() -> std::path::PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/authority.pem").into()
}

/// A server's side of TLS, by a certificate of [`authority`].
pub(crate) fn tls() -> Arc<rustls::ServerConfig> {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};

    let certificate = CertificateDer::from_pem_slice(include_bytes!("../fixtures/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../fixtures/server-key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Arc::new(tls)
}

pub(crate) fn verifies_token_signature(seen: &Seen) -> bool {
    let key = snap_core::SigningKey::from_pem(PRIVATE_KEY).unwrap().public_key_pem();
    VerifyingKey::from_pem(&key).unwrap().verify_token_request(
        seen.header("x-client-key"),
        seen.header("x-timestamp"),
        seen.header("x-signature"),
    )
}

pub(crate) fn http(status: u16, headers: &[(&str, &str)], body: &str) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("HTTP/1.1 {status} Any\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

async fn serve(listener: TcpListener, state: Arc<State>, token_gate: Arc<Semaphore>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        let connection = state.accepted.fetch_add(1, Ordering::SeqCst);
        let reset = {
            let mut acts = state.acts.lock().unwrap();
            let reset = matches!(acts.front(), Some(Act::ResetOnAccept));
            if reset {
                acts.pop_front();
            }
            reset
        };
        if reset {
            stream.set_zero_linger().unwrap();
            drop(stream);
            continue;
        }
        connections.spawn(converse(stream, connection, Arc::clone(&state), Arc::clone(&token_gate)));
    }
}

async fn converse(mut stream: TcpStream, connection: usize, state: Arc<State>, token_gate: Arc<Semaphore>) {
    let mut buffer = Vec::new();
    while let Some(seen) = read_request(&mut stream, &mut buffer, connection).await {
        let for_token = seen.is_for_token();
        state.seen.lock().unwrap().push(seen);
        let goes_on = if for_token {
            token_gate.acquire().await.unwrap().forget();
            let queued = state.token_answers.lock().unwrap().pop_front();
            let answer = queued.unwrap_or_else(|| {
                let number = state.tokens_made.fetch_add(1, Ordering::SeqCst) + 1;
                // Closed, so that what a test says about connections is about transactions alone.
                http(200, &[("Connection", "close")], &token_body(number, "900"))
            });
            stream.write_all(answer.as_bytes()).await.is_ok() && !answer.contains("Connection: close")
        } else {
            let act = state.acts.lock().unwrap().pop_front();
            perform(act.unwrap_or(Act::Answer(200, &[], r#"{"responseCode":"2003800"}"#)), &mut stream).await
        };
        if !goes_on {
            return;
        }
    }
}

pub(crate) fn token_body(number: usize, expires_in: &str) -> String {
    format!(
        r#"{{"responseCode":"2007300","responseMessage":"Successful","accessToken":"token-{number}","tokenType":"Bearer","expiresIn":{expires_in}}}"#
    )
}

/// Whether the connection goes on.
async fn perform(act: Act, stream: &mut TcpStream) -> bool {
    match act {
        Act::Answer(status, headers, body) => stream.write_all(http(status, headers, body).as_bytes()).await.is_ok(),
        Act::AnswerAndClose => {
            stream.write_all(http(200, &[], r#"{"responseCode":"2003800"}"#).as_bytes()).await.unwrap();
            false
        }
        Act::ResetOnAccept | Act::Reset => {
            stream.set_zero_linger().unwrap();
            false
        }
        Act::Close => false,
        Act::Silence => {
            // Until the client gives up.
            let mut nothing = [0; 1];
            drop(stream.read(&mut nothing).await);
            false
        }
        Act::Drip { prefix, drip } => {
            stream.write_all(prefix.as_bytes()).await.unwrap();
            let mut pause = tokio::time::interval(Duration::from_millis(20));
            while stream.write_all(&[drip]).await.is_ok() {
                pause.tick().await;
            }
            false
        }
        Act::Flood { prefix, flood } => {
            stream.write_all(prefix.as_bytes()).await.unwrap();
            let flood = flood.repeat(1000);
            while stream.write_all(flood.as_bytes()).await.is_ok() {}
            false
        }
        Act::Bytes(bytes) => {
            stream.write_all(bytes.as_bytes()).await.unwrap();
            false
        }
        Act::Then(pieces) => {
            for (pause, bytes) in pieces {
                tokio::time::sleep(pause).await;
                if stream.write_all(bytes.as_bytes()).await.is_err() {
                    return false;
                }
            }
            true
        }
    }
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>, connection: usize) -> Option<Seen> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
            let mut lines = head.split("\r\n");
            let path = lines.next()?.split(' ').nth(1)?.to_owned();
            let headers: Vec<(String, String)> = lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect();
            let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse::<usize>().unwrap();
            if buffer.len() >= end + 4 + length {
                let body = buffer[end + 4..end + 4 + length].to_vec();
                buffer.drain(..end + 4 + length);
                return Some(Seen { path, headers, body, connection });
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}
