//! What of a directory is durable at a moment of a recording, and what is not yet.

use std::collections::{BTreeMap, BTreeSet};

use super::image::{self, Image};
use super::recording::{Call, Moment, Recording};
use crate::Dice;

/// A disk on which a recording is played.
#[derive(Debug)]
pub struct Disk<'a> {
    recording: &'a Recording,
    /// Syncs that do nothing.
    void: BTreeSet<usize>,
    /// The next moment.
    next: usize,
    names: BTreeMap<String, Name>,
    files: Vec<File<'a>>,
    /// What each sync under way will have made durable.
    syncs: BTreeMap<usize, Covered>,
}

/// A file's content.
#[derive(Debug, Default)]
pub(super) struct File<'a> {
    /// What outlives the power.
    pub(super) durable: Vec<u8>,
    /// What may.
    pub(super) pending: Vec<Pending<Change<'a>>>,
}

/// What a name stands for, as an index of the files; `None`: there is no such file.
#[derive(Debug, Default)]
pub(super) struct Name {
    /// What outlives the power.
    pub(super) durable: Option<usize>,
    /// What may.
    pub(super) pending: Vec<Pending<Option<usize>>>,
}

/// What was done since the last sync.
#[derive(Debug)]
pub(super) struct Pending<T> {
    op: usize,
    /// Whether the call has returned: only then does a sync cover it.
    ended: bool,
    pub(super) what: T,
}

/// What was done to a file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change<'a> {
    Write { offset: usize, bytes: &'a [u8] },
    Resize(usize),
    Extend(usize),
}

#[derive(Debug)]
enum Covered {
    File(usize, BTreeSet<usize>),
    Names(BTreeSet<usize>),
}

impl<'a> Disk<'a> {
    /// A disk that holds these files, all durable, on which nothing of the recording has happened yet. The calls in `void`
    /// are syncs that do nothing.
    pub fn new(recording: &'a Recording, files: &BTreeMap<String, Vec<u8>>, void: BTreeSet<usize>) -> Self {
        let names = files.keys().enumerate();
        Self {
            recording,
            void,
            next: 0,
            names: names.map(|(n, name)| (name.clone(), Name { durable: Some(n), pending: Vec::new() })).collect(),
            files: files.values().map(|bytes| File { durable: bytes.clone(), pending: Vec::new() }).collect(),
            syncs: BTreeMap::new(),
        }
    }

    /// Plays on, up to and without this moment.
    ///
    /// # Panics
    /// The moment has gone by.
    pub fn play_to(&mut self, moment: usize) {
        assert!(self.next <= moment, "the recording is at {} and cannot go back to {moment}", self.next);
        while self.next < moment.min(self.recording.moments.len()) {
            match self.recording.moments[self.next] {
                Moment::Began(op) => self.began(op),
                Moment::Ended(op) => self.ended(op),
            }
            self.next += 1;
        }
    }

    /// What the power may leave if it goes now.
    pub fn image(&self, dice: &mut Dice) -> Image {
        image::of(&self.names, &self.files, dice)
    }

    fn began(&mut self, op: usize) {
        let position = |number: u64| usize::try_from(number).expect("a file fits into memory");
        match &self.recording.ops[op].call {
            Call::Write { file, offset, bytes } => {
                self.change(op, file, Change::Write { offset: position(*offset), bytes });
            }
            Call::Resize { file, length } => self.change(op, file, Change::Resize(position(*length))),
            Call::Extend { file, length } => self.change(op, file, Change::Extend(position(*length))),
            Call::Open { file } if self.file(file).is_none() => {
                self.files.push(File::default());
                let made = Some(self.files.len() - 1);
                self.name(op, file, made);
            }
            Call::Remove { file } => self.name(op, file, None),
            Call::Sync { file } if !self.void.contains(&op) => {
                if let Some(file) = self.file(file) {
                    self.syncs.insert(op, Covered::File(file, returned(&self.files[file].pending)));
                }
            }
            Call::SyncNames if !self.void.contains(&op) => {
                let covered = self.names.values().flat_map(|name| returned(&name.pending)).collect();
                self.syncs.insert(op, Covered::Names(covered));
            }
            Call::Open { .. } | Call::Sync { .. } | Call::SyncNames | Call::Said { .. } => {}
        }
    }

