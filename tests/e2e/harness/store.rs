//! The files of a worker's store, as they lie on the disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use testbed::power::Image;

/// What is not there after a power loss, and what is no part of the store.
pub(crate) fn is_not_kept(name: &str) -> bool {
    !name.starts_with("worker.db") || name.ends_with("-shm") || name.ends_with(".reserve")
}

/// The files of the store.
pub(crate) fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = fs::read_dir(dir).expect("the directory is read").map(|entry| {
        let name = entry.expect("an entry is read").file_name();
        name.into_string().expect("names are text")
    });
    let read = |name: &str| fs::read(dir.join(name)).expect("a file of the store is read");
    names.filter(|name| !is_not_kept(name)).map(|name| (name.clone(), read(&name))).collect()
}

/// The store is what the power left of it: the same files, not a copy of them.
pub(crate) fn put_back(dir: &Path, left: &Image) {
    for entry in fs::read_dir(dir).expect("the directory is read") {
        let entry = entry.expect("an entry is read");
        let is_gone = |name: &str| name.starts_with("worker.db") && !left.files.contains_key(name);
        if entry.file_name().to_str().is_some_and(is_gone) {
            fs::remove_file(entry.path()).expect("a file of the store is removed");
        }
    }
    left.write_to(dir).expect("the image is written");
}
