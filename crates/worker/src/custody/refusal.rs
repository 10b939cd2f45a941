//! Takes the namespace's hold, and notes in the store who refused it: a twin that has the hold, or another store that has the mark.

use outbox::Standing;
use tracing::warn;

use super::custodian::HOLD_PAUSE;
use super::{Custodial, Custodian, CustodyError, Hold, Note, Process, Witness};
use crate::amqp::AmqpError;
use crate::output::moment;

/// A process that ended a moment ago may still be on the broker's books: so often it is asked again.
const HOLD_TRIES: u32 = 4;

impl Custodian {
    /// Takes the hold of the namespace for as long as the connection lives.
    pub(super) async fn take_hold<C: Custodial>(&self, port: &mut C, standing: &Standing) -> Result<(), AmqpError> {
        let mut holder: Option<Witness> = None;
        for left in (0..HOLD_TRIES).rev() {
            match port.hold().await? {
                Hold::Had => return Ok(()),
                Hold::Unavailable(why) => {
                    // The mark holds against other stores; a copy of this one is not noticed meanwhile (decision 0016).
                    if !std::mem::replace(&mut self.state().warned, true) {
                        warn!(%why, "the broker cannot keep a copy of this store from working beside it");
                    }
                    return Ok(());
                }
                Hold::InUse => {
                    // It may be let go within the tries, and what its process did last is in no witness all the same.
                    if let Some(witness) = self.newest_witness(port, left == 0).await? {
                        let is_noted = |holder: &Witness| holder.instance == witness.instance;
                        if !holder.as_ref().is_some_and(is_noted) {
                            self.note_beside(&witness, standing).await?;
                        }
                        holder = Some(witness);
                    }
                    if left > 0 {
                        tokio::time::sleep(HOLD_PAUSE).await;
                    }
                }
            }
        }
        let who = holder.map_or_else(String::new, |witness| {
            let Process { pid, host, .. } = &witness.process;
            format!(" (process {pid} on {host}, last heard of {})", moment(witness.at()))
        });
        Err(CustodyError::Beside { namespace: self.namespace.to_string(), who }.into())
    }

    /// Notes who has the namespace, where that process may be at work: what it does last before it dies is in no witness.
    async fn note_beside(&self, witness: &Witness, standing: &Standing) -> Result<(), AmqpError> {
        if witness.store != standing.store_id || self.is_over(witness) {
            return Ok(());
        }
        let mut note = Note::of(standing, &self.namespace).unwrap_or_default();
        if note.beside.as_ref() != Some(&witness.instance) {
            note.namespace = self.namespace.to_string();
            note.beside = Some(witness.instance.clone());
            self.store.note_custody(note.text()).await?;
        }
        Ok(())
    }

    /// Notes that the namespace is another's, where this store holds anything and has noted nothing: under another namespace it
    /// would go on with that (see [`super::elsewhere`]).
    pub(super) async fn note_refusal(&self) -> Result<(), AmqpError> {
        let standing = self.store.standing().await?;
        if standing.oldest.is_none() || Note::of(&standing, &self.namespace).is_some() {
            return Ok(());
        }
        let refused_at = Some(self.clock.now().as_millis());
        let note = Note { namespace: self.namespace.to_string(), refused_at, ..Note::default() };
        self.store.note_custody(note.text()).await?;
        Ok(())
    }
}
