//! Ports and numbers that nobody else has.

use std::net::TcpListener;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

/// A TCP port that is free on loopback, below the range the system takes outgoing ports from.
pub fn free_port() -> u16 {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    const FIRST: u16 = 20_000;
    const SPAN: u16 = 12_000;
    let next = NEXT.get_or_init(|| {
        AtomicU16::new(u16::try_from(random() % u64::from(SPAN)).expect("a remainder of a span of ports is a port"))
    });
    loop {
        let port = FIRST + next.fetch_add(1, Ordering::Relaxed) % SPAN;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Sixty-four bits that differ between processes and calls; not for secrets.
pub fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(CALLS.fetch_add(1, Ordering::Relaxed));
    hasher.finish()
}
