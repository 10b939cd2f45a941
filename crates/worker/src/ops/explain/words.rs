//! What the worker does about an answer, why, and what a person can do: one row for each thing a reading can tell.

use engine::{Answer, Event, Retry, StatusAnswer};
use snap_core::LaneFault;

/// The three things an operator asks about an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) worker: &'static str,
    pub(super) why: &'static str,
    pub(super) operator: &'static str,
}

const fn words(worker: &'static str, why: &'static str, operator: &'static str) -> Words {
    Words { worker, why, operator }
}

const NOTHING_TO_DO: &str = "nothing";
const LOOK_AT_THE_JOB: &str = "wait; `worker jobs show REF` tells when the provider is asked next";

/// Of an event that an answer causes; of a lane's fault see [`of_fault`].
pub(super) fn of_event(event: &Event) -> Words {
    match event {
        Event::TopUp(answer) => of_top_up(*answer),
        Event::Checked { answer, .. } | Event::AskedByOperator { answer } => of_status(*answer),
        Event::Inquired { .. } => words(
            "goes on to the top-up with the name and fee it was given",
            "the account is there; limits that exclude the amount end the job as rejected (amount_out_of_range)",
            NOTHING_TO_DO,
        ),
        Event::InquiryFailed(Retry::Free) => words(
            "leaves the job as it is and asks again later; five such failures in a row pause the lane",
            "the provider is not there: that is no fault of the job, and costs it nothing",
            "`worker provider list` shows whether the lane stands, `worker check` whether the provider can be reached",
        ),
        Event::InquiryFailed(Retry::Counted(_)) => words(
            "asks again by the retry schedule, then gives up: dead letter retries_exhausted",
            "an inquiry moves no money and is free to repeat",
            "nothing yet; a dead letter retries_exhausted of a job that was never sent can be replayed without risk",
        ),
        Event::InquiryRefused => words(
            "rejects the job (business) and publishes topup.rejected; asks first where an earlier attempt is in doubt",
            "the provider refuses this customer or amount before anything is sent",
            "nothing: the producer is told; a new top-up needs a new partnerReferenceNo",
        ),
        _ => words(
            "stops the job: dead letter request_refused; three jobs in a row pause the lane",
            "the provider calls the request itself wrong, so sending the same again would not help",
            "compare configuration and profile with the provider's page, mend it, then replay",
        ),
    }
}

fn of_top_up(answer: Answer) -> Words {
    match answer {
        Answer::Paid => words(
            "closes the job as succeeded and publishes topup.succeeded",
            "the provider confirms the credit; another amount or reference beside it is a doubt instead (inconsistent_answer)",
            NOTHING_TO_DO,
        ),
        Answer::Accepted => words(
            "asks for the status until it is final; never sends this top-up again",
            "the provider has it and has not decided: whatever comes later, a second one could be paid as well",
            LOOK_AT_THE_JOB,
        ),
        Answer::Inconsistent | Answer::Unknown => words(
            "asks for the status; sends again only after two late \"not found\" in a row",
            "the money may have moved: nobody knows until the provider is asked (M2)",
            LOOK_AT_THE_JOB,
        ),
        Answer::Duplicate => words(
            "asks for the status and assumes nothing; after a resend it is never sent again",
            "the provider knows this reference: either our own earlier attempt arrived, or it is taken by something else",
            "wait; where it ends as a dead letter unresolved, ask the provider what it has under this reference",
        ),
        Answer::Refused => words(
            "rejects the job (business) and publishes topup.rejected; asks first where an earlier attempt is in doubt",
            "it is refused for this customer or amount, and a refusal proves only its own attempt (M3)",
            "nothing: the producer is told; a new top-up needs a new partnerReferenceNo",
        ),
        Answer::Wrong => words(
            "stops the job: dead letter request_refused; three jobs in a row pause the lane",
            "the provider calls the request itself wrong: the same again would be refused again",
            "compare configuration and profile with the provider's page, mend it, then replay",
        ),
        // No answer is read so: it was held back.
        Answer::NotExecuted { .. } | Answer::NotSent => words(
            "sends again by the retry schedule (or Retry-After), then gives up: dead letter retries_exhausted",
            "it was refused at the door: no money moved by this attempt",
            "nothing yet; where many jobs meet it, lower rate_limit or ask the provider",
        ),
    }
}

