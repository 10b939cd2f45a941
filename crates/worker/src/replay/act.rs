//! What letting one item go writes.

use engine::{Event, MoneyState};
use outbox::{Carried, DeadLetter, Delivered, NewAudit, PerhapsSent, Plan, PlanAct, PlanItem, StoreError, StoredJob};
use serde_json::{Value, json};
use snap_core::Timestamp;

use super::{Replayer, Verdict, verdict};
use crate::event::{self, RefusedMessage, Stamp};
use crate::intake::{Asked, body_of, new_job};
use crate::transition::{Operator, Transition};

impl Replayer {
    /// What to do with an item whose turn has come, and whose lane it needs; none where it is left.
    pub(super) async fn act(&self, plan: &Plan, item: &PlanItem) -> Result<(PlanAct, Option<String>), StoreError> {
        let skip = |why: &str| Ok((PlanAct::Skip(why.to_owned()), None));
        let letter = match self.store.dead_letter(&item.dead_letter).await {
            Ok(Some(letter)) => letter,
            Ok(None) => return skip("its dead letter was purged"),
            Err(StoreError::Unreadable { .. }) => return skip("its dead letter cannot be read"),
            Err(error) => return Err(error),
        };
        let job = match letter.job {
            Some(id) => match self.store.job(id).await {
                Err(StoreError::Unreadable { .. } | StoreError::PastRetention(_)) => None,
                read => read?,
            },
            None => None,
        };
        let now = self.clock.now();
        match (verdict(&letter, job.as_ref(), &self.rules, self.clock.noticed(now)), job) {
            (Verdict::Refused(why), _) => skip(&why),
            // Shown as asked about first: what has been proven since is another decision.
            (Verdict::Sends | Verdict::Expires, Some(_)) if item.money_state == MoneyState::MaybeSent => {
                skip("it has moved on since it was shown: it may not have been sent any more")
            }
            (Verdict::Intake(request), _) => {
                let provider = request.provider.clone();
                // M12: it may have been replayed, and that was forgotten.
                let perhaps_sent = self.store.perhaps_sent(letter.dead_at).await?;
                Ok((self.message(plan, &letter, *request, perhaps_sent, now), Some(provider)))
            }
            (_, Some(job)) => {
                let provider = job.request.provider.clone();
                Ok(match self.resumed(plan, &letter, &job, now) {
                    Ok(act) => (act, Some(provider)),
                    Err(why) => (PlanAct::Skip(why), None),
                })
            }
            (_, None) => skip("its job cannot be read"),
        }
    }

    fn resumed(&self, plan: &Plan, letter: &DeadLetter, job: &StoredJob, now: Timestamp) -> Result<PlanAct, String> {
        let policy = self.rules.policies.get(&job.request.provider).ok_or("its provider is not configured")?;
        let operator = Operator { by: &plan.by, why: &plan.reason };
        let replay = Transition { letter: Some(letter), operator: Some(operator), ..Transition::of(job, policy, now) };
        let mut record = replay.record(&Event::Replayed, &self.clock).map_err(|illegal| illegal.to_string())?;
        let shown = json!({ "moneyState": letter.money_state.as_str(), "state": record.job.state.name() });
        record.audit = Some(trail(plan, letter, now, shown));
        Ok(PlanAct::Job(Box::new(record)))
    }

    fn message(
        &self,
        plan: &Plan,
        letter: &DeadLetter,
        request: outbox::JobRequest,
        perhaps_sent: Option<PerhapsSent>,
        now: Timestamp,
    ) -> PlanAct {
        let (Some(delivered), Some(policy)) = (&letter.delivered, self.rules.policies.get(&request.provider)) else {
            return PlanAct::Skip("its message cannot be read".to_owned());
        };
        let carried = carried(delivered);
        let message = RefusedMessage {
            dead_letter: &letter.id,
            reason: letter.reason,
            detail: &letter.detail,
            claimed_reference: letter.claimed_reference.as_deref(),
            provider: letter.provider.as_deref(),
            carried: &carried,
        };
        let outcome = event::message_replayed(self.stamp(now), message, &plan.by, &plan.reason);
        let shown = json!({ "partnerReferenceNo": request.partner_reference_no.as_str() });
        let (body, properties, headers) =
            (delivered.body.clone(), delivered.properties.clone(), delivered.headers.clone());
        let asked = Asked {
            request,
            carried: carried.clone(),
            delivered: move || body_of(&body, properties.clone(), headers.clone()),
            due_at: Some(now),
            at: now,
        };
        let mut job = new_job(&self.clock, policy, asked, perhaps_sent);
        job.closes = Some(letter.id.clone());
        PlanAct::Message(Box::new(job), Box::new((outcome, trail(plan, letter, now, shown))))
    }

    fn stamp(&self, at: Timestamp) -> Stamp {
        Stamp { id: self.clock.ulid(), at }
    }
}

fn trail(plan: &Plan, letter: &DeadLetter, at: Timestamp, shown: Value) -> NewAudit {
    let mut detail = json!({ "plan": plan.id.0 });
    if let (Value::Object(detail), Value::Object(shown)) = (&mut detail, shown) {
        detail.extend(shown);
    }
    NewAudit {
        at,
        by: plan.by.clone(),
        action: "dlq_replayed".to_owned(),
        subject: letter.id.to_string(),
        reason: plan.reason.clone(),
        detail,
    }
}

/// What a refused message carried, as far as it was kept.
#[must_use]
pub fn carried(delivered: &Delivered) -> Carried {
    let text = |of: &Value, name: &str| of[name].as_str().map(str::to_owned);
    Carried {
        correlation_id: text(&delivered.properties, "correlationId"),
        message_id: text(&delivered.properties, "messageId"),
        traceparent: text(&delivered.headers, "traceparent"),
        tracestate: text(&delivered.headers, "tracestate"),
    }
}
