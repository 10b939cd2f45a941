//! The table of response codes with its sources, for people. Decides nothing: that is [`classify`](crate::classify).

use std::sync::LazyLock;

use crate::{Class, Service};

/// One row of `fixtures/response-codes.csv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeRow {
    /// `standard`, or the provider whose page lists the code.
    pub provider: &'static str,
    /// The service; none for a row of the standard that holds for all.
    pub service: Option<Service>,
    /// The HTTP status.
    pub http_status: u16,
    /// Seven digits, `xx` for any service, `+NN` behind it for a `latestTransactionStatus`.
    pub code: &'static str,
    /// The provider's message.
    pub message: &'static str,
    /// What it means.
    pub class: Class,
    /// Where it is from.
    pub source: &'static str,
}

static TABLE: LazyLock<Vec<CodeRow>> = LazyLock::new(|| {
    include_str!("../fixtures/response-codes.csv")
        .lines()
        .skip(1)
        .map(|line| row(line).expect("a test reads every row"))
        .collect()
});

/// Every row.
pub fn table() -> &'static [CodeRow] {
    &TABLE
}

/// The rows about a code (seven digits, with or without `+NN`): the provider's own first, then the standard's.
pub fn rows_for<'a>(provider: &'a str, code: &'a str) -> impl Iterator<Item = &'static CodeRow> + 'a {
    let own = table().iter().filter(move |row| row.provider == provider);
    let standard = table().iter().filter(|row| row.provider == "standard");
    own.chain(standard).filter(move |row| fits(row.code, code))
}

fn fits(pattern: &str, code: &str) -> bool {
    pattern.len() == code.len()
        && pattern.bytes().zip(code.bytes()).all(|(wanted, sign)| wanted == b'x' || wanted == sign)
}

fn row(line: &'static str) -> Option<CodeRow> {
    let (provider, rest) = field(line)?;
    let (service, rest) = field(rest)?;
    let (http_status, rest) = field(rest)?;
    let (code, rest) = field(rest)?;
    let (message, rest) = field(rest)?;
    let (class, rest) = field(rest)?;
    let (source, _) = field(rest)?;
    let service = match service {
        "any" => None,
        digits => Some(Service::from_code(digits.parse().ok()?)?),
    };
    Some(CodeRow {
        provider,
        service,
        http_status: http_status.parse().ok()?,
        code,
        message,
        class: class.parse().ok()?,
        source,
    })
}

/// The first field of a line and the rest; a field in quotes may hold commas, none in the table holds a quote.
fn field(line: &str) -> Option<(&str, &str)> {
    if let Some(quoted) = line.strip_prefix('"') {
        let (text, rest) = quoted.split_once('"')?;
        return Some((text, rest.strip_prefix(',').unwrap_or(rest)));
    }
    Some(line.split_once(',').unwrap_or((line, "")))
}
