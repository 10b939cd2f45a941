//! Access tokens: issued, looked up, forgotten.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{PoisonError, RwLock};

/// Above this many tokens the expired ones are swept out.
const SWEEP_AT: usize = 1024;

/// The tokens that were issued.
#[derive(Debug)]
pub(crate) struct Tokens {
    issued: RwLock<HashMap<Box<str>, Token>>,
    serial: AtomicU64,
    /// Makes tokens of two simulators differ.
    salt: u64,
}

#[derive(Debug, Clone, Copy)]
struct Token {
    mount: usize,
    expires_ms: i64,
}

impl Tokens {
    pub(crate) fn new() -> Self {
        let mut salt = [0; 8];
        // Without randomness tokens are merely guessable, which a simulator can live with.
        let salt = getrandom::fill(&mut salt).map_or(0, |()| u64::from_le_bytes(salt));
        Self { issued: RwLock::default(), serial: AtomicU64::new(0), salt }
    }

    /// How many were issued or refused so far; counts one more.
    pub(crate) fn next_serial(&self) -> u64 {
        self.serial.fetch_add(1, Relaxed)
    }

    /// A new token for a mount.
    pub(crate) fn issue(&self, mount: usize, serial: u64, now_ms: i64, lifetime_ms: i64) -> String {
        let text = format!("sim.{:016x}.{serial}", crate::random::mix(self.salt ^ crate::random::mix(serial)));
        let token = Token { mount, expires_ms: now_ms.saturating_add(lifetime_ms) };
        let mut issued = self.issued.write().unwrap_or_else(PoisonError::into_inner);
        if issued.len() >= SWEEP_AT {
            issued.retain(|_, token| token.expires_ms > now_ms);
        }
        issued.insert(text.as_str().into(), token);
        text
    }

    /// Whether the token is good at this mount and time.
    pub(crate) fn is_good(&self, mount: usize, token: &str, now_ms: i64) -> bool {
        let issued = self.issued.read().unwrap_or_else(PoisonError::into_inner);
        issued.get(token).is_some_and(|token| token.mount == mount && now_ms < token.expires_ms)
    }

    /// Forgets the tokens of one mount.
    pub(crate) fn revoke(&self, mount: usize) {
        let mut issued = self.issued.write().unwrap_or_else(PoisonError::into_inner);
        issued.retain(|_, token| token.mount != mount);
    }

    /// Forgets every token.
    pub(crate) fn revoke_all(&self) {
        self.issued.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
