//! What of a directory is durable at a moment of a recording, and what is not yet.

use std::collections::{BTreeMap, BTreeSet};

use super::image::{self, Image};
use super::recording::{Call, Moment, Recording};
use crate::Dice;

/// What makes names durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// A sync of the directory, and nothing else: as POSIX has it.
    ByDirectory,
    /// A sync of the file that got its name, together with every earlier change of the directory, and nothing else: as
    /// file systems do that write such changes into a journal in their order. For SQLite syncs directories by `fdatasync`
    /// where it has that, and not everyone may take a name for data.
    ByFile,
}

/// A disk on which a recording is played.
#[derive(Debug)]
pub struct Disk<'a> {
    recording: &'a Recording,
    law: Names,
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

/// What had returned when a sync was called.
#[derive(Debug)]
struct Covered {
    /// Changes of this file, if any.
    file: Option<usize>,
    changes: BTreeSet<usize>,
    /// Changes of names.
    names: BTreeSet<usize>,
}

impl<'a> Disk<'a> {
    /// A disk that holds these files, all durable, on which nothing of the recording has happened yet. The calls in `void`
    /// are syncs that do nothing.
    pub fn new(recording: &'a Recording, files: &BTreeMap<String, Vec<u8>>, void: BTreeSet<usize>, law: Names) -> Self {
        let names = files.keys().enumerate();
        Self {
            recording,
            law,
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
                    let names = self.named_with(file);
                    self.syncs
                        .insert(op, Covered { file: Some(file), changes: returned(&self.files[file].pending), names });
                }
            }
            Call::SyncNames if !self.void.contains(&op) && self.law == Names::ByDirectory => {
                let covered = self.names.values().flat_map(|name| returned(&name.pending)).collect();
                self.syncs.insert(op, Covered { file: None, changes: BTreeSet::new(), names: covered });
            }
            Call::Open { .. } | Call::Sync { .. } | Call::SyncNames | Call::Said { .. } | Call::Heard { .. } => {}
        }
    }

    fn ended(&mut self, op: usize) {
        if let Some(Covered { file, changes, names }) = self.syncs.remove(&op) {
            if let Some(File { durable, pending }) = file.map(|file| &mut self.files[file]) {
                settle(pending, &changes, |change| change.apply(durable));
            }
            for Name { durable, pending } in self.names.values_mut() {
                settle(pending, &names, |now| *durable = *now);
            }
            return;
        }
        let of_files = self.files.iter_mut().flat_map(|file| &mut file.pending).filter(|one| one.op == op);
        of_files.for_each(|one| one.ended = true);
        let of_names = self.names.values_mut().flat_map(|name| &mut name.pending).filter(|one| one.op == op);
        of_names.for_each(|one| one.ended = true);
    }

    /// The changes of names that a sync of this file makes durable with it.
    fn named_with(&self, file: usize) -> BTreeSet<usize> {
        let changes = || self.names.values().flat_map(|name| &name.pending).filter(|one| one.ended);
        match changes().filter(|one| one.what == Some(file)).map(|one| one.op).max() {
            Some(named) if self.law == Names::ByFile => changes().map(|one| one.op).filter(|op| *op <= named).collect(),
            _ => BTreeSet::new(),
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

/// What is covered is durable now, in its order.
fn settle<T>(pending: &mut Vec<Pending<T>>, covered: &BTreeSet<usize>, mut becomes: impl FnMut(&T)) {
    pending.retain(|one| {
        let is_covered = covered.contains(&one.op);
        if is_covered {
            becomes(&one.what);
        }
        !is_covered
    });
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
