//! Why something stands before a person, in words; used by `explain` and by `dlq show`.

use engine::{DeadReason, MoneyState};

/// What a dead letter's reason means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ops) struct ReasonWords {
    /// What happened.
    pub(in crate::ops) meaning: &'static str,
    /// What became of the money, as far as the reason says.
    pub(in crate::ops) money: &'static str,
    /// What to look at first.
    pub(in crate::ops) look_at: &'static str,
    /// What a replay would do.
    pub(in crate::ops) replay: &'static str,
}

/// What is known about the money of one of them, which an operator's check or a restore may have changed since it died.
pub(in crate::ops) const fn of_money(money: MoneyState) -> &'static str {
    match money {
        MoneyState::NeverSent => "no byte of a top-up ever left",
        MoneyState::MaybeSent => {
            "it may have moved: never tell the customer that it failed, never top up under another reference"
        }
        MoneyState::ProvenUnpaid => "every attempt is proven not executed",
        MoneyState::ProvenPaid => "the provider confirmed the credit",
        MoneyState::Returned => "it left and came back",
    }
}

/// The words for a reason.
pub(in crate::ops) const fn of(reason: DeadReason) -> ReasonWords {
    const NO_JOB: &str = "nothing was sent: the message never became a job";
    const THROUGH_INTAKE: &str = "takes the message through the intake once more, as any delivery";
    match reason {
        DeadReason::Malformed => ReasonWords {
            meaning: "the message is not a job: a field is missing, unknown, doubled or has the wrong form",
            money: NO_JOB,
            look_at: "the detail names the field; tell the producer, who can publish it again, mended",
            replay: "after an edit: takes the mended message through the intake, as any delivery",
        },
        DeadReason::UnknownProvider => ReasonWords {
            meaning: "the message names a provider that is not configured, or none where there is no default",
            money: NO_JOB,
            look_at: "the providers in the configuration; a provider that is missing there can be added",
            replay: "after an edit, or once the provider is configured: takes it through the intake once more",
        },
        DeadReason::IdempotencyConflict => ReasonWords {
            meaning: "its partnerReferenceNo is taken by an earlier job with other content; that job is untouched",
            money: "of this message nothing was sent; `worker jobs show` tells of the earlier job",
            look_at: "the detail names the fields that differ; ask the producer which one was meant",
            replay: "after an edit to a new partnerReferenceNo: takes it through the intake as a job of its own",
        },
        DeadReason::Undeliverable => ReasonWords {
            meaning: "the broker dead-lettered the delivery before it was taken (x-death in its headers says why)",
            money: NO_JOB,
            look_at: "the x-death header: rejected, expired, maxlen or delivery_limit",
            replay: THROUGH_INTAKE,
        },
        DeadReason::OtherAccount => ReasonWords {
            meaning: "in doubt, and the provider section names another account now",
            money: "it may have been paid by the old account: nothing that the new one answers says anything about it",
            look_at: "the detail names both accounts; put the old section back, under its name or another one, until it is settled",
            replay: "asks only where the section names the old account again; `worker dlq check` asks any section that does",
        },
        DeadReason::DoubleCreditSuspected => ReasonWords {
            meaning: "two attempts of this job look paid",
            money: "the customer may have been credited twice",
            look_at: "the timeline (`worker jobs show`), then the provider's own records of this partnerReferenceNo",
            replay: "refused: only the provider can say how often it was paid, and take one back",
        },
        DeadReason::RequestRefused => ReasonWords {
            meaning: "the provider refuses this request as wrong (400 01, 400 02 and their like)",
            money: "every attempt is proven not executed, or none was made",
            look_at: "the response code (`worker explain CODE`), then profile and configuration",
            replay: "starts over with the account inquiry, under the same partnerReferenceNo",
        },
        DeadReason::RetriesExhausted => ReasonWords {
            meaning: "the budget for safe retries is used up",
            money: "every attempt is proven not executed, or none was made",
            look_at: "the last answers in the history: whether the provider has recovered",
            replay: "starts over with a full budget, under the same partnerReferenceNo",
        },
        DeadReason::Unresolved => ReasonWords {
            meaning: "the status budget is used up and nobody knows whether the top-up was paid",
            money: "it may have moved: never tell the customer that it failed, never top up under another reference",
            look_at: "the provider's own records of this partnerReferenceNo",
            replay: "asks the provider first; paid closes it as succeeded, only late \"not found\" lets it be sent again",
        },
        DeadReason::InconsistentAnswer => ReasonWords {
            meaning: "the provider answered with another amount or reference than was asked for",
            money: "something was paid, and it is not known to be this",
            look_at: "the provider's own records of this partnerReferenceNo, amount and customer",
            replay: "asks the provider first; never closes as succeeded while the mismatch stands, never sends again",
        },
        DeadReason::Refunded => ReasonWords {
            meaning: "the provider reports the top-up as refunded (status 04)",
            money: "it left and came back",
            look_at: "whether the producer still wants it: that takes a new partnerReferenceNo",
            replay: "refused: this reference is used up",
        },
    }
}
