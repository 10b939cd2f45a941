//! What is asked of the contenders: the loads, by name.

use std::time::Duration;

use serde::Serialize;

use crate::queues::QueueKind;

/// A backlog and how it is to be worked off.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Load {
    /// Jobs that wait before the contender starts.
    pub(crate) jobs: u32,
    /// Jobs in flight at a time.
    pub(crate) in_flight: u32,
    /// Every answer of the provider takes this long.
    #[serde(rename = "latencyMs", serialize_with = "millis")]
    pub(crate) latency: Duration,
    /// Added to every flush of the worker.
    #[serde(rename = "addedToFlushMs", serialize_with = "millis")]
    pub(crate) added_to_flush: Duration,
    /// The kind of queue.
    pub(crate) queues: QueueKind,
}

impl Load {
    /// Prefetch of the program without durability: eight times what is in flight, as far as that helps.
    pub(crate) fn bound_prefetch(&self) -> u16 {
        let prefetch = if self.in_flight <= 64 { self.in_flight * 8 } else { self.in_flight * 2 };
        u16::try_from(prefetch).unwrap_or(u16::MAX)
    }
}

fn millis<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
