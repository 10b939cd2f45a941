//! The newest requests, one by one.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::report::RequestRecord;

/// A ring of the newest requests.
#[derive(Debug)]
pub(crate) struct RequestLog {
    ring: Mutex<VecDeque<Logged>>,
    capacity: usize,
}

/// One request, as small as it can be kept.
#[derive(Debug)]
pub(crate) struct Logged {
    pub(crate) mount: usize,
    pub(crate) body_sha256: [u8; 32],
    /// `profile` and `body_sha256` are filled in when it is read.
    pub(crate) record: RequestRecord,
}

impl RequestLog {
    pub(crate) const fn new(capacity: usize) -> Self {
        Self { ring: Mutex::new(VecDeque::new()), capacity }
    }

    /// Whether anything is kept at all.
    pub(crate) const fn is_on(&self) -> bool {
        self.capacity > 0
    }

    pub(crate) fn push(&self, logged: Logged) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.len() >= self.capacity {
            ring.pop_front();
        }
        ring.push_back(logged);
    }

    /// Oldest first.
    pub(crate) fn records(&self, mount_name: impl Fn(usize) -> String) -> Vec<RequestRecord> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.iter()
            .map(|logged| RequestRecord {
                profile: mount_name(logged.mount),
                body_sha256: String::from_utf8_lossy(&crate::signature::hex(&logged.body_sha256)).into_owned(),
                ..logged.record.clone()
            })
            .collect()
    }

    pub(crate) fn clear(&self) {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