    fn ended(&mut self, op: usize) {
        match self.syncs.remove(&op) {
            Some(Covered::File(file, covered)) => {
                let File { durable, pending } = &mut self.files[file];
                pending.retain(|one| {
                    let is_covered = covered.contains(&one.op);
                    if is_covered {
                        one.what.apply(durable);
                    }
                    !is_covered
                });
            }
            Some(Covered::Names(covered)) => {
                for Name { durable, pending } in self.names.values_mut() {
                    pending.retain(|one| {
                        let is_covered = covered.contains(&one.op);
                        if is_covered {
                            *durable = one.what;
                        }
                        !is_covered
                    });
                }
            }
            None => {
                let (files, names) = (&mut self.files, &mut self.names);
                let of_files = files.iter_mut().flat_map(|file| &mut file.pending).filter(|one| one.op == op);
                of_files.for_each(|one| one.ended = true);
                let of_names = names.values_mut().flat_map(|name| &mut name.pending).filter(|one| one.op == op);
                of_names.for_each(|one| one.ended = true);
            }
        }
    }

    /// The file that a name stands for, for the process.
    fn file(&self, name: &str) -> Option<usize> {
        let name = self.names.get(name)?;
        name.pending.last().map_or(name.durable, |last| last.what)
    }

    /// A file that was removed while it was open changes for nobody.
    fn change(&mut self, op: usize, file: &str, what: Change<'a>) {
        if let Some(file) = self.file(file) {
            self.files[file].pending.push(Pending { op, ended: false, what });
        }
    }

    fn name(&mut self, op: usize, name: &str, what: Option<usize>) {
        self.names.entry(name.to_owned()).or_default().pending.push(Pending { op, ended: false, what });
    }
}

fn returned<T>(pending: &[Pending<T>]) -> BTreeSet<usize> {
    pending.iter().filter(|one| one.ended).map(|one| one.op).collect()
}

