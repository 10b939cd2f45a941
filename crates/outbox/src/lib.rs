//! The durable store: idempotency keys, jobs, attempts, history, outcomes, dead letters, audit. SQLite.
