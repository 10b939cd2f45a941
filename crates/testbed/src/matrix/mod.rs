//! The fault matrix: which fault has hit which point of a job's way, counted while the tests run.
//!
//! A test that has seen a fault hit a point says so by [`executed`]; the program `fault-matrix` prints what was said.
//! Only what is known to have happened counts: where the moment was chosen by chance, the point comes from evidence (the job's
//! state in the store at that moment, the trace of the process).

mod report;
mod table;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

pub use report::Report;
pub use table::{CRASHES, NETWORK, Row, Table, row_of};

/// Where the counts go: a directory; without it nothing is counted.
pub const DIRECTORY: &str = "FAULT_MATRIX";

/// Words that are written and read back.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its word in a file of counts and in the report.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The one that has this word.
            pub fn of(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words! {
    /// A point of a job's way, or of what is done around jobs. The first 26 in the order of the matrix.
    Point {
        /// The broker has delivered it; it waits in memory, nothing is written.
        Delivered = "delivered",
        /// The record is committed, or about to be; nobody has seen the commit's result.
        Recording = "recording",
        /// Recorded, not acknowledged.
        Recorded = "recorded",
        /// The acknowledgement was written, and may be lost on the wire.
        Acknowledged = "acknowledged",
        /// Acknowledged, not begun.
        Waiting = "waiting",
        /// The account inquiry is under way.
        InquirySent = "inquiry-sent",
        /// The account inquiry was answered; nobody has seen the answer yet.
        InquiryAnswered = "inquiry-answered",
        /// The account is known, and there is no intent.
        Inquired = "inquired",
        /// The intent is being committed.
        Intending = "intending",
        /// The intent is recorded, nothing is on the wire.
        Intended = "intended",
        /// The top-up is on the wire, without a reply.
        TopUpSent = "top-up-sent",
        /// The top-up was answered, the answer is not recorded.
        TopUpAnswered = "top-up-answered",
        /// The end is recorded with its event, which is not published.
        Ended = "ended",
        /// The event is published, without a confirm.
        Published = "published",
        /// The confirm came, and is not marked.
        Confirmed = "confirmed",
        /// The status inquiry is under way.
        StatusSent = "status-sent",
        /// The status inquiry was answered, the answer is not recorded.
        StatusAnswered = "status-answered",
        /// The second "not found" is recorded, the next intent is not.
        ProvenUnpaid = "proven-unpaid",
        /// The dead letter is recorded with its event, which is not published or not confirmed.
        Dead = "dead",
        /// The dead letter's event is published, and not marked.
        DeadPublished = "dead-published",
        /// An operator's replay is recorded, the job has not moved.
        Replaying = "replaying",
        /// A replay of many is half done.
        HalfReplayed = "half-replayed",
        /// A dead letter's event was read by its consumer, and not acknowledged.
        DeadRead = "dead-read",
        /// The start, while it looks at what the last process left.
        Recovering = "recovering",
        /// A checkpoint, a copy of the store, a migration, the shrinking of old jobs.
        Maintaining = "maintaining",
        /// The store is missing, older, or another's.
        Restored = "restored",
        /// The confirm says that no queue took the event.
        Returned = "returned",
        /// The consumer was cancelled: the queue is gone.
        QueueGone = "queue-gone",
        /// The worker is told to stop while the broker cannot be talked to.
        StoppingCut = "stopping-cut",
    }
}

words! {
    /// What happens there.
    Fault {
        /// `kill -9`, an abort, no memory.
        Kill = "K",
        /// `SIGTERM`: an orderly stop.
        Stop = "S",
        /// The power goes, writes may be torn.
        PowerLoss = "P",
        /// The disk is full.
        DiskFull = "D",
        /// A write or a sync fails.
        IoError = "I",
        /// The clock of the day jumps.
        ClockJump = "C",
        /// A second process on the store: a worker that was held, or an operator's command that changes the job.
        Zombie = "Z",
        /// The job is delivered once more.
        Duplicate = "U",
        /// The broker goes down, or is restarted.
        BrokerDown = "R",
        /// The line to the broker is half open: bytes do not arrive, and nobody is told.
        HalfOpen = "N",
        /// The broker blocks who publishes.
        Blocked = "B",
        /// The provider is silent, or answers by drops.
        Timeout = "T",
        /// The provider answers 5xx, or resets the connection.
        Reset = "X",
        /// The provider's answer is garbage, cut short or without end.
        Garbage = "G",
        /// The provider answers 401.
        Unauthorized = "A",
        /// The provider answers 429.
        TooMany = "M",
        /// The provider answers 409.
        Conflict = "Q",
    }
}

words! {
    /// How a fault is brought about.
    Technique {
        /// The whole worker on virtual time, over ports that fail before or after call n.
        Simulation = "simulation",
        /// The unmodified binary, killed or failed at its n-th system call.
        SystemCalls = "system-calls",
        /// What a disk may hold after the power went, from recorded writes.
        PowerLoss = "power-loss",
        /// A real broker: killed, stopped, blocked, robbed of its queue.
        Broker = "broker",
        /// A line that is cut, reset, held, half open.
        Proxy = "proxy",
        /// A simulated provider that is scripted.
        Provider = "provider",
        /// A disk that is small, or fails.
        Disk = "disk",
        /// A clock that is set.
        Clock = "clock",
        /// Two processes on one store.
        TwoWorkers = "two-workers",
        /// Random histories of deliveries.
        Histories = "histories",
        /// Recovery that is killed and begun again.
        Recovery = "recovery",
        /// An older copy of the store put back.
        Restore = "restore",
        /// Operators' commands, also at the same time, twice, or killed.
        Operators = "operators",
        /// The tables of what is decided, walked row by row.
        Tables = "tables",
    }
}

/// A fault has hit this point so often. Counted where [`DIRECTORY`] names one, and nowhere else.
///
/// A pair that is no cell of the matrix is left out: a storm need not know which those are.
///
/// # Panics
/// The count cannot be written.
pub fn executed(point: Point, fault: Fault, by: Technique, count: u64) {
    if let Some(directory) = crate::setting(DIRECTORY) {
        write(Path::new(&directory), point, fault, by, count);
    }
}

fn write(directory: &Path, point: Point, fault: Fault, by: Technique, count: u64) {
    if count == 0 || row_of(point, fault).is_none() {
        return;
    }
    let line = format!("{} {} {} {count}\n", point.word(), fault.word(), by.word());
    let file = directory.join(format!("{}.counts", std::process::id()));
    // One write of less than a page to the end of the file: threads do not mix their lines.
    let written = OpenOptions::new().create(true).append(true).open(&file);
    written.and_then(|mut file| file.write_all(line.as_bytes())).expect("the fault matrix is written to");
}
