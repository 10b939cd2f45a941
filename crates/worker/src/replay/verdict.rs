//! Whether a dead letter may be replayed, and what that would do. Pure.

use std::collections::BTreeMap;

use engine::{DeadReason, MoneyState, Noticed, Policy};
use outbox::{DeadLetter, JobRequest, StoredJob};

use crate::app::config_providers;
use crate::config::Config;
use crate::message::{self, Providers};
use crate::output::age;

/// What a verdict needs of the configuration.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The engine's numbers by provider.
    pub policies: BTreeMap<String, Policy>,
    /// What a message may name.
    pub providers: Providers,
}

impl Rules {
    /// Of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            policies: config.providers.iter().map(|(name, provider)| (name.clone(), provider.policy())).collect(),
            providers: config_providers(&config.providers, config.default_provider.as_deref()),
        }
    }
}

/// What a replay would do.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The provider is asked; paid closes it as succeeded, proven unpaid sends it again.
    AsksFirst,
    /// It is sent: no attempt of it moved money.
    Sends,
    /// Its `notAfter` has passed: it ends as rejected, and nothing is sent.
    Expires,
    /// The message goes through the intake.
    Intake(Box<JobRequest>),
    /// A rule forbids it, for this reason.
    Refused(String),
}

impl Verdict {
    /// In words, for who decides.
    #[must_use]
    pub fn effect(&self) -> &str {
        match self {
            Self::AsksFirst => {
                "asks the provider first: paid closes it as succeeded; only what is proven unpaid is sent again"
            }
            Self::Sends => "sends it: no attempt of it moved money",
            Self::Expires => "ends it as rejected (expired): its notAfter has passed, nothing is sent",
            Self::Intake(_) => "takes the message through the same intake as any delivery",
            Self::Refused(why) => why,
        }
    }

    /// Why it may not be replayed.
    #[must_use]
    pub fn refusal(&self) -> Option<&str> {
        match self {
            Self::Refused(why) => Some(why),
            _ => None,
        }
    }
}

/// Whether `letter`, with its `job` where it has one, may be replayed at `now`.
#[must_use]
pub fn verdict(letter: &DeadLetter, job: Option<&StoredJob>, rules: &Rules, now: impl Into<Noticed>) -> Verdict {
    if let Some((_, how)) = letter.closed {
        return Verdict::Refused(format!("it is closed already: {}", how.as_str()));
    }
    match job {
        Some(job) => of_job(letter, job, rules, now.into()),
        None if letter.job.is_some() => Verdict::Refused("its job cannot be read".to_owned()),
        None => of_message(letter, rules),
    }
}

fn of_job(letter: &DeadLetter, job: &StoredJob, rules: &Rules, noticed: Noticed) -> Verdict {
    let now = noticed.latest();
    let refused = |why: String| Verdict::Refused(why);
    let provider = &job.request.provider;
    let Some(policy) = rules.policies.get(provider) else {
        return refused(format!("provider {provider} is not configured"));
    };
    let evidence = &job.job.evidence;
    match evidence.money {
        _ if letter.reason == DeadReason::Refunded => {
            refused("it was refunded: it needs a new partnerReferenceNo".to_owned())
        }
        MoneyState::Returned => refused("the money came back: it needs a new partnerReferenceNo".to_owned()),
        _ if letter.reason == DeadReason::DoubleCreditSuspected => {
            refused("two attempts look paid: only the provider can say how often it was".to_owned())
        }
        MoneyState::MaybeSent if policy.is_of_another_account(&job.job) => refused(format!(
            "it may have been paid by another account than section {provider} names now: nothing that is asked there says \
             anything about it; put the old section back, or ask it by `worker dlq check`"
        )),
        MoneyState::ProvenPaid => refused("it is paid".to_owned()),
        // A restored store knows of some only that they may have been sent: nobody can say when.
        MoneyState::MaybeSent => {
            // What is noted as after now is of a clock that was wrong.
            match evidence.first_sent_at.filter(|at| at.as_millis() > 0 && *at <= now).map(|first| now.since(first)) {
                Some(since) if since > policy.uniqueness_window => refused(format!(
                    "first sent {} ago, and {provider} knows a reference for {}: \"not found\" proves nothing any more; \
                 `worker dlq check` still asks",
                    age(since),
                    age(policy.uniqueness_window)
                )),
                Some(_) => Verdict::AsksFirst,
                None => refused(
                    "nobody knows when it was first sent: \"not found\" proves nothing; `worker dlq check` still asks"
                        .to_owned(),
                ),
            }
        }
        MoneyState::NeverSent | MoneyState::ProvenUnpaid if noticed.is_too_late(&job.job) => Verdict::Expires,
        MoneyState::NeverSent | MoneyState::ProvenUnpaid => Verdict::Sends,
    }
}

fn of_message(letter: &DeadLetter, rules: &Rules) -> Verdict {
    let refused = |why: String| Verdict::Refused(why);
    if letter.reason == DeadReason::IdempotencyConflict {
        return refused("its key is taken by a job with other content: edit it first".to_owned());
    }
    let Some(delivered) = &letter.delivered else { return refused("its message cannot be read".to_owned()) };
    if delivered.size > delivered.body.len() as u64 {
        return refused(format!("only the first bytes of its {} bytes are kept", delivered.size));
    }
    match message::parse(&delivered.body, None, &rules.providers) {
        Ok(request) if !rules.policies.contains_key(&request.provider) => {
            refused(format!("provider {} is not configured", request.provider))
        }
        Ok(request) => Verdict::Intake(Box::new(request)),
        Err(still) => refused(format!("it is still {}: {}; edit it first", still.reason.as_str(), still.detail)),
    }
}
