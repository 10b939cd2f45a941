//! One connection and one request on it at a time.
//!
//! hyper's connection future is polled by the task that waits for the answer, not by a task of its own: nothing is
//! woken, queued or locked between the two, and while nobody waits nothing runs.

use std::error::Error as _;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper::http::response::Parts;
use hyper::{Request, Response};
use hyper_rustls::MaybeHttpsStream;

use crate::Silence;
use crate::services::Services;
use crate::socket::{Head, NOBODY, Socket, Stream};
use crate::trouble::detail;

/// Answers are a few hundred bytes; more than this is not one.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;

pub(crate) type Outgoing = Request<Full<Bytes>>;
type Wire = http1::Connection<Stream, Full<Bytes>>;

/// An established connection.
pub(crate) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    /// None: it has ended.
    wire: Option<Wire>,
    head: Head,
    /// It ended because bytes came that nothing had asked for.
    surplus: bool,
    /// The services whose requests went by it.
    pub(crate) carried: Services,
    /// Those of them whose answers did not name their requests: a copy of one would pass for the answer to the next request of
    /// that service, and for no other's.
    pub(crate) unnamed: Services,
}

/// A whole answer.
pub(crate) struct Heard {
    pub(crate) head: Parts,
    pub(crate) body: Bytes,
    /// An interim answer (1xx) came before it.
    pub(crate) interim: bool,
}

/// Why there is no answer.
pub(crate) enum Unheard {
    /// The connection had ended before a byte of the request was written: here it is again.
    Unsent(Box<Outgoing>, String),
    /// The request, or a part of it, may have left.
    Silent(Silence, String),
}

impl Connection {
    /// Speaks HTTP/1.1 on `stream`; nothing is sent yet.
    pub(crate) async fn new(stream: MaybeHttpsStream<Socket>) -> hyper::Result<Box<Self>> {
        let head = Head::default();
        let (sender, wire) = http1::Builder::new().handshake(Stream::new(stream, head.clone())).await?;
        let mut connection = Box::new(Self {
            sender,
            wire: Some(wire),
            head,
            surplus: false,
            carried: Services::default(),
            unnamed: Services::default(),
        });
        // Once polled it takes requests.
        connection.rest();
        Ok(connection)
    }

    /// Looks whether it can take a request, without waiting: the socket itself is asked. A peer that closed it meanwhile is
    /// noticed here, and so is a byte that nothing asked for: either ends it (M15).
    ///
    /// Nobody is woken afterwards: a waiter's task is not kept alive by a connection that rests.
    pub(crate) fn rest(&mut self) -> bool {
        let mut nobody = Context::from_waker(NOBODY);
        self.turn(&mut nobody);
        self.wire.is_some() && self.sender.is_ready()
    }

    /// It ended because of bytes that nothing had asked for.
    pub(crate) fn had_surplus(&self) -> bool {
        self.surplus
    }

    /// Sends the request and reads the head of the answer. `heard` tells the status as soon as it is known.
    pub(crate) async fn exchange(&mut self, request: Outgoing, heard: &mut Option<u16>) -> Result<Heard, Unheard> {
        self.head.expect();
        let mut answer = pin!(self.sender.try_send_request(request));
        let (wire, surplus) = (&mut self.wire, &mut self.surplus);
        let response = poll_fn(|cx| {
            *surplus |= turn(wire, cx);
            answer.as_mut().poll(cx)
        })
        .await;
        let response = match response {
            Ok(response) => response,
            Err(mut failed) => {
                return Err(match failed.take_message() {
                    Some(request) => Unheard::Unsent(Box::new(request), detail(failed.error())),
                    None => {
                        let why = if failed.error().is_parse() { Silence::NotHttp } else { Silence::Reset };
                        Unheard::Silent(why, detail(failed.error()))
                    }
                });
            }
        };
        *heard = Some(response.status().as_u16());
        self.read(response).await
    }

    async fn read(&mut self, response: Response<Incoming>) -> Result<Heard, Unheard> {
        let too_large = || Unheard::Silent(Silence::TooLarge, format!("the answer is longer than {BODY_LIMIT} bytes"));
        let (head, mut body) = response.into_parts();
        if body.size_hint().lower() > BODY_LIMIT as u64 {
            return Err(too_large());
        }
        let mut whole = BytesMut::new();
        let mut body = Pin::new(&mut body);
        loop {
            let frame = poll_fn(|cx| {
                self.turn(cx);
                body.as_mut().poll_frame(cx)
            })
            .await;
            match frame {
                None => return Ok(Heard { head, body: whole.freeze(), interim: self.head.was_interim() }),
                Some(Ok(frame)) => {
                    let Some(data) = frame.data_ref() else { continue };
                    if whole.len() + data.len() > BODY_LIMIT {
                        return Err(too_large());
                    }
                    // Copied, so that the connection's buffer of many times its size is free to be used again.
                    whole.extend_from_slice(data);
                }
                Some(Err(error)) => return Err(Unheard::Silent(Silence::Truncated, detail(&error))),
            }
        }
    }

    fn turn(&mut self, cx: &mut Context<'_>) {
        self.surplus |= turn(&mut self.wire, cx);
    }
}

/// Lets the connection read and write what it can; whether it ended by bytes that nothing had asked for. How it ended
/// otherwise is told by the request that was on it.
fn turn(wire: &mut Option<Wire>, cx: &mut Context<'_>) -> bool {
    let Some(Poll::Ready(end)) = wire.as_mut().map(|running| Pin::new(running).poll(cx)) else { return false };
    *wire = None;
    // An error without a cause, and not about a message: the bytes themselves. One of the socket names its cause.
    end.is_err_and(|error| error.source().is_none() && !error.is_incomplete_message() && !error.is_closed())
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("open", &self.wire.is_some()).finish_non_exhaustive()
    }
}
