//! The connections that wait for the next request, and which of them may carry it (M15).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use snap_core::Service;
use tokio::time::Instant;

use crate::connection::Connection;

/// Below the idle limits met in the field (5 s for Node, 60–75 s for load balancers) only where that costs nothing:
/// a closed connection is noticed before it is used again, so this bounds silent drops by firewalls.
const IDLE: Duration = Duration::from_secs(15);

/// Connections that wait for the next request.
pub(crate) struct Pool {
    idle: Mutex<Idles>,
    /// Of each kind.
    idle_max: usize,
}

/// The latest used last, so that what is not needed grows old.
///
/// Status inquiries have connections of their own: so the first one on the connection of a top-up is the first of its service there,
/// and its answer is known by that service alone ([`crate::By::Behind`]).
#[derive(Default)]
struct Idles {
    statuses: Vec<Idle>,
    others: Vec<Idle>,
}

struct Idle {
    connection: Box<Connection>,
    since: Instant,
}

/// The connection that an answer came by; dropped, it is closed (M15).
///
/// Whether the answer belongs to the request is known only to the reader of the body, so keeping it is the caller's to do.
#[must_use = "a connection whose answer was understood is to be kept"]
#[derive(Default)]
pub struct UsedConnection(Option<Used>);

struct Used {
    connection: Box<Connection>,
    pool: Arc<Pool>,
    service: Service,
    /// The end of the call that was answered.
    until: Instant,
}

/// How surely an answer that was understood belongs to its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Belongs {
    /// It names the request's own reference.
    Named,
    /// It names none: by its service alone.
    ByService,
}

impl UsedConnection {
    /// None: nothing to keep.
    pub const fn none() -> Self {
        Self(None)
    }

    pub(crate) const fn of(connection: Box<Connection>, pool: Arc<Pool>, service: Service, until: Instant) -> Self {
        Self(Some(Used { connection, pool, service, until }))
    }

    /// Another request may go by it: its answer was whole and understood, and says that it `belongs` to its request.
    ///
    /// Where that is by service alone, it carries no request of that service any more, so that a copy of the answer that comes
    /// late is known for what it is, however late.
    pub fn keep(self, belongs: Belongs) {
        let Some(Used { mut connection, pool, service, .. }) = self.0 else { return };
        if belongs == Belongs::ByService {
            connection.unnamed.insert(service);
        }
        pool.put_back(service, Idle { connection, since: Instant::now() });
    }

    /// Until when a request may take that goes behind the answer.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.0.as_ref().map(|used| used.until)
    }

    /// Takes the connection, where it is open and silent.
    pub(crate) fn take(&mut self) -> Option<Box<Connection>> {
        let mut connection = self.0.take()?.connection;
        connection.rest().then_some(connection)
    }
}

impl Pool {
    pub(crate) fn new(idle_max: usize) -> Self {
        Self { idle: Mutex::default(), idle_max }
    }

    /// One that is open, silent and good for a request of this service.
    pub(crate) fn take(&self, service: Service) -> Option<Box<Connection>> {
        let now = Instant::now();
        loop {
            let Idle { mut connection, since } = {
                let mut idle = self.idle();
                let idle = idle.of(service);
                let place = idle.iter().rposition(|idle| !idle.connection.unnamed.contains(service))?;
                idle.remove(place)
            };
            // The last look before the request is written (M15).
            if now - since < IDLE && connection.rest() {
                return Some(connection);
            }
        }
    }

    fn put_back(&self, service: Service, kept: Idle) {
        let mut idle = self.idle();
        let idle = idle.of(service);
        if idle.len() < self.idle_max {
            idle.push(kept);
        }
    }

    /// Closes what has been idle for long, or was closed by the peer.
    pub(crate) fn close_idle(&self) {
        let now = Instant::now();
        let Idles { statuses, others } = &mut *self.idle();
        for idle in [statuses, others] {
            idle.retain_mut(|idle| now - idle.since < IDLE && idle.connection.rest());
        }
    }

    /// Every change is complete before the lock is let go, so a poisoned one is still whole.
    fn idle(&self) -> MutexGuard<'_, Idles> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Idles {
    const fn of(&mut self, service: Service) -> &mut Vec<Idle> {
        match service {
            Service::TopUpStatus | Service::TransferStatus => &mut self.statuses,
            Service::AccountInquiry | Service::TopUp | Service::AccessToken => &mut self.others,
        }
    }
}

impl std::fmt::Debug for UsedConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UsedConnection").field("open", &self.0.is_some()).finish()
    }
}
