//! A line to the broker that can be cut: the broker itself is left alone.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What the line does.
#[derive(Clone, Copy, Debug, Default)]
struct Order {
    /// Bytes wait.
    stalled: bool,
    /// New connections end at once.
    away: bool,
    /// Connections made under another number end.
    cuts: u64,
    /// They end by a reset.
    reset: bool,
}

/// The line; its connections end when it is dropped.
#[derive(Debug)]
pub(super) struct Proxy {
    address: SocketAddr,
    order: watch::Sender<Order>,
    /// Holds the one task, which is aborted when this is dropped.
    _task: JoinSet<()>,
}

impl Proxy {
    /// A line to `upstream`, `host:port`.
    ///
    /// # Errors
    /// There is no port to listen on.
    pub(super) async fn to(upstream: String) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (order, orders) = watch::channel(Order::default());
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                match listener.accept().await {
                    Ok((client, _)) => drop(connections.spawn(pass(client, upstream.clone(), orders.clone()))),
                    // Out of descriptors, most likely: some will be closed.
                    Err(_full) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
                }
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, order, _task: task })
    }

    /// Where it listens.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection, in order or by a reset.
    pub(super) fn cut(&self, reset: bool) {
        self.order.send_modify(|order| {
            order.cuts += 1;
            order.reset = reset;
        });
    }

    /// Holds every byte back, or lets them go on.
    pub(super) fn stall(&self, stalled: bool) {
        self.order.send_modify(|order| order.stalled = stalled);
    }

    /// Ends every connection and each new one, or stops doing so.
    pub(super) fn away(&self, away: bool) {
        self.order.send_modify(|order| {
            order.away = away;
            order.reset = true;
            order.cuts += u64::from(away);
        });
    }
}

async fn pass(mut client: TcpStream, upstream: String, mut orders: watch::Receiver<Order>) {
    let Order { away, cuts, .. } = *orders.borrow();
    let server = if away { None } else { TcpStream::connect(upstream).await.ok() };
    let Some(mut server) = server else {
        drop(client.set_zero_linger());
        return;
    };
    {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        tokio::select! {
            _ended = pump(from_client, to_server, orders.clone()) => {}
            _ended = pump(from_server, to_client, orders.clone()) => {}
            _cut = orders.wait_for(|order| order.cuts != cuts) => {}
        }
    }
    if orders.borrow().reset {
        // Where it fails the connection ends in order, which is bad enough.
        drop(client.set_zero_linger().and_then(|()| server.set_zero_linger()));
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut orders: watch::Receiver<Order>,
) -> io::Result<()> {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut bytes).await?;
        if read == 0 {
            return Ok(());
        }
        if orders.wait_for(|order| !order.stalled).await.is_err() {
            return Ok(());
        }
        to.write_all(&bytes[..read]).await?;
    }
}

/// An `amqp://` URL split at its host and port: what stands before, `host:port`, what stands behind. `None` for any other
/// scheme: a certificate would not fit the line.
pub(super) fn split(url: &str) -> Option<(String, String, String)> {
    let rest = url.strip_prefix("amqp://")?;
    let (authority, behind) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (user, host) = authority.rsplit_once('@').map_or(("", authority), |(user, host)| (user, host));
    let at = if user.is_empty() { "" } else { "@" };
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|digit| digit.is_ascii_digit()));
    let host = if has_port { host.to_owned() } else { format!("{host}:5672") };
    Some((format!("amqp://{user}{at}"), host, behind.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// A server that says back what it hears, and a line to it.
    async fn line() -> (Proxy, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = listener.local_addr().unwrap().to_string();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        (Proxy::to(upstream).await.unwrap(), task)
    }

    async fn echo(stream: &mut TcpStream) -> io::Result<()> {
        stream.write_all(b"?").await?;
        let mut back = [0];
        stream.read_exact(&mut back).await.map(drop)
    }

    #[tokio::test]
    async fn it_passes_stalls_cuts_and_is_away() {
        let (proxy, _server) = line().await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        echo(&mut stream).await.unwrap();

        proxy.stall(true);
        assert!(timeout(Duration::from_millis(100), echo(&mut stream)).await.is_err(), "it stalls");
        proxy.stall(false);
        let mut back = [0];
        stream.read_exact(&mut back).await.unwrap();

        proxy.cut(true);
        assert!(echo(&mut stream).await.is_err(), "it was cut");
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        echo(&mut stream).await.unwrap();

        proxy.away(true);
        assert!(echo(&mut stream).await.is_err(), "what was there ends");
        let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(echo(&mut refused).await.is_err(), "and so does what comes");
        proxy.away(false);
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        echo(&mut stream).await.unwrap();
    }

    #[test]
    fn a_url_is_split_at_its_host() {
        let own = |parts: [&str; 3]| Some((parts[0].to_owned(), parts[1].to_owned(), parts[2].to_owned()));
        let split_of = |url| split(url);
        assert_eq!(
            split_of("amqp://guest:gu@est@broker:5673/%2f?heartbeat=5"),
            own(["amqp://guest:gu@est@", "broker:5673", "/%2f?heartbeat=5"])
        );
        assert_eq!(split_of("amqp://broker"), own(["amqp://", "broker:5672", ""]));
        assert_eq!(split_of("amqp://u:p@[::1]:1/"), own(["amqp://u:p@", "[::1]:1", "/"]));
        assert_eq!(split_of("amqps://broker/"), None);
    }
}