fn of_status(answer: StatusAnswer) -> Words {
    match answer {
        StatusAnswer::Paid { .. } => words(
            "closes the job as succeeded and publishes topup.succeeded",
            "the provider says that this top-up was paid; another amount beside it makes a dead letter inconsistent_answer",
            NOTHING_TO_DO,
        ),
        StatusAnswer::Pending => words(
            "asks again, for up to give_up_after; never sends this top-up again",
            "the provider has it and has not decided",
            LOOK_AT_THE_JOB,
        ),
        StatusAnswer::Refunded => words(
            "stops the job: dead letter refunded",
            "the money left and came back; this reference is used up, and a replay is refused",
            "tell the producer, who may ask again with a new partnerReferenceNo; then discard",
        ),
        StatusAnswer::Cancelled => words(
            "rejects the job (cancelled) and publishes topup.rejected",
            "the provider's own word that this top-up will not be paid; the reference is used up",
            "nothing: the producer is told; a new top-up needs a new partnerReferenceNo",
        ),
        StatusAnswer::Failed => words(
            "rejects the job (business) and publishes topup.rejected",
            "the provider's own word that this top-up failed; the reference is used up",
            "nothing: the producer is told; a new top-up needs a new partnerReferenceNo",
        ),
        StatusAnswer::NotFound => words(
            "believes it only twice in a row and after the quiet period; then sends again inside the uniqueness window",
            "a top-up can be slower than the question: early, \"not found\" is no proof (M4)",
            LOOK_AT_THE_JOB,
        ),
        StatusAnswer::Inconsistent => words(
            "stops the job: dead letter inconsistent_answer",
            "what the provider paid is not what was asked for",
            "ask the provider what it has under this reference",
        ),
        StatusAnswer::Nothing(_) => words(
            "asks again; each question counts against the status budget, then: dead letter unresolved",
            "it is about the question, not about the top-up: only latestTransactionStatus tells of that",
            LOOK_AT_THE_JOB,
        ),
    }
}

/// Of a status inquiry that was answered: what counts stands in its body.
pub(super) const STATUS_ANSWERED: Words = words(
    "reads latestTransactionStatus: 00 succeeded; 01 to 03 asks again; 04 dead letter refunded; 05 and 06 rejected; 07 not found",
    "the code is about the question; what became of the top-up stands in the body",
    "`worker explain 07` and so on explain each status",
);

pub(super) const TOKEN_GRANTED: Words =
    words("keeps the token until shortly before it expires", "the provider knows us", NOTHING_TO_DO);

pub(super) const TOKEN_TROUBLE: Words = words(
    "asks for a token again later; five failures in a row pause the lane",
    "the provider is in trouble; no job is to blame, and none is used up",
    "`worker check` asks for a token now",
);

/// Of a refused token: refreshed once, then a fault of ours.
pub(super) const TOKEN_REFRESHED: Words = words(
    "fetches a new token, once for all jobs, and tries again; refused again: the lane pauses (token_refused)",
    "a token that has run out is refused before anything is executed (M8)",
    "nothing, unless the lane pauses: then see `worker explain token_refused`",
);

/// Of 401 00.
pub(super) const UNAUTHORIZED: Words = words(
    "fetches a new token once and tries again; refused again: the lane pauses (unauthorized), and the job waits unharmed",
    "some providers answer so when a token has run out; otherwise it is signature, client, clock or address",
    "unless it goes away by itself: see `worker explain unauthorized`",
);

/// Of a fault that stops the lane and not the jobs (M9).
pub(super) fn of_fault(fault: LaneFault) -> Words {
    let operator = match fault {
        LaneFault::Unauthorized => {
            "look at client_secret, partner_id, the clock and the provider's list of allowed addresses: `worker check`"
        }
        LaneFault::FeatureNotAllowed => "ask the provider to open this service for us",
        LaneFault::InsufficientFunds => "fill up the deposit at the provider; the lane resumes at the next probe",
        LaneFault::MerchantBlacklisted => "ask the provider why, before anything else",
        LaneFault::MerchantLimit => "ask the provider to raise the limit, or wait until it is renewed",
        LaneFault::InvalidMerchant | LaneFault::PartnerNotFound => {
            "look at partner_id and channel_id: the provider does not know them"
        }
        LaneFault::TokenRefused => {
            "look at client_key and private_key, whether the provider has the public half of it, and at the clock"
        }
        LaneFault::Unreachable => {
            "look at the network and at the provider's announcements; `worker check` tries it now"
        }
        LaneFault::RequestsRefused => {
            "`worker dlq list --reason-code request_refused` shows what is refused: mend configuration or profile, then replay"
        }
    };
    let why = match fault {
        LaneFault::Unreachable => "the provider is down or cannot be reached: no job is to blame",
        LaneFault::RequestsRefused => "three requests in a row were refused as wrong: it is not the jobs",
        _ => "every job would meet it: it is about us, not about the job (M9)",
    };
    let worker = match fault {
        LaneFault::RequestsRefused => {
            "pauses the lane and probes with one job on a growing interval; the three jobs are dead letters request_refused"
        }
        _ => "pauses the lane, keeps its jobs waiting unharmed, probes with one job on a growing interval",
    };
    words(worker, why, operator)
}
