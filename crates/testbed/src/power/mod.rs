//! What a power loss may leave of a directory, made from the recorded writes and syncs of a real process.
//!
//! A process runs under strace ([`record`]); its calls become a [`Recording`]. A [`Disk`] follows the recording, moment by
//! moment, and says at any of them what the power may leave: an [`Image`].
//!
//! The model. What a successful `fsync` or `fdatasync` of a file covered is there: the writes, truncations and extensions
//! of it that had *returned* when the sync was called. Of everything later, nothing is promised:
//! - each sector of 512 bytes holds, apart from all others, any of the contents it had since the sync;
//! - the file's length is, apart from its sectors, any of those it had; what is beyond what was written reads as zeros;
//! - a name made or removed is there in any of its states since the last sync that keeps names ([`Names`]), apart from the
//!   other names.
//!
//! So writes are torn, reordered within a file and across files, kept without the length and the other way round. A call that
//! was under way when the power went may have had its effect, in parts; a sync that had not returned has none.
//!
//! Not in it: a sector that is torn in itself or comes back as something never written (disks promise whole sectors; SQLite's
//! checksums guard its WAL); a disk that says "synced" and is not (that is what the controls of the tests do); files that are
//! written through `mmap` (SQLite's `-shm`, which it makes anew); renames, and `write` without an offset: where a recording has
//! one, reading it is an error.

mod disk;
mod image;
mod recording;
mod strace;

pub use disk::{Disk, Names};
pub use image::Image;
pub use recording::{Call, Moment, Op, Recording};
pub use strace::{record, witness};

#[cfg(test)]
mod tests;
