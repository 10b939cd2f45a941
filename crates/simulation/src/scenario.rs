//! What producers send, and what the provider has in store for each customer.

use serde_json::{Value, json};
use snap_core::Timestamp;
use testbed::Dice;

use crate::world::START;

/// What becomes of a top-up of a customer where nothing goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Customer {
    /// Credited at once; by a provider that answers 202, after a while.
    Good,
    /// Credited after a while, whoever the provider is.
    Slow,
    /// The inquiry says no.
    Unknown,
    /// The top-up says no.
    Refused,
    /// Accepted, and failed after a while.
    Failing,
}

/// Every kind of customer, with its number's last two digits.
const CUSTOMERS: [(Customer, &str); 5] = [
    (Customer::Good, "01"),
    (Customer::Slow, "02"),
    (Customer::Unknown, "03"),
    (Customer::Refused, "04"),
    (Customer::Failing, "05"),
];

impl Customer {
    /// The customer of a number in any form.
    #[must_use]
    pub fn of(number: &str) -> Self {
        let of = |(customer, digits): &(Self, &str)| number.ends_with(digits).then_some(*customer);
        CUSTOMERS.iter().find_map(of).unwrap_or(Self::Good)
    }

    /// Whether a top-up is credited in the end.
    #[must_use]
    pub const fn is_paid(self) -> bool {
        matches!(self, Self::Good | Self::Slow)
    }

    fn number(self) -> String {
        let digits = CUSTOMERS.iter().find(|(customer, _)| *customer == self).map_or("01", |(_, digits)| digits);
        format!("0819778179{digits}")
    }
}

/// One message, as often as it is sent.
#[derive(Clone, Debug)]
pub struct Message {
    /// `partnerReferenceNo`.
    pub reference: String,
    /// Who is to be paid.
    pub customer: Customer,
    /// Rupiah.
    pub amount: u64,
    /// `finpay` or `midtrans`.
    pub provider: &'static str,
    /// Copies of it.
    pub copies: usize,
    /// What is wrong with it.
    pub wrong: Wrong,
    /// `notAfter`, so many seconds after the beginning.
    pub not_after_s: Option<u32>,
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Nothing.
    Nothing,
    /// It is no job: a dead letter.
    Malformed,
    /// Its key is another job's.
    Conflict,
}

/// What arrives in one run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// In this order.
    pub messages: Vec<Message>,
    /// What the provider suffers from at first, for longer than doubt is asked about.
    pub outage: Outage,
    /// Tokens live so short that one that was good for the inquiry may not be for the top-up.
    pub short_tokens: bool,
}

/// What a provider suffers from: top-ups end in doubt, and nobody can ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// Nothing.
    None,
    /// Top-ups arrive, and their answers do not.
    AnswersLost,
    /// Top-ups do not arrive.
    RequestsLost,
}

impl Message {
    fn new(reference: &str, customer: Customer, provider: &'static str) -> Self {
        let (copies, wrong, not_after_s) = (1, Wrong::Nothing, None);
        Self { reference: reference.to_owned(), customer, amount: 10_000, provider, copies, wrong, not_after_s }
    }

    /// Its bytes.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let value = match self.wrong {
            Wrong::Malformed => return b"{\"partnerReferenceNo\": 7}".to_vec(),
            Wrong::Nothing | Wrong::Conflict => self.json(),
        };
        value.to_string().into_bytes()
    }

    /// After this no top-up of it may begin, in Unix milliseconds.
    pub(crate) fn not_after(&self) -> Option<i64> {
        self.not_after_s.map(|seconds| START + i64::from(seconds) * 1000)
    }

    fn json(&self) -> Value {
        let mut value = json!({
            "partnerReferenceNo": self.reference,
            "customerNumber": self.customer.number(),
            "amount": { "value": format!("{}.00", self.amount), "currency": "IDR" },
            "provider": self.provider,
        });
        if self.provider == "midtrans" {
            value["beneficiaryProvider"] = json!("gopay");
        }
        if let Some(at) = self.not_after() {
            value["notAfter"] = Timestamp::from_millis(at).to_rfc3339().into();
        }
        value
    }
}

impl Scenario {
    fn of(name: &str, messages: Vec<Message>) -> Self {
        Self { name: name.to_owned(), messages, outage: Outage::None, short_tokens: false }
    }

    /// One job of each kind, by each provider; a message that comes twice, one whose key is taken, one that is no job.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for provider in ["finpay", "midtrans"] {
            for (customer, _) in CUSTOMERS {
                let name = format!("{provider}-{customer:?}").to_lowercase();
                all.push(Self::of(&name, vec![Message::new("SIM-1", customer, provider)]));
            }
        }
        let job = || Message::new("SIM-1", Customer::Good, "finpay");
        all.push(Self::of("twice", vec![Message { copies: 3, ..job() }]));
        all.push(Self::of("conflict", vec![job(), Message { amount: 20_000, wrong: Wrong::Conflict, ..job() }]));
        all.push(Self::of("malformed", vec![Message { wrong: Wrong::Malformed, ..job() }]));
        all.push(Self::of(
            "three",
            vec![
                job(),
                Message::new("SIM-2", Customer::Good, "midtrans"),
                Message::new("SIM-3", Customer::Good, "finpay"),
            ],
        ));
        for (name, outage) in [("answers-lost", Outage::AnswersLost), ("requests-lost", Outage::RequestsLost)] {
            all.push(Self { outage, ..Self::of(name, vec![job()]) });
        }
        all.push(Self { short_tokens: true, ..Self::of("short-tokens", vec![job()]) });
        for (name, seconds) in [("in-an-hour", 3600), ("soon-over", 3)] {
            all.push(Self::of(name, vec![Message { not_after_s: Some(seconds), ..job() }]));
        }
        let unknown = |reference| Message::new(reference, Customer::Unknown, "midtrans");
        all.push(Self::of("two-unknown", vec![unknown("SIM-1"), unknown("SIM-2")]));
        let two = vec![job(), Message::new("SIM-2", Customer::Good, "finpay")];
        all.push(Self { outage: Outage::AnswersLost, ..Self::of("two-answers-lost", two) });
        all
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|scenario| scenario.name == name)
    }

    /// One to four messages of any kind.
    pub(crate) fn random(dice: &mut Dice) -> Self {
        let mut messages: Vec<Message> = Vec::new();
        for number in 1..=1 + dice.below(4) {
            let (customer, _) = CUSTOMERS[[0, 0, 0, 1, 2, 3, 4][dice.below(7)]];
            let provider = ["finpay", "midtrans"][dice.below(2)];
            let mut message = Message::new(&format!("SIM-{number}"), customer, provider);
            match dice.below(12) {
                0 | 1 => message.copies = 2,
                2 => message.wrong = Wrong::Malformed,
                3 if !messages.is_empty() && messages[0].wrong == Wrong::Nothing => {
                    message = Message { amount: 20_000, wrong: Wrong::Conflict, ..messages[0].clone() };
                }
                4 => message.not_after_s = Some([2, 60, 3600][dice.below(3)]),
                _ => {}
            }
            messages.push(message);
        }
        let outage = [Outage::AnswersLost, Outage::RequestsLost].get(dice.below(24)).copied().unwrap_or(Outage::None);
        let short_tokens = dice.below(8) == 0;
        Self { outage, short_tokens, ..Self::of("random", messages) }
    }
}
