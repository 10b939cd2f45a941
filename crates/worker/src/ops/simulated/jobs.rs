//! Real messages, made by seed.

use serde_json::json;

use super::random::Random;

/// One message.
#[derive(Clone, Debug)]
pub(in crate::ops) struct Message {
    pub(in crate::ops) reference: String,
    pub(in crate::ops) body: Vec<u8>,
}

/// Job number `n` of the run with this seed and name (`DEMO-…`), by turns for each provider.
pub(in crate::ops) fn job(n: usize, seed: u64, run: &str) -> Message {
    let mut random = Random::new(seed ^ (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let reference = format!("{run}-{n:06}");
    let midtrans = n % 2 == 1;
    let number = format!("0813{:08}", random.below(100_000_000));
    let amount = format!("{}000.00", 10 + random.below(191));
    let mut body = json!({
        "partnerReferenceNo": reference,
        "customerNumber": number,
        "amount": { "value": amount, "currency": "IDR" },
        "provider": if midtrans { "midtrans" } else { "finpay" },
        "metadata": { "order": n },
    });
    if midtrans {
        body["beneficiaryProvider"] = json!("gopay");
    }
    Message { reference, body: body.to_string().into_bytes() }
}

/// Messages that producers get wrong: they never become jobs, and are there to be looked at as dead letters.
pub(in crate::ops) fn wrong(run: &str) -> Vec<Message> {
    let reference = |n: usize| format!("{run}-wrong-{n}");
    let typo = json!({
        "partnerReferenceNo": reference(1), "customerNumber": "081300000001",
        "amount": { "value": "10000.00", "currency": "IDR" }, "provider": "finpay", "notAfterr": "2030-01-01T00:00:00+07:00",
    });
    let float = json!({
        "partnerReferenceNo": reference(2), "customerNumber": "081300000002",
        "amount": { "value": 10000, "currency": "IDR" }, "provider": "finpay",
    });
    let stranger = json!({
        "partnerReferenceNo": reference(3), "customerNumber": "081300000003",
        "amount": { "value": "10000.00", "currency": "IDR" }, "provider": "unheard-of",
    });
    [typo, float, stranger]
        .into_iter()
        .enumerate()
        .map(|(n, body)| Message { reference: reference(n + 1), body: body.to_string().into_bytes() })
        .collect()
}
