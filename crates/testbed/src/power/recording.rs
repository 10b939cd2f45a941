//! The calls of a process, in the order in which they began and ended.

use std::collections::BTreeSet;
use std::path::Path;

/// What a call does to the directory, or says to the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Bytes written into a file.
    Write {
        /// The file's name.
        file: String,
        /// Where, in bytes.
        offset: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// A file is cut or filled up with zeros to this length.
    Resize {
        /// The file's name.
        file: String,
        /// Its new length, in bytes.
        length: u64,
    },
    /// A file is at least this long from now on.
    Extend {
        /// The file's name.
        file: String,
        /// Its least length, in bytes.
        length: u64,
    },
    /// What was done to a file is made durable.
    Sync {
        /// The file's name.
        file: String,
    },
    /// What was done to the names is made durable.
    SyncNames,
    /// A file may have been made: it was opened so that it is, where there is none.
    Open {
        /// The file's name.
        file: String,
    },
    /// A name is gone.
    Remove {
        /// The file's name.
        file: String,
    },
    /// Bytes that went somewhere else: to a terminal, a pipe, a socket.
    Said {
        /// To what, as strace describes it.
        to: String,
        /// What.
        bytes: Vec<u8>,
    },
    /// Bytes that came from somewhere else; none: its end. Only where they were recorded ([`super::witness`]).
    Heard {
        /// From what, as strace describes it.
        from: String,
        /// What; nothing as long as the call has not returned.
        bytes: Vec<u8>,
    },
}

/// A call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// The thread that made it.
    pub thread: u32,
    /// What it does.
    pub call: Call,
}

/// One step of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// This call was entered.
    Began(usize),
    /// This call returned, and had succeeded.
    Ended(usize),
}

/// What a process did. A call that failed is not in it; one that never returned has no end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// The calls, numbered as in [`Moment`].
    pub ops: Vec<Op>,
    /// When they began and ended.
    pub moments: Vec<Moment>,
}

impl Recording {
    /// Reads what strace wrote about the files of one directory; of those whose name `skips` has, nothing.
    ///
    /// # Errors
    /// A line that is not understood.
    pub fn read(trace: &str, dir: &Path, skips: fn(&str) -> bool) -> Result<Self, String> {
        super::strace::read(trace, dir, skips)
    }

    /// The call that begins at this moment.
    pub fn begun(&self, moment: usize) -> Option<&Op> {
        match self.moments.get(moment)? {
            Moment::Began(op) => self.ops.get(*op),
            Moment::Ended(_) => None,
        }
    }

    /// Every sync that is one of these.
    pub fn syncs(&self, are: impl Fn(&Call) -> bool) -> BTreeSet<usize> {
        let is_one = |op: &Op| matches!(op.call, Call::Sync { .. } | Call::SyncNames) && are(&op.call);
        (0..self.ops.len()).filter(|op| is_one(&self.ops[*op])).collect()
    }

    /// The syncs that SQLite leaves out of this store with `synchronous = NORMAL`: those of the WAL at a commit. It syncs the
    /// WAL only before it is moved into the file.
    pub fn left_out_by_normal(&self, store: &str) -> BTreeSet<usize> {
        let wal = format!("{store}-wal");
        let mut syncs = self.syncs(|call| matches!(call, Call::Sync { file } if *file == wal));
        syncs.retain(|op| {
            let thread = self.ops[*op].thread;
            let next = self.ops[op + 1..].iter().find(|next| {
                next.thread == thread
                    && !matches!(
                        next.call,
                        Call::Said { .. } | Call::Heard { .. } | Call::Open { .. } | Call::SyncNames
                    )
            });
            !matches!(next.map(|op| &op.call), Some(Call::Write { file, .. }) if file == store)
        });
        syncs
    }
}
