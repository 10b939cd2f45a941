//! A client of its own: signs with snap-core, speaks HTTP by hand, and tells silence, FIN and RST apart.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use snap_core::{SigningKey, SymmetricKey, Timestamp};
use snap_sim::{Behaviour, Credentials, Personality, Running, SimConfig, Simulator};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// More than this is taken for endless.
const ENOUGH: usize = 512 * 1024;

/// What came back.
#[derive(Debug)]
pub(crate) enum Heard {
    Answer(Answer),
    /// FIN before a whole answer, after these bytes.
    Closed(Vec<u8>),
    Reset,
    /// Nothing more within the time, after these bytes.
    Silence(Vec<u8>),
    /// More than anybody would read, beginning like this.
    TooMuch(Vec<u8>),
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn code(&self) -> String {
        self.json()["responseCode"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn message(&self) -> String {
        self.json()["responseMessage"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }
}

impl Heard {
    pub(crate) fn answer(self) -> Answer {
        match self {
            Self::Answer(answer) => answer,
            other => panic!("an answer was expected, not {other:?}"),
        }
    }
}

/// A simulator and a client for one of its mounts.
pub(crate) struct Client {
    pub(crate) sim: Running,
    pub(crate) by: Personality,
    pub(crate) patience: Duration,
    token: String,
    external: AtomicU64,
}

/// Starts a simulator with both personalities and a client for one of them.
pub(crate) async fn client(by: Personality) -> Client {
    client_of(by, |_| {}).await
}

/// As [`client`], with another behaviour.
pub(crate) async fn client_of(by: Personality, change: impl FnOnce(&mut Behaviour)) -> Client {
    let mut config = SimConfig::default();
    config.behaviour.hang = Duration::from_secs(30);
    config.behaviour.drip = Duration::from_millis(50);
    change(&mut config.behaviour);
    client_with(by, config).await
}

pub(crate) async fn client_with(by: Personality, config: SimConfig) -> Client {
    let sim = Simulator::start(config, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let mut client =
        Client { sim, by, patience: Duration::from_millis(600), token: String::new(), external: AtomicU64::new(1) };
    client.renew_token().await;
    client
}

pub(crate) const BOTH: [Personality; 2] = [Personality::Finpay, Personality::Midtrans];

/// Unix milliseconds.
#[expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "the tests' own clock")]
fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// `X-TIMESTAMP` so many seconds from now.
pub(crate) fn timestamp(offset_secs: i64) -> String {
    Timestamp::from_millis(now_ms() + offset_secs * 1000).to_snap()
}

/// A request that is signed when it is sent.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) path: String,
    pub(crate) timestamp: String,
    pub(crate) token: String,
    pub(crate) body: Vec<u8>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) secret: String,
}

impl Draft {
    /// Another value of a header, after signing.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(key, _)| *key != name);
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &'static str) -> Self {
        self.headers.retain(|(key, _)| *key != name);
        self.headers.push((name, String::new()));
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let signature = SymmetricKey::new(self.secret.as_bytes()).sign_transaction(
            "POST",
            &self.path,
            &self.token,
            &self.body,
            &self.timestamp,
        );
        let mut headers = vec![
            ("Content-Type", "application/json".to_owned()),
            ("Authorization", format!("Bearer {}", self.token)),
            ("X-TIMESTAMP", self.timestamp.clone()),
            ("X-SIGNATURE", signature),
        ];
        for (name, value) in &self.headers {
            headers.retain(|(key, _)| key != name);
            headers.push((name, value.clone()));
        }
        post(&self.path, &headers, &self.body)
    }
}

/// A POST as bytes; headers with an empty value stay out.
fn post(path: &str, headers: &[(&'static str, String)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("POST {path} HTTP/1.1\r\nHost: sim\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

impl Client {
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/{}/v1.0/{rest}", self.by.as_str())
    }

    pub(crate) fn status_path(&self) -> String {
        self.path(match self.by {
            Personality::Finpay => "emoney/topup-status",
            Personality::Midtrans => "transfer/status",
        })
    }

    /// Writes bytes on a fresh connection and listens.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> Heard {
        let mut stream = TcpStream::connect(self.sim.addr()).await.unwrap();
        if let Err(error) = stream.write_all(bytes).await {
            return failed(&error);
        }
        hear(&mut stream, self.patience).await
    }

    pub(crate) async fn token_request(&self, change: impl FnOnce(&mut Vec<(&'static str, String)>)) -> Heard {
        self.token_request_with(&Credentials::throwaway().client_key, &timestamp(0), TOKEN_BODY, change).await
    }

    pub(crate) async fn token_request_with(
        &self,
        client_key: &str,
        timestamp: &str,
        body: &str,
        change: impl FnOnce(&mut Vec<(&'static str, String)>),
    ) -> Heard {
        let key = SigningKey::from_pem(&Credentials::throwaway().private_key_pem.unwrap()).unwrap();
        let mut headers = vec![
            ("Content-Type", "application/json".to_owned()),
            ("X-CLIENT-KEY", client_key.to_owned()),
            ("X-TIMESTAMP", timestamp.to_owned()),
            ("X-SIGNATURE", key.sign_token_request(client_key, timestamp)),
        ];
        change(&mut headers);
        self.exchange(&post(&self.path("access-token/b2b"), &headers, body.as_bytes())).await
    }

    pub(crate) async fn renew_token(&mut self) {
        let answer = self.token_request(|_| {}).await.answer();
        assert_eq!(answer.code(), "2007300");
        self.token = answer.json()["accessToken"].as_str().unwrap().to_owned();
    }

    /// A transaction in order, not yet signed.
    pub(crate) fn draft(&self, path: String, body: &Value) -> Draft {
        let external = self.external.fetch_add(1, Ordering::Relaxed);
        let mut headers = vec![
            ("X-PARTNER-ID", "test-partner".to_owned()),
            ("X-EXTERNAL-ID", format!("{external:032}")),
            ("CHANNEL-ID", "95221".to_owned()),
        ];
        if self.by == Personality::Finpay {
            headers.push(("ORIGIN", "www.example.co.id".to_owned()));
        }
        Draft {
            path,
            timestamp: timestamp(0),
            token: self.token.clone(),
            body: body.to_string().into_bytes(),
            headers,
            secret: Credentials::throwaway().client_secret,
        }
    }

    pub(crate) async fn send(&self, draft: &Draft) -> Heard {
        self.exchange(&draft.bytes()).await
    }

    pub(crate) fn top_up_draft(&self, reference: &str, customer: &str) -> Draft {
        self.draft(self.path("emoney/topup"), &top_up_body(self.by, reference, customer))
    }

    pub(crate) async fn top_up(&self, reference: &str, customer: &str) -> Heard {
        self.send(&self.top_up_draft(reference, customer)).await
    }

    pub(crate) fn inquiry_draft(&self, reference: &str, customer: &str) -> Draft {
        self.draft(self.path("emoney/account-inquiry"), &inquiry_body(self.by, reference, customer))
    }

    pub(crate) async fn inquiry(&self, reference: &str, customer: &str) -> Heard {
        self.send(&self.inquiry_draft(reference, customer)).await
    }

    pub(crate) fn status_draft(&self, reference: &str) -> Draft {
        self.draft(self.status_path(), &status_body(self.by, reference))
    }

    pub(crate) async fn status(&self, reference: &str) -> Heard {
        self.send(&self.status_draft(reference)).await
    }

    /// `latestTransactionStatus`, or 07 where Midtrans does not find it.
    pub(crate) async fn latest(&self, reference: &str) -> String {
        let answer = self.status(reference).await.answer();
        match answer.code().as_str() {
            "4043601" => "07".into(),
            "2003600" | "2003900" => answer.json()["latestTransactionStatus"].as_str().unwrap().to_owned(),
            code => panic!("status inquiry answered {code}"),
        }
    }

    /// An endpoint of the simulator itself.
    pub(crate) async fn admin(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let request =
            format!("{method} /_sim/{path} HTTP/1.1\r\nHost: sim\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let answer = self.exchange(request.as_bytes()).await.answer();
        (answer.status, answer.json())
    }
}

pub(crate) const TOKEN_BODY: &str = r#"{"grantType":"client_credentials"}"#;

/// A customer that nothing is special about, canonical.
pub(crate) const CUSTOMER: &str = "6281977817902";

/// The customer as the personality writes it.
pub(crate) fn rendered(by: Personality, customer: &str) -> String {
    match by {
        Personality::Finpay => format!("0{}", &customer[2..]),
        Personality::Midtrans => customer.to_owned(),
    }
}

pub(crate) fn top_up_body(by: Personality, reference: &str, customer: &str) -> Value {
    let amount = json!({ "value": "10000.00", "currency": "IDR" });
    match by {
        Personality::Finpay => json!({
            "partnerReferenceNo": reference, "customerNumber": rendered(by, customer), "customerName": "sa**m",
            "amount": amount, "feeAmount": { "value": "0.00", "currency": "IDR" }, "transactionDate": timestamp(0),
        }),
        Personality::Midtrans => json!({
            "partnerReferenceNo": reference, "customerNumber": rendered(by, customer), "customerName": "John Doe",
            "amount": amount, "notes": "Payout April_17",
            "additionalInfo": { "beneficiaryProvider": "gopay", "beneficiaryEmail": "a@b.test" },
        }),
    }
}

pub(crate) fn inquiry_body(by: Personality, reference: &str, customer: &str) -> Value {
    let amount = json!({ "value": "10000.00", "currency": "IDR" });
    match by {
        Personality::Finpay => json!({
            "partnerReferenceNo": reference, "customerNumber": rendered(by, customer), "amount": amount,
            "transactionDate": timestamp(0),
        }),
        Personality::Midtrans => json!({
            "customerNumber": rendered(by, customer), "amount": amount,
            "additionalInfo": { "beneficiaryProvider": "gopay" },
        }),
    }
}

pub(crate) fn status_body(by: Personality, reference: &str) -> Value {
    match by {
        Personality::Finpay => {
            json!({ "originalPartnerReferenceNo": reference, "originalReferenceNo": "", "serviceCode": "38" })
        }
        Personality::Midtrans => json!({ "originalPartnerReferenceNo": reference, "serviceCode": "38" }),
    }
}

fn failed(error: &std::io::Error) -> Heard {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Heard::Reset,
        _ => panic!("{error}"),
    }
}

/// Listens until an answer is whole, the connection ends, or the patience.
pub(crate) async fn hear(stream: &mut TcpStream, patience: Duration) -> Heard {
    let deadline = Instant::now() + patience;
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        if let Some(answer) = whole_answer(&bytes) {
            return Heard::Answer(answer);
        }
        if bytes.len() > ENOUGH {
            return Heard::TooMuch(bytes);
        }
        match timeout_at(deadline, stream.read(&mut chunk)).await {
            Err(_) => return Heard::Silence(bytes),
            Ok(Ok(0)) => return Heard::Closed(bytes),
            Ok(Ok(length)) => bytes.extend(&chunk[..length]),
            Ok(Err(error)) => return failed(&error),
        }
    }
}

fn whole_answer(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let mut answer = Answer { status, head, body: Vec::new() };
    let length: usize = answer.header("content-length")?.parse().ok()?;
    answer.body = bytes.get(end + 4..end + 4 + length)?.to_vec();
    Some(answer)
}
