//! What each personality demands of a request body.

use crate::clock;
use crate::config::Personality;
use crate::fields::{Fields, Info, Money, Object, Text};
use crate::refusal::Refusal;

/// The service a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Token,
    Inquiry,
    TopUp,
    Status,
}

impl Service {
    /// The service digits.
    pub(crate) const fn digits(self, personality: Personality) -> u8 {
        match (self, personality) {
            (Self::Token, _) => 73,
            (Self::Inquiry, _) => 37,
            (Self::TopUp, _) => 38,
            (Self::Status, Personality::Finpay) => 39,
            (Self::Status, Personality::Midtrans) => 36,
        }
    }
}

/// A customer's number as digits in canonical form, `62…`.
pub(crate) type Customer = u128;

/// An account inquiry in order.
#[derive(Debug)]
pub(crate) struct Inquiry<'a> {
    pub(crate) reference: Option<&'a str>,
    pub(crate) number: &'a str,
    pub(crate) customer: Customer,
    pub(crate) amount: u64,
}

/// A top-up in order.
#[derive(Debug)]
pub(crate) struct TopUp<'a> {
    pub(crate) reference: &'a str,
    pub(crate) number: &'a str,
    pub(crate) customer: Customer,
    pub(crate) name: &'a str,
    pub(crate) amount: u64,
    pub(crate) fee: Option<&'a str>,
}

/// A status inquiry in order.
#[derive(Debug)]
pub(crate) struct StatusInquiry<'a> {
    pub(crate) reference: &'a str,
    pub(crate) reference_no: Option<&'a str>,
    pub(crate) external_id: Option<&'a str>,
}

pub(crate) fn inquiry<'a>(fields: &'a Fields<'a>, by: Personality) -> Result<Inquiry<'a>, Refusal> {
    let reference = match by {
        Personality::Finpay => Some(fields.partner_reference_no.required("partnerReferenceNo", 64)?),
        Personality::Midtrans => None,
    };
    let (number, customer) = customer(&fields.customer_number, by)?;
    let (amount, _) = money(&fields.amount, "amount", "amount.value", "amount.currency")?;
    match by {
        Personality::Finpay => transaction_date(&fields.transaction_date)?,
        Personality::Midtrans => beneficiary(&fields.additional_info)?,
    }
    Ok(Inquiry { reference, number, customer, amount })
}

pub(crate) fn top_up<'a>(fields: &'a Fields<'a>, by: Personality) -> Result<TopUp<'a>, Refusal> {
    let reference = fields.partner_reference_no.required("partnerReferenceNo", 64)?;
    let (number, customer) = customer(&fields.customer_number, by)?;
    let name_max = match by {
        Personality::Finpay => 255,
        Personality::Midtrans => 100,
    };
    let name = fields.customer_name.required("customerName", name_max)?;
    let (amount, _) = money(&fields.amount, "amount", "amount.value", "amount.currency")?;
    let fee = match by {
        Personality::Finpay => {
            let (_, fee) = money(&fields.fee_amount, "feeAmount", "feeAmount.value", "feeAmount.currency")?;
            transaction_date(&fields.transaction_date)?;
            Some(fee)
        }
        Personality::Midtrans => {
            let notes = fields.notes.required("notes", 50)?;
            if !notes.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ' || byte == b'_') {
                return Err(Refusal::format("notes"));
            }
            beneficiary(&fields.additional_info)?;
            None
        }
    };
    Ok(TopUp { reference, number, customer, name, amount, fee })
}

pub(crate) fn status<'a>(fields: &'a Fields<'a>, by: Personality) -> Result<StatusInquiry<'a>, Refusal> {
    let reference = fields.original_partner_reference_no.required("originalPartnerReferenceNo", 64)?;
    // Finpay marks it mandatory, though a timed-out top-up has none: it must be there, and may be empty.
    if by == Personality::Finpay && fields.original_reference_no == Text::Missing {
        return Err(Refusal::missing("originalReferenceNo"));
    }
    let reference_no = fields.original_reference_no.optional("originalReferenceNo", 64)?;
    let external_id = fields.original_external_id.optional("originalExternalId", external_id_max(by))?;
    if fields.service_code.required("serviceCode", 2)? != "38" {
        return Err(Refusal::format("serviceCode"));
    }
    Ok(StatusInquiry { reference, reference_no, external_id })
}

/// Digits an `X-EXTERNAL-ID` may have.
///
/// Source: FIN-HDR (32), Midtrans customer top-up (36).
pub(crate) const fn external_id_max(by: Personality) -> usize {
    match by {
        Personality::Finpay => 32,
        Personality::Midtrans => 36,
    }
}

