//! What the store knows of its custody (M13): which store it is, how far it has come, and what the worker noted of the
//! namespace that it has at the broker. What stands in the note is the worker's affair.

use rusqlite::{Connection, OptionalExtension as _};
use snap_core::Timestamp;

use crate::{
    AuditHead, NewAudit, Reconcile, Store, StoreError, audit,
    error::Rejected,
    reconcile,
    task::{Room, Work},
    transaction::Transaction,
};

/// How the store stands: what is told of it outside of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which store this is.
    pub store_id: String,
    /// The number of its last commit.
    pub commits: u64,
    /// The end of its audit trail, as the store notes it beside the trail.
    pub audit: AuditHead,
    /// What the worker noted of its custody.
    pub custody: Option<String>,
    /// When its oldest job was accepted; `None`: it has no job.
    pub oldest: Option<Timestamp>,
}

/// That the store does not know everything that was done under its name: found outside of it, by a witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// When it was found.
    pub at: Timestamp,
    /// Until when whatever else works under its name may still send; from then on asking proves something.
    pub settled_at: Timestamp,
    /// What was found.
    pub reason: String,
    /// Until when it knows every key, at most: its newest record is the other limit. `None`: as its newest record.
    pub known_until: Option<Timestamp>,
    /// The last commit that is witnessed: this store goes on beyond it.
    pub beyond: u64,
    /// What the worker notes of its custody with it.
    pub custody: String,
}

/// That an operator lets this store take over a namespace from another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adoption {
    /// Until when the other store may still send; from then on asking proves something.
    pub settled_at: Timestamp,
    /// From whom.
    pub reason: String,
    /// Since when the other store may have sent what this one does not know; `None`: nobody can say.
    pub known_until: Option<Timestamp>,
    /// What the worker notes of its custody with it.
    pub custody: String,
    /// Who and why.
    pub audit: NewAudit,
}

impl Store {
    /// How the store stands, as of its last commit.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn standing(&self) -> Result<Standing, StoreError> {
        self.read(|connection| Ok(standing(connection)?)).await
    }

    /// Keeps what the worker notes of its custody.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn note_custody(&self, note: String) -> Result<(), StoreError> {
        let work: Work<_, _> = |transaction, note: &mut String| Ok(keep(transaction, note)?);
        self.write(Room::Reserved, note, work).await?;
        Ok(())
    }

    /// The store does not know everything that was done under its name: it asks about every job first, from now on (M12).
    /// For a worker that has sent nothing yet, or that ends with it: what it drives has passed the question.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn fell_behind(&self, behind: Behind) -> Result<Reconcile, StoreError> {
        let work: Work<_, _> = |transaction, behind: &mut Behind| {
            let newest = reconcile::newest(transaction)?;
            let known = behind.known_until.map_or(newest, |until| newest.map(|newest| newest.min(until)));
            let marked = reconcile::mark(transaction, behind.at, behind.settled_at, &behind.reason, known)?;
            keep(transaction, &behind.custody)?;
            let beyond = i64::try_from(behind.beyond).unwrap_or(i64::MAX - 1);
            transaction.execute("UPDATE meta SET commit_seq = max(commit_seq, ?1) WHERE id = 1", [beyond])?;
            Ok::<_, Rejected>(marked)
        };
        Ok(self.write(Room::Reserved, behind, work).await?.1)
    }

    /// An operator lets this store take over a namespace: before it does anything there, it asks about every job. For who
    /// holds the store alone.
    ///
    /// # Errors
    /// Any failure of the store.
    pub async fn adopt(&self, adoption: Adoption) -> Result<Reconcile, StoreError> {
        let work: Work<_, _> = |transaction, adoption: &mut Adoption| {
            let Adoption { settled_at, reason, known_until, custody, audit } = adoption;
            let marked = reconcile::mark(transaction, audit.at, *settled_at, reason, *known_until)?;
            keep(transaction, custody)?;
            audit::append(transaction, audit)?;
            Ok::<_, Rejected>(marked)
        };
        Ok(self.write(Room::Reserved, adoption, work).await?.1)
    }

    /// Whether the trail still has this row with this hash; row 0 is the beginning.
    ///
    /// # Errors
    /// Any failure to read.
    pub async fn has_audit_head(&self, head: &AuditHead) -> Result<bool, StoreError> {
        if head.rows == 0 {
            return Ok(true);
        }
        let found = self.audit_rows(head.rows - 1, 1).await?;
        Ok(found.first().is_some_and(|row| row.seq == head.rows && row.hash == head.hash))
    }
}

fn standing(connection: &Connection) -> rusqlite::Result<Standing> {
    let oldest = "SELECT accepted_at FROM job_states WHERE job_id = (SELECT min(job_id) FROM job_states)";
    let oldest: Option<i64> = connection.prepare_cached(oldest)?.query_row([], |row| row.get(0)).optional()?;
    let sql = "SELECT store_id, commit_seq, audit_rows, audit_hash, custody FROM meta WHERE id = 1";
    connection.prepare_cached(sql)?.query_row([], |row| {
        let (commits, rows): (i64, i64) = (row.get(1)?, row.get(2)?);
        let hash: [u8; 32] = row.get(3)?;
        Ok(Standing {
            store_id: row.get(0)?,
            commits: commits.unsigned_abs(),
            audit: AuditHead { rows: rows.unsigned_abs(), hash: audit::hex(&hash) },
            custody: row.get(4)?,
            oldest: oldest.map(Timestamp::from_millis),
        })
    })
}

fn keep(transaction: &Transaction<'_>, note: &str) -> rusqlite::Result<()> {
    transaction.prepare_cached("UPDATE meta SET custody = ?1 WHERE id = 1")?.execute([note])?;
    Ok(())
}
