//! Tells outside of the machine how far the store has come, and how its audit trail ends.

use outbox::{AuditFilter, AuditHead, Standing};
use snap_core::Timestamp;
use tokio::time::Instant;
use tracing::{error, warn};

use super::{Custodial, Custodian, Witness};
use crate::account::forgotten;
use crate::amqp::AmqpError;

impl Custodian {
    /// Tells how far the store has come, where that has changed or was not told for long.
    pub(super) async fn tell<C: Custodial>(&self, port: &mut C, stopped: bool) -> Result<(), AmqpError> {
        let standing = self.store.standing().await?;
        let (audit, audit_at) = self.longest_trail(&standing).await?;
        let remind_every = self.custody.terms().remind_every;
        let is_told = |(commits, told, at): &(u64, AuditHead, Instant)| {
            (*commits, told) == (standing.commits, &audit) && at.elapsed() < remind_every
        };
        if !stopped && self.state().told.as_ref().is_some_and(is_told) {
            return Ok(());
        }
        let accounts = forgotten::told(self.store.accounts().await?, self.clock.now());
        let witness = Witness {
            store: standing.store_id,
            instance: self.instance.to_string(),
            commits: standing.commits,
            audit_rows: audit.rows,
            audit_head: audit.hash.clone(),
            audit_at: audit_at.as_millis(),
            at: self.clock.now().as_millis(),
            stopped,
            process: (*self.process).clone(),
            accounts: Some(accounts),
        };
        if port.tell(&witness.body()).await? {
            self.state().told = Some((standing.commits, audit, Instant::now()));
        } else if !std::mem::replace(&mut self.state().warned, true) {
            warn!(namespace = %self.namespace, "the broker does not keep how far this store has come; it is told again and again");
        }
        Ok(())
    }

    /// The end of the trail to be witnessed: never less than was witnessed before, until an operator says that the store was put
    /// back.
    async fn longest_trail(&self, standing: &Standing) -> Result<(AuditHead, Timestamp), AmqpError> {
        let now = (standing.audit.clone(), self.clock.now());
        let Some(known) = self.state().audit.clone() else {
            self.state().audit = Some(now.clone());
            return Ok(now);
        };
        if known.0 == standing.audit {
            return Ok(known);
        }
        if self.store.has_audit_head(&known.0).await? || self.is_excused(known.1).await? {
            self.state().audit = Some(now.clone());
            return Ok(now);
        }
        if self.restored.mark().is_none() && !std::mem::replace(&mut self.state().complained, true) {
            let (rows, witnessed) = (standing.audit.rows, known.0.rows);
            error!(rows, witnessed, "the audit trail is not what was witnessed of it: `worker audit verify` says how");
        }
        Ok(known)
    }

    /// Whether an operator has said since then that the store was put back, and is right as it is.
    async fn is_excused(&self, witnessed_at: Timestamp) -> Result<bool, AmqpError> {
        if self.restored.mark().is_some() {
            return Ok(false);
        }
        let ended = AuditFilter { action: Some("store_reconciled".to_owned()), ..AuditFilter::default() };
        let last = self.store.audit(ended, None, 1).await?.items.pop();
        Ok(last.is_some_and(|row| row.entry.at > witnessed_at))
    }
}
