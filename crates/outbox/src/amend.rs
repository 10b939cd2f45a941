//! Amendments: what an operator changed of a job's request before any attempt of it took effect. Amount, customer and key
//! are not among it.

use rusqlite::params;
use snap_core::{Private, Timestamp};

use crate::{JobId, error::Rejected, transaction::Transaction};

/// What may be amended of a request, as it is from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amendment {
    /// The producer's name of the customer.
    pub customer_name: Option<Private>,
    /// Notes for the provider.
    pub notes: Option<Private>,
    /// The customer's mail address.
    pub beneficiary_email: Option<Private>,
    /// No top-up is started after this.
    pub not_after: Option<Timestamp>,
}

/// Keeps what the request was, and changes it.
pub(crate) fn write(
    transaction: &Transaction<'_>,
    id: JobId,
    version: i64,
    amendment: &Amendment,
    at: Timestamp,
) -> Result<(), Rejected> {
    transaction
        .prepare_cached(
            "INSERT INTO amendments (job_id, version, at, customer_name, notes, beneficiary_email, not_after)
             SELECT id, ?2, ?3, customer_name, notes, beneficiary_email, not_after FROM job_requests WHERE id = ?1",
        )?
        .execute(params![id.0, version, at.as_millis()])?;
    transaction
        .prepare_cached(
            "UPDATE job_requests SET customer_name = ?2, notes = ?3, beneficiary_email = ?4, not_after = ?5 WHERE id = ?1",
        )?
        .execute(params![
            id.0,
            amendment.customer_name.as_ref().map(Private::expose),
            amendment.notes.as_ref().map(Private::expose),
            amendment.beneficiary_email.as_ref().map(Private::expose),
            amendment.not_after.map(Timestamp::as_millis),
        ])?;
    Ok(())
}
