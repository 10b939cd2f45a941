//! The steps that are counted, with the same inputs as `crates/bench/benches/micro.rs`.

use std::hint::black_box;
use std::time::Duration;

use engine::{Answer, Event, Jitter, Job, apply, next_step};
use snap_core::{
    AccountInquiryResponse, Amount, CustomerNumber, PartnerReferenceNo, Private, Profile, SigningKey, SymmetricKey,
    Timestamp, TopUpDetails, TopUpResponse, parse_answer,
};

/// Why a step could not be run; it would be a fault of this program, or a full disk.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// One step.
pub(crate) struct Step {
    /// Its name in the table.
    pub(crate) name: &'static str,
    /// How often it is run at first; what it prepares lazily is done by then.
    pub(crate) few: u32,
    /// And how often to take the difference.
    pub(crate) many: u32,
    /// How much more it may take where the table says nothing yet, in per cent.
    pub(crate) percent: u64,
    /// Runs it so many times.
    pub(crate) run: fn(u32) -> Result<(), Failure>,
}

/// All of them, in the order of a job.
pub(crate) const STEPS: &[Step] = &[
    Step { name: "sign-token-request", few: 4, many: 14, percent: 10, run: sign_token_request },
    Step { name: "sign-transaction", few: 200, many: 1200, percent: 10, run: sign_transaction },
    Step { name: "spell", few: 200, many: 1200, percent: 10, run: spell },
    Step { name: "inquiry-body", few: 200, many: 1200, percent: 10, run: inquiry_body },
    Step { name: "top-up-body", few: 200, many: 1200, percent: 10, run: top_up_body },
    Step { name: "inquiry-answer", few: 200, many: 1200, percent: 10, run: inquiry_answer },
    Step { name: "top-up-answer", few: 200, many: 1200, percent: 10, run: top_up_answer },
    Step { name: "engine-life", few: 200, many: 1200, percent: 10, run: engine_life },
    Step { name: "store-life", few: 256, many: 1536, percent: 10, run: crate::store::life },
];

/// When everything happens.
pub(crate) const AT: Timestamp = Timestamp::from_millis(1_714_533_630_007);
const INQUIRED: &[u8] = br#"{"responseCode":"2003700","responseMessage":"Successful","referenceNo":"2211150005490937","partnerReferenceNo":"TU-20261122-000001","customerNumber":"081977817902","customerName":"Budi Santoso","minAmount":{"value":"1000.00","currency":"IDR"},"maxAmount":{"value":"20000000.00","currency":"IDR"},"amount":{"value":"10000.00","currency":"IDR"},"feeAmount":{"value":"0.00","currency":"IDR"}}"#;
const PAID: &[u8] = br#"{"responseCode":"2003800","responseMessage":"Successful","referenceNo":"2211150005490937","partnerReferenceNo":"TU-20261122-000001","customerNumber":"081977817902","customerName":"Budi Santoso","amount":{"value":"10000.00","currency":"IDR"},"feeAmount":{"value":"0.00","currency":"IDR"}}"#;
/// Published with the simulator; it protects nothing.
const KEY: &str = include_str!("../../snap-sim/keys/throwaway.pem");

/// A token request's signature: RSA with SHA-256.
fn sign_token_request(times: u32) -> Result<(), Failure> {
    let key = SigningKey::from_pem(KEY)?;
    let timestamp = profile()?.spell_timestamp(AT);
    for _ in 0..times {
        black_box(key.sign_token_request("test-client-key", black_box(&timestamp)));
    }
    Ok(())
}

/// A top-up's signature: the digest of its body, and HMAC with SHA-512 over that and the rest.
fn sign_transaction(times: u32) -> Result<(), Failure> {
    let profile = profile()?;
    let secret = SymmetricKey::new("test-client-secret-not-real");
    let (token, timestamp) = ("t".repeat(64), profile.spell_timestamp(AT));
    let body = with_details(|details| Ok(profile.top_up_request(details)?.to_body()))?;
    for _ in 0..times {
        black_box(secret.sign_transaction("POST", "/v1.0/emoney/topup", &token, black_box(&body), &timestamp));
    }
    Ok(())
}

/// Both forms of a time, another one each time, and an amount.
fn spell(times: u32) -> Result<(), Failure> {
    for number in 0..times {
        let at = AT.plus(Duration::from_millis(u64::from(number)));
        black_box(black_box(at).to_snap());
        black_box(black_box(at).to_rfc3339());
        black_box(black_box(amount()?).to_string());
    }
    Ok(())
}

fn inquiry_body(times: u32) -> Result<(), Failure> {
    let profile = profile()?;
    with_details(|details| {
        for _ in 0..times {
            black_box(profile.account_inquiry_request(black_box(details))?.to_body());
        }
        Ok(())
    })
}

fn top_up_body(times: u32) -> Result<(), Failure> {
    let profile = profile()?;
    with_details(|details| {
        for _ in 0..times {
            black_box(profile.top_up_request(black_box(details))?.to_body());
        }
        Ok(())
    })
}

fn inquiry_answer(times: u32) -> Result<(), Failure> {
    for _ in 0..times {
        black_box(parse_answer::<AccountInquiryResponse>(black_box(INQUIRED))?);
    }
    Ok(())
}

fn top_up_answer(times: u32) -> Result<(), Failure> {
    for _ in 0..times {
        black_box(parse_answer::<TopUpResponse>(black_box(PAID))?);
    }
    Ok(())
}

/// A job from its acceptance to its success, with every decision between.
fn engine_life(times: u32) -> Result<(), Failure> {
    let policy = crate::policy::policy();
    let inquired = Event::Inquired {
        customer_name: Some(Private::from("Budi Santoso")),
        fee: Some(Amount::ZERO),
        min: None,
        max: None,
    };
    let events = [inquired, Event::SendStarted, Event::TopUp(Answer::Paid)];
    for _ in 0..times {
        let mut job = Job::accepted(amount()?, None, false, black_box(&policy), AT);
        for event in black_box(&events) {
            black_box(next_step(&job, &policy, AT));
            job = apply(&job, &policy, event, AT, Jitter::NONE)?;
        }
        black_box(next_step(&job, &policy, AT));
    }
    Ok(())
}

fn with_details<T>(work: impl FnOnce(&TopUpDetails<'_>) -> Result<T, Failure>) -> Result<T, Failure> {
    let reference = PartnerReferenceNo::parse("TU-20261122-000001")?;
    let customer = CustomerNumber::parse("081977817902")?;
    let name = Private::from("Budi Santoso");
    work(&TopUpDetails {
        partner_reference_no: &reference,
        customer_number: &customer,
        customer_name: Some(&name),
        amount: amount()?,
        fee: Some(Amount::ZERO),
        notes: None,
        beneficiary_provider: None,
        beneficiary_email: None,
        transaction_date: AT,
    })
}

fn profile() -> Result<Profile, Failure> {
    Profile::builtin("finpay").ok_or_else(|| "no profile finpay is built in".into())
}

fn amount() -> Result<Amount, Failure> {
    Amount::from_minor(1_000_000).ok_or_else(|| "the amount is too large".into())
}
