//! Where the store and the configuration are.

use std::path::{Path, PathBuf};

use crate::exit::CommandError;

/// A folder: kept where asked for, else gone afterwards.
#[derive(Debug)]
pub(in crate::ops) struct Folder {
    /// Where.
    pub(in crate::ops) path: PathBuf,
    temporary: bool,
}

impl Folder {
    /// `keep`, or a temporary one of `what` (one word).
    ///
    /// # Errors
    /// It holds a store already, or cannot be made.
    pub(in crate::ops) fn open(keep: Option<&Path>, what: &str) -> Result<Self, CommandError> {
        let (path, temporary) = match keep {
            Some(path) => (path.to_owned(), false),
            None => (std::env::temp_dir().join(format!("topup-{what}-{}", std::process::id())), true),
        };
        if path.join("worker.db").exists() {
            let what = format!("{} already holds a store", path.display());
            return Err(CommandError::usage(what, "give --keep a folder that is new or empty"));
        }
        match std::fs::create_dir_all(&path) {
            Ok(()) => Ok(Self { path, temporary }),
            Err(source) => Err(CommandError::File { what: format!("make {}", path.display()), source }),
        }
    }

    /// Takes a temporary one away.
    pub(in crate::ops) fn close(&self) {
        if self.temporary
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            tracing::warn!(%error, folder = %self.path.display(), "the folder stays behind");
        }
    }
}
