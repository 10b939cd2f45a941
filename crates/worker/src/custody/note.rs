//! What the store notes of its custody: the namespace that it belongs to. It travels with every copy of the file.

use outbox::{Standing, Store, StoreError};
use serde::{Deserialize, Serialize};
use snap_core::Timestamp;

use super::{CustodyError, Mark};

/// What the store notes of its custody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Note {
    /// The namespace; empty: none, by an operator's word.
    pub namespace: String,
    /// Its mark, as this store has declared it; empty: not yet.
    pub mark: String,
    /// The lives whose witness is this store's own past: the last one that was told of, and the present one.
    pub instances: Vec<String>,
    /// The life that had the namespace when this store wanted it, and might still be at work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
    /// When this store was first refused it, in Unix milliseconds; never since it has been its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_at: Option<i64>,
}

impl Note {
    /// What `standing` holds, of whatever namespace.
    fn any(standing: &Standing) -> Option<Self> {
        serde_json::from_str(standing.custody.as_deref()?).ok()
    }

    /// What `standing` holds of this namespace.
    pub fn of(standing: &Standing, namespace: &str) -> Option<Self> {
        Self::any(standing).filter(|note| note.namespace == namespace)
    }

    /// To be kept.
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("texts are JSON")
    }

    /// Since when the namespace is this store's, as it knows; `None`: it never was, or nobody can say.
    pub fn since(&self) -> Option<Timestamp> {
        Mark::parse(&self.mark)?.since
    }
}

/// Whether the store may work on `configured` (`None`: without a broker): a store that holds anything, and that has noted another
/// namespace, may not, before an operator says so. What it holds may be paid there: by a twin, of which this one is a copy, or
/// by the store that took the namespace over. One that holds nothing can send nothing twice.
///
/// # Errors
/// Any failure to read.
pub async fn elsewhere(store: &Store, configured: Option<&str>) -> Result<Option<CustodyError>, StoreError> {
    let standing = store.standing().await?;
    let is_of_another = |note: &Note| !note.namespace.is_empty() && Some(note.namespace.as_str()) != configured;
    let Some(note) = Note::any(&standing).filter(is_of_another) else { return Ok(None) };
    // These count rows: only a store that was moved pays for it.
    let facts = store.facts().await?;
    if facts.jobs == 0 && facts.dead_letters == 0 {
        return Ok(None);
    }
    let since = note.since();
    let refused_at = note.refused_at.filter(|_| since.is_none()).map(Timestamp::from_millis);
    let (ours, configured) = (standing.store_id, configured.map(str::to_owned));
    Ok(Some(CustodyError::Elsewhere { ours, namespace: note.namespace, since, refused_at, configured }))
}
