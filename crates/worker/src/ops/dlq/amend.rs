//! `worker dlq edit` of a job: a linked amendment, of what no attempt has made true yet. It keeps the key.

use engine::Event;
use outbox::{Amendment, DeadLetter, JobRequest, Record, StoredJob};
use serde_json::{Map, Value, json};
use snap_core::{Money, Private};

use super::close::refused;
use crate::exit::CommandError;
use crate::ops::Desk;
use crate::ops::act::Actor;
use crate::transition::Transition;

/// The job's request as its producer would write it, for an editor.
pub(super) fn as_message(request: &JobRequest) -> Vec<u8> {
    let mut members = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            members.insert(name.to_owned(), value);
        }
    };
    let text = |text: &Option<Private>| text.as_ref().map(|text| Value::from(text.expose()));
    put("partnerReferenceNo", Some(request.partner_reference_no.as_str().into()));
    put("customerNumber", Some(format!("+{}", request.customer_number.expose()).into()));
    put("amount", Some(json!(Money::idr(request.amount))));
    put("provider", Some(request.provider.clone().into()));
    put("customerName", text(&request.customer_name));
    put("notes", text(&request.notes));
    put("beneficiaryProvider", request.beneficiary_provider.clone().map(Value::from));
    put("beneficiaryEmail", text(&request.beneficiary_email));
    put("notAfter", request.not_after.map(|at| at.to_rfc3339().into()));
    put("metadata", metadata(request));
    format!("{:#}\n", Value::Object(members)).into_bytes()
}

fn metadata(request: &JobRequest) -> Option<Value> {
    serde_json::from_str(request.metadata.expose()).ok()
}

/// The fields that an operator changed; one that is locked is refused by its name.
pub(super) fn changed(before: &JobRequest, after: &JobRequest) -> Result<Vec<&'static str>, CommandError> {
    let locked = [
        ("partnerReferenceNo", before.partner_reference_no == after.partner_reference_no),
        ("customerNumber", before.customer_number == after.customer_number),
        ("amount", before.amount == after.amount),
        ("provider", before.provider == after.provider),
        ("beneficiaryProvider", before.beneficiary_provider == after.beneficiary_provider),
        ("metadata", metadata(before) == metadata(after)),
    ];
    let differ: Vec<_> = locked.iter().filter(|(_, same)| !same).map(|(name, _)| *name).collect();
    if !differ.is_empty() {
        return Err(CommandError::Refused {
            what: format!(
                "{} of a job is locked: a repeat of its message must still be known, and pays the same once",
                differ.join(", ")
            ),
            hint: "discard it, and let the producer ask again with a new partnerReferenceNo".to_owned(),
        });
    }
    let free = [
        ("customerName", before.customer_name == after.customer_name),
        ("notes", before.notes == after.notes),
        ("beneficiaryEmail", before.beneficiary_email == after.beneficiary_email),
        ("notAfter", before.not_after == after.not_after),
    ];
    Ok(free.iter().filter(|(_, same)| !same).map(|(name, _)| *name).collect())
}

/// The record of the amendment, where the engine allows one.
pub(super) fn amended(job: &StoredJob, request: &JobRequest, desk: &Desk<'_>) -> Result<Record, CommandError> {
    let Some(provider) = desk.config.providers.get(&job.request.provider) else {
        return Err(refused(format!("provider {} is not configured", job.request.provider)));
    };
    let policy = provider.policy();
    let amendment = Transition::of(job, &policy, desk.now).record(&amending(request), desk.clock);
    amendment.map_err(|illegal| refused(illegal.to_string()))
}

const fn amending(request: &JobRequest) -> Event {
    Event::Amended { not_after: request.not_after, has_customer_name: request.customer_name.is_some() }
}

/// Records it; the dead letter stays open until it is replayed.
pub(super) async fn record(
    letter: &DeadLetter,
    job: &StoredJob,
    request: &JobRequest,
    fields: &[&'static str],
    actor: &Actor,
    desk: &Desk<'_>,
) -> Result<(), CommandError> {
    let mut record = amended(job, request, desk)?;
    for entry in &mut record.history {
        entry.detail = json!({ "fields": fields });
    }
    record.amendment = Some(Box::new(Amendment {
        customer_name: request.customer_name.clone(),
        notes: request.notes.clone(),
        beneficiary_email: request.beneficiary_email.clone(),
        not_after: request.not_after,
    }));
    let shown = json!({
        "partnerReferenceNo": job.request.partner_reference_no.as_str(),
        "amount": job.request.amount.to_string(),
        "fields": fields,
    });
    record.audit = Some(actor.audit(desk.now, "dlq_edit", letter.id.as_str(), shown));
    desk.store.record(record).await?;
    Ok(())
}
