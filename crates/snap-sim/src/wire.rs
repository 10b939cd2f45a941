//! Connections that HTTP has lost: silence, resets, dripping, bytes without end.

use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::play::{LateOrder, When, Wire};

/// Most bytes an endless answer has.
const ENDLESS: usize = 256 << 20;

/// What is left when a script has been played.
pub(crate) enum Played {
    /// The connection is closed.
    Closed,
    /// It is closed, and this order is due now.
    Late(LateOrder),
    /// HTTP goes on, behind what the client has sent meanwhile.
    GoesOn(TcpStream),
}

/// Plays a script on a connection, and closes it unless HTTP goes on.
pub(crate) async fn play(mut stream: TcpStream, wire: Wire) -> Played {
    match wire {
        Wire::Silence(hang) => wait_for_goodbye(&mut stream, hang).await,
        Wire::Late { hang, after, order } => {
            wait_for_goodbye(&mut stream, hang).await;
            drop(stream);
            sleep(after).await;
            return Played::Late(order);
        }
        Wire::Rst => {
            if let Err(error) = SockRef::from(&stream).set_linger(Some(Duration::ZERO)) {
                tracing::debug!(%error, "linger was not set");
            }
        }
        Wire::Bytes(bytes) => goodbye(&mut stream, &bytes).await,
        Wire::Drip { quick, slow, pause, hang } => {
            let drip = async {
                if stream.write_all(&quick).await.is_err() {
                    return;
                }
                for byte in &slow {
                    wait_for_goodbye(&mut stream, pause).await;
                    if stream.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                }
            };
            // Whether it got through all of it or not: the connection ends now.
            if timeout(hang, drip).await.is_ok() {
                goodbye(&mut stream, b"").await;
            }
        }
        Wire::Endless { first, again, hang } => {
            let pour = async {
                if stream.write_all(&first).await.is_err() {
                    return;
                }
                for _ in 0..ENDLESS / again.len() {
                    if stream.write_all(&again).await.is_err() {
                        return;
                    }
                }
            };
            if timeout(hang, pour).await.is_err() {
                tracing::debug!("an endless answer was cut");
            }
        }
        Wire::Goes { first, when, then } => {
            let said = async {
                stream.write_all(&first).await?;
                match when {
                    When::After(pause) => sleep(pause).await,
                    When::NextRequest => drop(stream.peek(&mut [0]).await?),
                }
                stream.write_all(&then).await
            };
            match said.await {
                Ok(()) => return Played::GoesOn(stream),
                Err(error) => tracing::debug!(%error, "the client went first"),
            }
        }
    }
    Played::Closed
}

/// Waits until the client closes, for `hang` at most.
async fn wait_for_goodbye(stream: &mut TcpStream, hang: Duration) {
    let closed = async {
        let mut ignored = [0; 1024];
        while !matches!(stream.read(&mut ignored).await, Ok(0) | Err(_)) {}
    };
    if timeout(hang, closed).await.is_err() {
        tracing::trace!("the client is still there");
    }
}

/// Writes what is to be written and says FIN; a client that is gone does not matter.
async fn goodbye(stream: &mut TcpStream, bytes: &[u8]) {
    let said = async {
        stream.write_all(bytes).await?;
        stream.shutdown().await
    };
    if let Err(error) = said.await {
        tracing::debug!(%error, "the client went first");
    }
}
