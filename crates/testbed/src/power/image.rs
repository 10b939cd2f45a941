//! Choosing what the power leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::disk::{Change, File, Name, Pending};
use crate::Dice;

/// What a disk keeps whole.
const SECTOR: usize = 512;

/// What a power loss left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// The files of the directory.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Sectors that hold something older than what was written last.
    pub lost: usize,
    /// Sectors that hold what was written last, though no sync had covered it.
    pub kept: usize,
    /// Names that stand for something older than they did last.
    pub names_lost: usize,
}

impl Image {
    /// Whether something of what was not synced is there and something is not.
    pub fn is_torn(&self) -> bool {
        self.lost > 0 && self.kept > 0
    }

    /// Writes the files, for their owner's eyes only. One that is there already keeps its inode, as it does over a power loss.
    ///
    /// # Errors
    /// As the file system says.
    pub fn write_to(&self, dir: &Path) -> io::Result<()> {
        self.files.iter().try_for_each(|(name, content)| {
            let file =
                std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(dir.join(name));
            file.and_then(|mut file| file.write_all(content))
        })
    }
}

/// How much of what was not synced is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Luck {
    Nothing,
    Everything,
    /// What was done before one of the calls, and parts of that call.
    InOrder,
    /// Each sector as it comes.
    AsItComes,
}

impl Luck {
    fn roll(dice: &mut Dice) -> Self {
        [Self::Nothing, Self::Everything, Self::InOrder, Self::AsItComes][dice.below(4)]
    }
}

pub(super) fn of(names: &BTreeMap<String, Name>, files: &[File<'_>], dice: &mut Dice) -> Image {
    let mut image = Image::default();
    // Mostly each file has its own; but all or none of everything is what happens most.
    let common = (dice.below(4) == 0).then(|| if dice.below(2) == 0 { Luck::Nothing } else { Luck::Everything });
    for (name, states) in names {
        let mut luck = || common.unwrap_or_else(|| Luck::roll(dice));
        let (of_name, of_content) = (luck(), luck());
        let state = match (states.pending.len(), of_name) {
            (0, _) | (_, Luck::Nothing) => 0,
            (last, Luck::Everything) => last,
            (last, _) => dice.below(last + 1),
        };
        image.names_lost += usize::from(state < states.pending.len());
        let file = if state == 0 { states.durable } else { states.pending[state - 1].what };
        if let Some(file) = file {
            let content = content(&files[file], of_content, dice, &mut image);
            image.files.insert(name.clone(), content);
        }
    }
    image
}

fn content(file: &File<'_>, luck: Luck, dice: &mut Dice, image: &mut Image) -> Vec<u8> {
    let all = &file.pending[..];
    let none = &all[..0];
    let (there, perhaps) = match luck {
        Luck::Nothing => (none, none),
        Luck::Everything => (all, none),
        Luck::InOrder => {
            let whole = dice.below(all.len() + 1);
            (&all[..whole], &all[whole..all.len().min(whole + 1)])
        }
        Luck::AsItComes => (none, all),
    };
    let mut left = file.durable.clone();
    let mut touched = BTreeSet::new();
    for pending in there {
        touched.extend(sectors(pending, left.len()));
        pending.what.apply(&mut left);
    }
    // Of each sector, what it held; and the lengths.
    let mut held: BTreeMap<usize, Vec<[u8; SECTOR]>> = BTreeMap::new();
    let mut lengths = vec![left.len()];
    for pending in perhaps {
        let changed = sectors(pending, left.len());
        for sector in changed.clone() {
            held.entry(sector).or_insert_with(|| vec![sector_of(&left, sector)]);
        }
        pending.what.apply(&mut left);
        for sector in changed {
            held.entry(sector).or_default().push(sector_of(&left, sector));
            touched.insert(sector);
        }
        lengths.push(left.len());
    }
    let mut newest = left.clone();
    for pending in &all[there.len() + perhaps.len()..] {
        touched.extend(sectors(pending, newest.len()));
        pending.what.apply(&mut newest);
    }
    for (sector, states) in held {
        put_sector(&mut left, sector, &states[dice.below(states.len())]);
    }
    left.resize(lengths[dice.below(lengths.len())], 0);
    for sector in touched {
        let (now, old, new) = (&left, &file.durable, &newest);
        let [now, old, new] = [now, old, new].map(|content| sector_of(content, sector));
        image.lost += usize::from(now != new);
        image.kept += usize::from(now == new && new != old);
    }
    left
}

/// What a change touches in a file of this length.
fn sectors(pending: &Pending<Change<'_>>, length: usize) -> Range<usize> {
    let bytes = pending.what.range(length);
    bytes.start / SECTOR..bytes.end.div_ceil(SECTOR)
}

fn sector_of(content: &[u8], sector: usize) -> [u8; SECTOR] {
    let start = (sector * SECTOR).min(content.len());
    let end = (start + SECTOR).min(content.len());
    let mut held = [0; SECTOR];
    held[..end - start].copy_from_slice(&content[start..end]);
    held
}

fn put_sector(content: &mut Vec<u8>, sector: usize, held: &[u8]) {
    let start = sector * SECTOR;
    content.resize(content.len().max(start + SECTOR), 0);
    content[start..start + SECTOR].copy_from_slice(held);
}
