//! SNAP's `{ "value": "10000.00", "currency": "IDR" }`: as we write it, and as providers answer it.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::{Amount, lenient};

/// The one currency there is. Source: seed 002, "should always be IDR".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
pub enum Currency {
    /// Rupiah.
    #[default]
    #[serde(rename = "IDR")]
    Idr,
}

/// An amount with its currency, strict in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// How much.
    pub value: Amount,
    /// Of what.
    pub currency: Currency,
}

impl Money {
    /// So much in rupiah.
    pub const fn idr(value: Amount) -> Self {
        Self { value, currency: Currency::Idr }
    }
}

impl From<Amount> for Money {
    fn from(value: Amount) -> Self {
        Self::idr(value)
    }
}

/// Money in a provider's answer: any JSON value is taken, and either it is an amount in rupiah or it is unreadable.
///
/// Reading never fails, so that an odd amount does not hide the response code beside it. An unreadable amount agrees
/// with nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LenientMoney(Option<Amount>);

impl LenientMoney {
    /// The amount; none when it was unreadable or in another currency.
    pub const fn amount(self) -> Option<Amount> {
        self.0
    }

    /// The money; none when it was unreadable or in another currency.
    pub fn money(self) -> Option<Money> {
        self.0.map(Money::idr)
    }

    /// Whether it was readable and is exactly this much.
    pub fn agrees_with(self, amount: Amount) -> bool {
        self.0 == Some(amount)
    }
}

impl From<Amount> for LenientMoney {
    fn from(value: Amount) -> Self {
        Self(Some(value))
    }
}

/// The members as answered; a missing currency is read as rupiah.
#[derive(Deserialize)]
struct Members {
    #[serde(default, deserialize_with = "lenient::text")]
    value: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    currency: Option<String>,
}

/// The value of money written as nearly everybody writes it, which needs no parser.
fn usual(text: &str) -> Option<&str> {
    let value = text.strip_prefix(r#"{"value":""#)?.strip_suffix(r#"","currency":"IDR"}"#)?;
    value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.').then_some(value)
}

impl<'de> Deserialize<'de> for LenientMoney {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The raw text keeps every digit of a number, which a float would not.
        let raw = <&RawValue>::deserialize(deserializer)?;
        if let Some(value) = usual(raw.get()) {
            return Ok(Self(Amount::parse_lenient(value).ok()));
        }
        // An array would pass for the members in order.
        let object = Some(raw.get()).filter(|text| text.starts_with('{'));
        let members = object.and_then(|text| serde_json::from_str::<Members>(text).ok());
        let amount = members.and_then(|Members { value, currency }| {
            let in_rupiah = currency.is_none_or(|currency| currency.eq_ignore_ascii_case("IDR"));
            value.filter(|_| in_rupiah).and_then(|value| Amount::parse_lenient(&value).ok())
        });
        Ok(Self(amount))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_strict_in_both_directions() {
        let money = Money::idr(Amount::parse_strict("10000.00").unwrap());
        let text = r#"{"value":"10000.00","currency":"IDR"}"#;
        assert_eq!(serde_json::to_string(&money).unwrap(), text);
        assert_eq!(serde_json::from_str::<Money>(text).unwrap(), money);
        for wrong in [
            r#"{"value":"10000.00"}"#,
            r#"{"currency":"IDR"}"#,
            r#"{"value":"10000.00","currency":"USD"}"#,
            r#"{"value":"10000.00","currency":"idr"}"#,
            r#"{"value":"10000","currency":"IDR"}"#,
            r#"{"value":10000,"currency":"IDR"}"#,
            r#"{"value":"10000.00","currency":"IDR","more":1}"#,
            r#"{"value":"10000.00","value":"10000.00","currency":"IDR"}"#,
        ] {
            assert!(serde_json::from_str::<Money>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_answers_money_may_come_as_a_number_or_with_escapes() {
        for text in [
            r#"{"value":"10000.00","currency":"IDR"}"#,
            r#"{ "value":"10000.0", "currency":"idr" }"#,
            r#"{"value":10000,"currency":"IDR"}"#,
            r#"{"value":"10000.00","currency":"\u0049DR"}"#,
            r#"{"value":"1\u0030000.00"}"#,
            r#"{"value":"1\u00300\u00300","currency":"IDR"}"#,
        ] {
            let money: LenientMoney = serde_json::from_str(text).unwrap();
            assert_eq!(money.amount().map(Amount::minor), Some(1_000_000), "{text}");
            assert_eq!(money.money().map(|money| money.value.minor()), Some(1_000_000), "{text}");
        }
    }
}
