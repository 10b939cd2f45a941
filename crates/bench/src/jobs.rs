//! The jobs of a run.

/// A job message.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// `partnerReferenceNo`.
    pub(crate) reference: String,
    /// The message's bytes.
    pub(crate) body: Vec<u8>,
}

/// Jobs for one provider; references and customers differ, everything else is the same.
pub(crate) fn jobs(run: &str, provider: &'static str, count: u32) -> impl Iterator<Item = Job> + use<> {
    let run = run.to_owned();
    (0..count).map(move |n| {
        let reference = format!("{run}-{n:07}");
        let customer = format!("0857{n:09}");
        let message = serde_json::json!({
            "partnerReferenceNo": reference,
            "customerNumber": customer,
            "amount": { "value": "10000.00", "currency": "IDR" },
            "provider": provider,
        });
        Job { reference, body: message.to_string().into_bytes() }
    })
}
