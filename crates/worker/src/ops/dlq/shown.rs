//! What an operator was shown of a dead letter, and whether it is still so: an act is done to that, or not at all.

use outbox::{DeadLetter, StoredJob};

use crate::exit::CommandError;
use crate::ops::Desk;

/// The job of a dead letter, in the version that was shown; none where it never became a job.
///
/// # Errors
/// [`CommandError::MovedOn`] where the job has changed since, or any failure to read.
pub(super) async fn job_of(letter: &DeadLetter, desk: &Desk<'_>) -> Result<Option<StoredJob>, CommandError> {
    let Some(id) = letter.job else { return Ok(None) };
    let Some(job) = desk.store.job(id).await? else { return Ok(None) };
    match letter.job_version {
        Some(shown) if shown != job.version => Err(moved_on(letter, desk).await),
        _ => Ok(Some(job)),
    }
}

/// Says what a job is now that has changed since its dead letter was shown.
pub(super) async fn moved_on(letter: &DeadLetter, desk: &Desk<'_>) -> CommandError {
    let now = match letter.job {
        Some(id) => desk.store.job(id).await,
        None => Ok(None),
    };
    let what = match now {
        Ok(Some(job)) if letter.job_version == Some(job.version) => "its dead letter has changed".to_owned(),
        Ok(Some(job)) => match job.job.state {
            engine::State::Dead { reason } if reason == letter.reason => "it was asked about or amended".to_owned(),
            engine::State::Dead { reason } => format!("it is dead again, as {}", reason.as_str()),
            state => format!("it is {} now", state.name()),
        },
        Ok(None) => "it is closed".to_owned(),
        Err(error) => return error.into(),
    };
    CommandError::MovedOn { what }
}
