//! SIGTERM and SIGINT: the first one asks to stop, the second one stops.

use std::future::Future;
use std::pin::pin;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;

/// Runs `work` until it ends. The first signal cancels its token; a second one ends the process at once.
///
/// # Errors
/// The signals cannot be listened to.
pub async fn until_told<W: Future>(work: impl FnOnce(CancellationToken) -> W) -> std::io::Result<W::Output> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let shutdown = CancellationToken::new();
    let mut work = pin!(work(shutdown.clone()));
    loop {
        tokio::select! {
            ended = &mut work => return Ok(ended),
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if shutdown.is_cancelled() {
            tracing::warn!("a second signal: the process ends at once");
            end_at_once();
        }
        shutdown.cancel();
    }
}

#[expect(clippy::exit, reason = "a second signal ends the process whatever it does; nothing is lost by it")]
fn end_at_once() -> ! {
    std::process::exit(Exit::Interrupted.code().into())
}