impl Change<'_> {
    /// The bytes of a file of `length` that it changes.
    pub(super) fn range(self, length: usize) -> std::ops::Range<usize> {
        match self {
            // What it leaves behind is zeros, as what was never written is.
            Self::Write { offset, bytes } => offset..offset + bytes.len(),
            Self::Resize(to) => to.min(length)..length,
            Self::Extend(_) => 0..0,
        }
    }

    pub(super) fn apply(self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => {
                let end = offset + bytes.len();
                content.resize(content.len().max(end), 0);
                content[offset..end].copy_from_slice(bytes);
            }
            Self::Resize(length) => content.resize(length, 0),
            Self::Extend(length) => content.resize(content.len().max(length), 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::power::recording::Op;

    /// Calls in which each begins and ends before the next.
    fn recording(calls: &[Call]) -> Recording {
        Recording {
            ops: calls.iter().map(|call| Op { thread: 1, call: call.clone() }).collect(),
            moments: (0..calls.len()).flat_map(|op| [Moment::Began(op), Moment::Ended(op)]).collect(),
        }
    }

    fn write(offset: u64, byte: u8, length: usize) -> Call {
        Call::Write { file: "f".to_owned(), offset, bytes: vec![byte; length] }
    }

    fn sync() -> Call {
        Call::Sync { file: "f".to_owned() }
    }

    fn resize(length: u64) -> Call {
        Call::Resize { file: "f".to_owned(), length }
    }

    fn here(content: &[u8]) -> BTreeMap<String, Vec<u8>> {
        BTreeMap::from([("f".to_owned(), content.to_vec())])
    }

    /// All contents of `f` that the power may leave at the end; `None`: no file.
    fn images(recording: &Recording, files: &BTreeMap<String, Vec<u8>>, void: &[usize]) -> BTreeSet<Option<Vec<u8>>> {
        let mut disk = Disk::new(recording, files, void.iter().copied().collect());
        disk.play_to(usize::MAX);
        let mut dice = Dice::seeded(7);
        (0..2000).map(|_| disk.image(&mut dice).files.remove("f")).collect()
    }

    #[test]
    fn what_a_sync_covered_is_there_and_nothing_else_is_promised() {
        let two = recording(&[write(0, 1, 512), sync(), write(0, 2, 1024)]);
        let sectors = |one: u8, other: Option<u8>| {
            Some([vec![one; 512], other.map_or_else(Vec::new, |byte| vec![byte; 512])].concat())
        };
        let all = BTreeSet::from([
            sectors(1, None),
            // The length without the bytes.
            sectors(1, Some(0)),
            sectors(1, Some(2)),
            sectors(2, None),
            sectors(2, Some(0)),
            sectors(2, Some(2)),
        ]);
        assert_eq!(images(&two, &here(&[]), &[]), all);
        assert!(images(&two, &here(&[]), &[1]).contains(&Some(Vec::new())), "a sync that lies promises nothing");
        let synced = recording(&[write(0, 1, 512), write(0, 2, 1024), sync()]);
        assert_eq!(images(&synced, &here(&[]), &[]), BTreeSet::from([sectors(2, Some(2))]));
    }

    #[test]
    fn a_sector_holds_what_it_once_held_and_never_a_mixture() {
        let halves = recording(&[write(0, 1, 256), write(256, 2, 256)]);
        let (old, first, both) =
            (vec![0; 512], [vec![1; 256], vec![0; 256]].concat(), [vec![1; 256], vec![2; 256]].concat());
        let found = images(&halves, &here(&old), &[]);
        assert_eq!(found, BTreeSet::from([Some(old), Some(first), Some(both)]));
    }

    #[test]
    fn a_write_that_had_not_returned_when_the_sync_was_called_is_not_covered() {
        let mut late = recording(&[write(0, 1, 512), sync()]);
        late.moments = vec![Moment::Began(0), Moment::Began(1), Moment::Ended(0), Moment::Ended(1)];
        assert!(images(&late, &here(&[0; 512]), &[]).contains(&Some(vec![0; 512])));
        let mut unfinished = recording(&[write(0, 1, 512), sync()]);
        unfinished.moments.pop();
        assert!(images(&unfinished, &here(&[0; 512]), &[]).contains(&Some(vec![0; 512])));
    }

    #[test]
    fn lengths_are_lost_or_kept_apart_from_what_is_in_the_file() {
        let cut = recording(&[resize(0), write(0, 2, 512)]);
        let found = images(&cut, &here(&[1; 1024]), &[]);
        assert!(
            found.contains(&Some(vec![1; 1024]))
                && found.contains(&Some(vec![]))
                && found.contains(&Some(vec![2; 512]))
        );
        let more = recording(&[Call::Extend { file: "f".to_owned(), length: 600 }]);
        let found = images(&more, &here(&[1; 512]), &[]);
        assert_eq!(found, BTreeSet::from([Some(vec![1; 512]), Some([vec![1; 512], vec![0; 88]].concat())]));
    }

    #[test]
    fn names_are_made_durable_by_a_sync_of_the_directory_alone() {
        let open = || Call::Open { file: "f".to_owned() };
        let made = recording(&[open(), write(0, 1, 512), sync()]);
        assert_eq!(images(&made, &BTreeMap::new(), &[]), BTreeSet::from([None, Some(vec![1; 512])]));
        let kept = recording(&[open(), write(0, 1, 512), sync(), Call::SyncNames]);
        assert_eq!(images(&kept, &BTreeMap::new(), &[]), BTreeSet::from([Some(vec![1; 512])]));
        // Gone and made again: the old file, none, or the new one.
        let again = recording(&[Call::Remove { file: "f".to_owned() }, open(), write(0, 2, 512), sync()]);
        let found = images(&again, &here(&[1; 512]), &[]);
        assert_eq!(found, BTreeSet::from([None, Some(vec![1; 512]), Some(vec![2; 512])]));
    }
}
