//! A gate between the worker and the provider: holds one request at a chosen moment, so that a crash can be placed exactly,
//! and remembers the credentials that went through, so that they can be looked for where they must not be.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long a test waits for the request it wants to hold.
const REACH_LIMIT: Duration = Duration::from_secs(60);

/// When a request is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It has arrived here; the provider has not seen it.
    BeforeTheProvider,
    /// The provider has done it and answered; the worker has not seen the answer.
    BeforeTheAnswer,
}

/// A listener that passes requests on to the provider, one at a time held.
pub(crate) struct Gate {
    address: SocketAddr,
    orders: Orders,
    credentials: Credentials,
    task: JoinHandle<()>,
}

/// Tokens and signatures that were sent through a gate.
type Credentials = Arc<Mutex<Vec<String>>>;

type Orders = Arc<Mutex<Vec<Order>>>;

struct Order {
    path_ends_with: String,
    body_contains: String,
    hold: Hold,
    reached: oneshot::Sender<()>,
    release: oneshot::Receiver<Release>,
}

/// What becomes of a held request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Release {
    GoOn,
    Vanish,
}

/// A request that is held, or will be.
pub(crate) struct Held {
    reached: Option<oneshot::Receiver<()>>,
    release: oneshot::Sender<Release>,
}

impl Held {
    /// Waits until the request is here and held.
    pub(crate) async fn reached(&mut self) {
        let reached = self.reached.take().expect("waited for once");
        timeout(REACH_LIMIT, reached).await.expect("the request comes in time").expect("the gate stands");
    }

    /// Lets it go on, however late.
    pub(crate) fn go_on(self) {
        self.release.send(Release::GoOn).expect("the request is still held");
    }

    /// Loses it: the connection is closed without a word.
    pub(crate) fn vanish(self) {
        self.release.send(Release::Vanish).expect("the request is still held");
    }
}

impl Gate {
    /// Stands in front of the provider at `upstream`.
    pub(crate) async fn open(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
        let address = listener.local_addr().expect("a bound listener has an address");
        let orders = Orders::default();
        let credentials = Credentials::default();
        let (shared, seen) = (Arc::clone(&orders), Arc::clone(&credentials));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (orders, seen) = (Arc::clone(&shared), Arc::clone(&seen));
                // Outlives the worker that sent the request: that is what a late original is.
                tokio::spawn(async move { drop(pass(client, upstream, &orders, &seen).await) });
            }
        });
        Self { address, orders, credentials, task }
    }

    /// The base URL for the worker's config.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The tokens and signatures that went through.
    pub(crate) fn credentials_seen(&self) -> Vec<String> {
        self.credentials.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Holds the next request whose path ends so and whose body contains this.
    pub(crate) fn hold(&self, path_ends_with: &str, body_contains: &str, hold: Hold) -> Held {
        let (reached_tx, reached_rx) = oneshot::channel();
        let (release_tx, release_rx) = oneshot::channel();
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).push(Order {
            path_ends_with: path_ends_with.to_owned(),
            body_contains: body_contains.to_owned(),
            hold,
            reached: reached_tx,
            release: release_rx,
        });
        Held { reached: Some(reached_rx), release: release_tx }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection, one request.
async fn pass(mut client: TcpStream, upstream: SocketAddr, orders: &Orders, seen: &Credentials) -> std::io::Result<()> {
    let Some(request) = read_request(&mut client).await? else { return Ok(()) };
    seen.lock().unwrap_or_else(PoisonError::into_inner).extend(request.credentials.iter().cloned());
    let order = take_order(orders, &request);
    let hold = order.as_ref().map(|order| order.hold);
    let mut order = order;
    if hold == Some(Hold::BeforeTheProvider) && wait(order.take()).await == Release::Vanish {
        return Ok(());
    }
    let mut provider = TcpStream::connect(upstream).await?;
    provider.write_all(&request.bytes).await?;
    let mut answer = Vec::new();
    provider.read_to_end(&mut answer).await?;
    if hold == Some(Hold::BeforeTheAnswer) && wait(order.take()).await == Release::Vanish {
        return Ok(());
    }
    client.write_all(&answer).await?;
    client.shutdown().await
}

async fn wait(order: Option<Order>) -> Release {
    let Some(order) = order else { return Release::GoOn };
    if order.reached.send(()).is_err() {
        return Release::GoOn;
    }
    order.release.await.unwrap_or(Release::Vanish)
}

fn take_order(orders: &Orders, request: &Request) -> Option<Order> {
    let mut orders = orders.lock().unwrap_or_else(PoisonError::into_inner);
    let body = String::from_utf8_lossy(&request.bytes);
    let wanted = |order: &Order| request.path.ends_with(&order.path_ends_with) && body.contains(&order.body_contains);
    orders.iter().position(wanted).map(|index| orders.remove(index))
}

struct Request {
    path: String,
    /// The token and the signature in its head.
    credentials: Vec<String>,
    bytes: Vec<u8>,
}

/// Reads a request and asks the provider to close after it, so that the end of the answer is the end of the stream.
async fn read_request(client: &mut TcpStream) -> std::io::Result<Option<Request>> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if client.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let header = |wanted: &str| {
        let mut fields = head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim().to_owned())
    };
    let length = header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    let token = header("authorization").and_then(|value| value.split_once(' ').map(|(_, token)| token.to_owned()));
    let credentials = [token, header("x-signature")].into_iter().flatten().collect();
    while bytes.len() < head_end + length {
        if client.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let first_line = head.find("\r\n").map_or(0, |at| at + 2);
    bytes.splice(first_line..first_line, *b"connection: close\r\n");
    Ok(Some(Request { path, credentials, bytes }))
}
