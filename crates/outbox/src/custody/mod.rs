//! The store as a file: who holds it, whether it is still the store, and what may be taken for one.
//!
//! Everything here looks at inodes, names and a few bytes. It must not know jobs.

pub(crate) mod inode;
pub(crate) mod look;
pub(crate) mod make;
pub(crate) mod meta_page;
pub(crate) mod system;
pub(crate) mod wal_tail;
