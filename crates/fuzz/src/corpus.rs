//! The committed inputs: one folder a target, one file an input.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// The folder of a target's inputs.
pub fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// The inputs of a target with the names of their files, in the order of these.
///
/// # Errors
/// The folder, or a file in it, cannot be read.
pub fn read(target: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(folder(target))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            inputs.push((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?));
        }
    }
    inputs.sort();
    Ok(inputs)
}
