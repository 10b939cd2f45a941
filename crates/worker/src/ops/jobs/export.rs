//! `worker jobs export`: every job, page by page, so that a large store needs no room.

use outbox::{JobFilter, KnownJob, Store};
use serde_json::Value;

use super::view::JobView;
use crate::cli::Format;
use crate::exit::CommandError;
use crate::ops::stdout;
use crate::output::Output;

/// Jobs read at a time.
const PART: usize = 1000;
/// The columns, by the names of `jobs list -o json`.
const COLUMNS: [&str; 20] = [
    "partnerReferenceNo",
    "provider",
    "state",
    "reason",
    "moneyState",
    "customerNumber",
    "amount",
    "feeAmount",
    "referenceNo",
    "responseCode",
    "responseMessage",
    "attempts",
    "requests",
    "acceptedAt",
    "dueAt",
    "finishedAt",
    "notAfter",
    "beneficiaryProvider",
    "currency",
    "shrunkAt",
];

pub(super) async fn export(filter: JobFilter, store: &Store, output: &Output) -> Result<(), CommandError> {
    let filter = JobFilter { oldest_first: true, ..filter };
    let form = output.format();
    match form {
        Format::Table => output.write(&line(COLUMNS.map(str::to_owned))).map_err(stdout)?,
        Format::Json => output.write("{\"items\":[").map_err(stdout)?,
        Format::Jsonl => {}
    }
    let (mut after, mut is_first) = (None, true);
    loop {
        let page = store.jobs(filter.clone(), after, PART).await?;
        let mut text = String::new();
        for job in &page.items {
            match form {
                Format::Table => text.push_str(&row(job)?),
                Format::Json => {
                    text.push_str(if is_first { "\n" } else { ",\n" });
                    text.push_str(&json(job)?);
                }
                Format::Jsonl => {
                    text.push_str(&json(job)?);
                    text.push('\n');
                }
            }
            is_first = false;
        }
        output.write(&text).map_err(stdout)?;
        after = page.next;
        if after.is_none() || output.reader_left() {
            break;
        }
    }
    if form == Format::Json {
        output.write("\n],\"next\":null}\n").map_err(stdout)?;
    }
    Ok(())
}

fn json(job: &KnownJob) -> Result<String, CommandError> {
    serde_json::to_string(&JobView::new(job)).map_err(|error| stdout(error.into()))
}

fn row(job: &KnownJob) -> Result<String, CommandError> {
    let job = serde_json::to_value(JobView::new(job)).map_err(|error| stdout(error.into()))?;
    Ok(line(COLUMNS.map(|column| match (&job[column], column) {
        (_, "currency") => "IDR".to_owned(),
        (Value::String(text), _) => unarmed(text),
        // Money has its value in a member of its own.
        (Value::Object(money), _) => money["value"].as_str().unwrap_or_default().to_owned(),
        (Value::Null, _) => String::new(),
        (other, _) => other.to_string(),
    })))
}

/// A spreadsheet takes some texts for formulas; producers and providers are strangers.
fn unarmed(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

/// One line of CSV.
///
/// Source: RFC 4180, with a line feed at the end as Unix tools expect it.
fn line<const N: usize>(fields: [String; N]) -> String {
    fields.map(|field| quoted(&field)).join(",") + "\n"
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_field_is_quoted() {
        let fields = ["plain", "with, comma", "say \"no\"", "two\nlines", "\r", "", " blank "].map(str::to_owned);
        assert_eq!(line(fields), "plain,\"with, comma\",\"say \"\"no\"\"\",\"two\nlines\",\"\r\",, blank \n");
    }

    #[test]
    fn a_formula_is_text() {
        for text in ["=HYPERLINK(\"x\")", "+62", "-1", "@SUM(A1)"] {
            assert_eq!(unarmed(text), format!("'{text}"));
        }
        for text in ["78912343452347893", "6281*****7902", "a=b", ""] {
            assert_eq!(unarmed(text), text);
        }
    }
}
