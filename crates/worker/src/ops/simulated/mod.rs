//! What `worker demo` and `worker drill` stand on: a provider simulator with a configuration that points at it, jobs by seed,
//! a folder, and queues of their own that they take away again.

pub(super) mod folder;
pub(super) mod jobs;
pub(super) mod queues;
pub(super) mod random;
pub(super) mod stage;
