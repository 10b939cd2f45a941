//! What a connection is made of: a socket whose own buffer can be looked at, and a stream that notices interim answers.

use std::io::{self, Read as _};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};

use futures_util::TryFutureExt as _;
use futures_util::future::MapOk;
use hyper::Uri;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::TcpStream;
use tower_service::Service;

/// Wakes nothing: a poll with it only looks. One address, so that it is recognised.
pub(crate) static NOBODY: &Waker = Waker::noop();

/// A TCP socket that answers a look ([`NOBODY`]) from its own buffer.
///
/// tokio believes a socket empty until its event loop has turned, which on a busy machine is long after bytes arrived.
pub(crate) struct Socket(TokioIo<TcpStream>);

impl Read for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, mut buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        if !cx.waker().will_wake(NOBODY) {
            return Pin::new(&mut self.0).poll_read(cx, buf);
        }
        let mut bytes = [0; 512];
        let room = buf.remaining().min(bytes.len());
        match (&*SockRef::from(self.0.inner())).read(&mut bytes[..room]) {
            Ok(length) => {
                buf.put_slice(&bytes[..length]);
                Poll::Ready(Ok(()))
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl Write for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }
}

impl Connection for Socket {
    fn connected(&self) -> Connected {
        self.0.connected()
    }
}

/// Makes [`Socket`]s.
#[derive(Clone)]
pub(crate) struct Sockets(pub(crate) HttpConnector);

impl Service<Uri> for Sockets {
    type Response = Socket;
    type Error = <HttpConnector as Service<Uri>>::Error;
    type Future = MapOk<<HttpConnector as Service<Uri>>::Future, fn(TokioIo<TcpStream>) -> Socket>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        self.0.call(target).map_ok(Socket)
    }
}

/// Where in an answer its status begins: `HTTP/1.1 200`.
const STATUS_AT: u8 = 9;
const SEEN: u8 = STATUS_AT + 1;
const INTERIM: u8 = STATUS_AT + 2;

/// How far the head of an answer has been seen, shared with the one that reads it.
///
/// hyper passes over an interim answer (1xx) without a word.
#[derive(Clone, Default)]
pub(crate) struct Head(Arc<AtomicU8>);

impl Head {
    /// From here on the next answer is watched.
    pub(crate) fn expect(&self) {
        self.0.store(0, Relaxed);
    }

    /// An interim answer came first, or what came did not begin as an answer does.
    pub(crate) fn was_interim(&self) -> bool {
        self.0.load(Relaxed) == INTERIM
    }

    fn is_awaited(&self) -> bool {
        self.0.load(Relaxed) <= STATUS_AT
    }

    fn read(&self, bytes: &[u8]) {
        let before = self.0.load(Relaxed);
        let next = match bytes.get(usize::from(STATUS_AT - before)) {
            Some(b'2'..=b'9') => SEEN,
            Some(_) => INTERIM,
            None => before + u8::try_from(bytes.len()).expect("fewer than ten bytes"),
        };
        self.0.store(next, Relaxed);
    }
}

/// The stream that HTTP is spoken on.
pub(crate) struct Stream {
    inner: MaybeHttpsStream<Socket>,
    head: Head,
}

impl Stream {
    pub(crate) fn new(inner: MaybeHttpsStream<Socket>, head: Head) -> Self {
        Self { inner, head }
    }
}

impl Read for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, mut buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        if !self.head.is_awaited() {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        }
        let mut bytes = [const { MaybeUninit::uninit() }; 2048];
        let room = buf.remaining().min(bytes.len());
        let mut read = ReadBuf::uninit(&mut bytes[..room]);
        let polled = Pin::new(&mut self.inner).poll_read(cx, read.unfilled());
        let filled = read.filled();
        if !filled.is_empty() {
            self.head.read(filled);
            buf.put_slice(filled);
        }
        polled
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }
}
