//! A TCP line that breaks on demand; whoever listens at its other end is left alone.
//!
//! It must not know what is said on it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How bytes go in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// As they come.
    #[default]
    Free,
    /// They wait: nobody is told, and nothing arrives.
    Held,
    /// What comes at one time waits so long, and then goes on.
    Late(Duration),
    /// One by one, with this pause after each.
    Dripping(Duration),
}

/// What the line does.
#[derive(Clone, Copy, Debug, Default)]
struct Order {
    to_server: Flow,
    to_client: Flow,
    /// New connections end at once.
    away: bool,
    /// Connections made under another number end.
    cuts: u64,
    /// They end by a reset.
    reset: bool,
}

/// The line; its connections end when it is dropped.
#[derive(Debug)]
pub struct Line {
    address: SocketAddr,
    order: watch::Sender<Order>,
    /// Holds the one task, which is aborted when this is dropped.
    _task: JoinSet<()>,
}

impl Line {
    /// A line to `upstream`, `host:port`.
    ///
    /// # Errors
    /// There is no port to listen on.
    pub async fn to(upstream: String) -> io::Result<Self> {
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
                    Err(_full) => sleep(Duration::from_millis(20)).await,
                }
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, order, _task: task })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection, in order or by a reset.
    pub fn cut(&self, reset: bool) {
        self.order.send_modify(|order| {
            order.cuts += 1;
            order.reset = reset;
        });
    }

    /// How bytes go from now on, to the server and to the client. One of them held is a line that is half open.
    pub fn flow(&self, to_server: Flow, to_client: Flow) {
        self.order.send_modify(|order| (order.to_server, order.to_client) = (to_server, to_client));
    }

    /// Holds every byte back, or lets them go on.
    pub fn stall(&self, stalled: bool) {
        let flow = if stalled { Flow::Held } else { Flow::Free };
        self.flow(flow, flow);
    }

    /// Ends every connection and each new one, or stops doing so.
    pub fn away(&self, away: bool) {
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
            _ended = pump(from_client, to_server, orders.clone(), |order| order.to_server) => {}
            _ended = pump(from_server, to_client, orders.clone(), |order| order.to_client) => {}
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
    flow: impl Fn(&Order) -> Flow,
) -> io::Result<()> {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut bytes).await?;
        let mut left = &bytes[..read];
        let late = flow(&orders.borrow());
        if let Flow::Late(span) = late {
            sleep(span).await;
        }
        while !left.is_empty() {
            if orders.wait_for(|order| flow(order) != Flow::Held).await.is_err() {
                return Ok(());
            }
            let now = flow(&orders.borrow());
            if let Flow::Dripping(pause) = now {
                to.write_all(&left[..1]).await?;
                left = &left[1..];
                sleep(pause).await;
            } else {
                to.write_all(left).await?;
                left = &[];
            }
        }
        if read == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, timeout};

    use super::*;

    /// A server that says back what it hears, and a line to it.
    async fn line() -> (Line, JoinSet<()>) {
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
        (Line::to(upstream).await.unwrap(), task)
    }

    async fn echo(stream: &mut TcpStream) -> io::Result<()> {
        stream.write_all(b"?!").await?;
        let mut back = [0; 2];
        stream.read_exact(&mut back).await.map(drop)
    }

    #[tokio::test]
    async fn it_passes_stalls_cuts_and_is_away() {
        let (line, _server) = line().await;
        let mut stream = TcpStream::connect(line.address()).await.unwrap();
        echo(&mut stream).await.unwrap();

        line.stall(true);
        assert!(timeout(Duration::from_millis(100), echo(&mut stream)).await.is_err(), "it stalls");
        line.stall(false);
        let mut back = [0; 2];
        stream.read_exact(&mut back).await.unwrap();

        line.cut(true);
        assert!(echo(&mut stream).await.is_err(), "it was cut");
        let mut stream = TcpStream::connect(line.address()).await.unwrap();
        echo(&mut stream).await.unwrap();

        line.away(true);
        assert!(echo(&mut stream).await.is_err(), "what was there ends");
        let mut refused = TcpStream::connect(line.address()).await.unwrap();
        assert!(echo(&mut refused).await.is_err(), "and so does what comes");
        line.away(false);
        let mut stream = TcpStream::connect(line.address()).await.unwrap();
        echo(&mut stream).await.unwrap();
    }

    #[tokio::test]
    async fn half_open_the_server_hears_and_is_not_heard() {
        let (line, _server) = line().await;
        let mut stream = TcpStream::connect(line.address()).await.unwrap();
        line.flow(Flow::Free, Flow::Held);
        assert!(timeout(Duration::from_millis(100), echo(&mut stream)).await.is_err());
        line.flow(Flow::Held, Flow::Free);
        let mut back = [0; 2];
        timeout(Duration::from_secs(5), stream.read_exact(&mut back)).await.unwrap().unwrap();
        assert!(timeout(Duration::from_millis(100), echo(&mut stream)).await.is_err(), "now it does not hear");
    }

    #[tokio::test]
    async fn what_drips_or_is_late_takes_its_time_and_arrives_whole() {
        let (line, _server) = line().await;
        let mut stream = TcpStream::connect(line.address()).await.unwrap();
        for slow in [Flow::Dripping(Duration::from_millis(40)), Flow::Late(Duration::from_millis(80))] {
            line.flow(slow, Flow::Free);
            let began = Instant::now();
            echo(&mut stream).await.unwrap();
            assert!(began.elapsed() >= Duration::from_millis(40), "{slow:?}");
        }
    }
}
