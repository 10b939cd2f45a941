//! What a disk may hold after small recordings.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::Dice;

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
    images_by(Names::ByDirectory, recording, files, void)
}

fn images_by(
    law: Names,
    recording: &Recording,
    files: &BTreeMap<String, Vec<u8>>,
    void: &[usize],
) -> BTreeSet<Option<Vec<u8>>> {
    let mut disk = Disk::new(recording, files, void.iter().copied().collect(), law);
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
        found.contains(&Some(vec![1; 1024])) && found.contains(&Some(vec![])) && found.contains(&Some(vec![2; 512]))
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

#[test]
fn where_names_come_with_their_files_a_sync_of_the_file_makes_them_durable_and_one_of_the_directory_does_not() {
    let (open, none) = (|| Call::Open { file: "f".to_owned() }, BTreeMap::new());
    let by_file =
        |calls: &[Call], files: &BTreeMap<String, Vec<u8>>| images_by(Names::ByFile, &recording(calls), files, &[]);
    let here_now = BTreeSet::from([Some(vec![1; 512])]);
    assert_eq!(by_file(&[open(), write(0, 1, 512), sync()], &none), here_now);
    assert_eq!(by_file(&[open(), Call::SyncNames], &none), BTreeSet::from([None, Some(Vec::new())]));
    // What was done to the directory before it comes with it.
    let other = || "g".to_owned();
    let gone = [Call::Remove { file: "f".to_owned() }, Call::Open { file: other() }, Call::Sync { file: other() }];
    assert_eq!(by_file(&gone, &here(&[1; 512])), BTreeSet::from([None]));
}
