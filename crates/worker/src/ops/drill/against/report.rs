//! What a sandbox's answers say about its profile.

use serde::Serialize;

use crate::output::{Cell, Column, Table, Tone};

/// Whether the profile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Holds {
    /// As the profile says.
    Yes,
    /// Otherwise.
    No,
    /// It cannot be seen from outside.
    Unclear,
    /// Good to know; no profile says anything about it.
    Told,
}

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Item {
    pub(super) question: &'static str,
    pub(super) result: Holds,
    pub(super) detail: String,
    pub(super) hint: Option<&'static str>,
}

impl Item {
    pub(super) fn new(question: &'static str, result: Holds, detail: impl Into<String>) -> Self {
        Self { question, result, detail: detail.into(), hint: None }
    }

    pub(super) fn hint(self, hint: &'static str) -> Self {
        Self { hint: Some(hint), ..self }
    }
}

pub(super) fn table(items: &[Item]) -> Table {
    let mut table = Table::new([Column::left("QUESTION"), Column::left(""), Column::left("ANSWER")]);
    for item in items {
        let (word, tone) = match item.result {
            Holds::Yes => ("holds", Tone::Good),
            Holds::No => ("DIFFERS", Tone::Bad),
            Holds::Unclear => ("unclear", Tone::Notice),
            Holds::Told => ("", Tone::Plain),
        };
        let answer = Cell::new(&item.detail);
        let answer = match item.hint {
            Some(hint) => answer.below(Cell::new(format!("hint: {hint}"))),
            None => answer,
        };
        table.row([Cell::new(item.question), Cell::toned(word, tone), answer]);
    }
    table
}
