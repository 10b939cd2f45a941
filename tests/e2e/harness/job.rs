//! The job message, as a producer writes it.

use lapin::BasicProperties;
use serde_json::{Map, Value, json};

/// A job message; each method changes one thing of it.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// `partnerReferenceNo`.
    pub(crate) reference: String,
    /// `customerNumber` as the producer writes it.
    pub(crate) customer: String,
    /// The amount's value.
    pub(crate) amount: String,
    more: Map<String, Value>,
}

impl Job {
    /// A job for this customer (any of the three forms), of 10,000 rupiah.
    pub(crate) fn new(reference: &str, customer: &str) -> Self {
        Self {
            reference: reference.to_owned(),
            customer: customer.to_owned(),
            amount: "10000.00".to_owned(),
            more: Map::new(),
        }
    }

    /// Of this amount.
    pub(crate) fn of(mut self, amount: &str) -> Self {
        amount.clone_into(&mut self.amount);
        self
    }

    /// For a provider by name.
    pub(crate) fn by(self, provider: &str) -> Self {
        self.with("provider", json!(provider))
    }

    /// With another field.
    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }

    /// The customer number as the store keeps it: `62…`.
    pub(crate) fn canonical_customer(&self) -> String {
        let digits = self.customer.trim_start_matches('+');
        digits.strip_prefix('0').map_or_else(|| digits.to_owned(), |rest| format!("62{rest}"))
    }

    /// The message as a JSON value.
    pub(crate) fn json(&self) -> Value {
        let mut message = self.more.clone();
        message.insert("partnerReferenceNo".to_owned(), json!(self.reference));
        message.insert("customerNumber".to_owned(), json!(self.customer));
        message.insert("amount".to_owned(), json!({ "value": self.amount, "currency": "IDR" }));
        Value::Object(message)
    }

    /// The message's bytes.
    pub(crate) fn body(&self) -> Vec<u8> {
        serde_json::to_vec(&self.json()).expect("a JSON value is written")
    }

    /// The properties a careful producer sets.
    pub(crate) fn properties(&self) -> BasicProperties {
        BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(2)
            .with_message_id(format!("m-{}", self.reference).into())
            .with_correlation_id(format!("c-{}", self.reference).into())
    }
}