fn customer<'a>(text: &'a Text<'a>, by: Personality) -> Result<(&'a str, Customer), Refusal> {
    const NAME: &str = "customerNumber";
    let (max, prefix) = match by {
        Personality::Finpay => (16, "0"),
        Personality::Midtrans => (20, "62"),
    };
    let number = text.required(NAME, max)?;
    let canonical = number
        .strip_prefix(prefix)
        .filter(|rest| rest.starts_with('8') && rest.len() >= 7)
        .and_then(digits)
        .ok_or(Refusal::format(NAME))?;
    // `canonical` is the part after 62; the prefix goes in front of as many digits as it has.
    let width = u32::try_from(number.len() - prefix.len()).unwrap_or(0);
    Ok((number, canonical + 62 * 10_u128.pow(width)))
}

/// The value of up to 37 ASCII digits.
pub(crate) fn digits(text: &str) -> Option<u128> {
    text.bytes().try_fold(0_u128, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u128::from(byte - b'0')))
}

/// The amount in minor units and its text.
fn money<'a>(
    money: &'a Object<Money<'a>>,
    name: &'static str,
    value_name: &'static str,
    currency_name: &'static str,
) -> Result<(u64, &'a str), Refusal> {
    let money = match money {
        Object::Here(money) => money,
        Object::Missing => return Err(Refusal::missing(name)),
        Object::Wrong => return Err(Refusal::format(name)),
    };
    let value = money.value.required(value_name, 19)?;
    let minor = amount(value).ok_or(Refusal::format(value_name))?;
    if money.currency.required(currency_name, 3)? != "IDR" {
        return Err(Refusal::format(currency_name));
    }
    Ok((minor, value))
}

/// Exactly two decimals, 1 to 16 digits before them, no leading zeros.
fn amount(text: &str) -> Option<u64> {
    let (whole, cents) = text.split_once('.')?;
    let well_formed = (1..=16).contains(&whole.len()) && cents.len() == 2 && (whole == "0" || !whole.starts_with('0'));
    if !well_formed {
        return None;
    }
    u64::try_from(digits(whole)? * 100 + digits(cents)?).ok()
}

fn transaction_date(text: &Text<'_>) -> Result<(), Refusal> {
    const NAME: &str = "transactionDate";
    clock::parse_snap(text.required(NAME, 25)?).map(drop).ok_or(Refusal::format(NAME))
}

fn beneficiary(info: &Object<Info<'_>>) -> Result<(), Refusal> {
    let info = match info {
        Object::Here(info) => info,
        Object::Missing => return Err(Refusal::missing("additionalInfo")),
        Object::Wrong => return Err(Refusal::format("additionalInfo")),
    };
    info.beneficiary_provider.required("additionalInfo.beneficiaryProvider", 40)?;
    info.beneficiary_email.optional("additionalInfo.beneficiaryEmail", 50).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_phone_forms_lead_to_one_canonical_number() {
        let local = Text::Here("081977817902".into());
        let international = Text::Here("6281977817902".into());
        assert_eq!(customer(&local, Personality::Finpay).unwrap().1, 6_281_977_817_902);
        assert_eq!(customer(&international, Personality::Midtrans).unwrap().1, 6_281_977_817_902);
        assert_eq!(customer(&international, Personality::Finpay).unwrap_err(), Refusal::format("customerNumber"));
        assert_eq!(customer(&local, Personality::Midtrans).unwrap_err(), Refusal::format("customerNumber"));
        assert!(customer(&Text::Here("0819778179021234".into()), Personality::Finpay).is_ok());
        assert!(customer(&Text::Here("08197781790212345".into()), Personality::Finpay).is_err());
        assert!(customer(&Text::Here("0819778x7902".into()), Personality::Finpay).is_err());
    }

    #[test]
    fn an_amount_has_exactly_two_decimals() {
        assert_eq!(amount("10000.00"), Some(1_000_000));
        assert_eq!(amount("0.00"), Some(0));
        assert_eq!(amount("9999999999999999.99"), Some(999_999_999_999_999_999));
        for wrong in [
            "10000",
            "10000.0",
            "10000.000",
            "010.00",
            ".00",
            "-1.00",
            "+1.00",
            "1e3.00",
            "10,000.00",
            "10000000000000000.00",
            "",
        ] {
            assert_eq!(amount(wrong), None, "{wrong}");
        }
    }
}
