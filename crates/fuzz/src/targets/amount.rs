//! Amounts of money: from producers and operators, from providers, on their way out.

use snap_core::{Amount, AmountError};

use crate::reading::minor_units;

pub(super) const WORDS: &[&str] = &[
    "0",
    ".00",
    "10000.00",
    "9999999999999999.99",
    "0.50",
    ".",
    "-",
    "+",
    "1e5",
    "٣",
    "00",
    "1,000",
    " ",
    "\u{ff11}",
    "inf",
    "NaN",
];

pub(super) fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    strict_holds(Amount::parse_strict, &text);
    lenient_holds(Amount::parse_lenient, &text);
}

/// `parse` reads exactly two decimals, and what it reads is written back as it came.
pub fn strict_holds(parse: impl Fn(&str) -> Result<Amount, AmountError>, text: &str) {
    let is_strict = text.split_once('.').is_some_and(|(whole, decimals)| whole.len() <= 16 && decimals.len() == 2);
    let expected = minor_units(text).filter(|_| is_strict);
    let read = parse(text).ok();
    assert_eq!(read.map(|amount| u128::from(amount.minor())), expected, "read strictly: {text:?}");
    // A number of JSON has been a float on its way, or will be.
    let is_quoted = text.trim_start().starts_with('"');
    assert!(is_quoted || serde_json::from_str::<Amount>(text).is_err(), "a number passed for an amount: {text:?}");
    let Some(amount) = read else { return };
    assert_eq!(amount.to_string(), text, "written otherwise than read");
    let json = serde_json::to_string(&amount).expect("an amount is a text");
    assert_eq!(json, format!("{text:?}"));
    assert_eq!(serde_json::from_str::<Amount>(&json).ok(), Some(amount));
    assert!(amount <= Amount::MAX && Amount::from_minor(amount.minor()) == Some(amount));
    let twice = u128::from(amount.minor()) * 2;
    let sum = amount.checked_add(amount).map(|sum| u128::from(sum.minor()));
    assert_eq!(sum, Some(twice).filter(|twice| *twice <= u128::from(Amount::MAX.minor())), "the sum of {text:?}");
}

/// `parse` takes more forms, and none for another amount.
fn lenient_holds(parse: impl Fn(&str) -> Result<Amount, AmountError>, text: &str) {
    let fits = text.split('.').next().is_some_and(|whole| whole.len() <= 16);
    let expected = minor_units(text).filter(|_| fits);
    assert_eq!(parse(text).ok().map(|amount| u128::from(amount.minor())), expected, "read leniently: {text:?}");
}
