//! `worker dlq groups`: what stands before a person, by face.

use std::collections::BTreeMap;

use outbox::{DeadLetterFace, DeadLetterGroup, Store, Total};
use serde::Serialize;
use snap_core::Timestamp;

use crate::cli::{DlqGroupsArgs, Group};
use crate::exit::CommandError;
use crate::ops::jobs::Rupiah;
use crate::ops::stdout;
use crate::output::{Cell, Column, Output, Table, Tone, age, rupiah};

pub(super) async fn groups(
    args: &DlqGroupsArgs,
    store: &Store,
    now: Timestamp,
    output: &Output,
) -> Result<(), CommandError> {
    let faces = by_face(store.dead_letter_groups(args.filter.at(now)).await?);
    let items: Vec<_> = faces.iter().map(FaceView::new).collect();
    output.list("dead letters", &items, None, || table(&faces, now)).map_err(stdout)
}

/// Dead letters with one face, whatever is known about their money.
struct Face {
    face: DeadLetterFace,
    parts: Vec<DeadLetterGroup>,
}

/// The most first, as the store gives them.
fn by_face(groups: Vec<DeadLetterGroup>) -> Vec<Face> {
    let mut faces: BTreeMap<DeadLetterFace, Vec<DeadLetterGroup>> = BTreeMap::new();
    for group in groups {
        faces.entry(group.face.clone()).or_default().push(group);
    }
    let mut faces: Vec<_> = faces.into_iter().map(|(face, parts)| Face { face, parts }).collect();
    faces.sort_by_key(|face| std::cmp::Reverse(face.count()));
    faces
}

impl Face {
    fn count(&self) -> u64 {
        self.parts.iter().map(|part| part.count).sum()
    }

    fn amount(&self) -> Total {
        self.parts.iter().fold(Total::default(), |sum, part| sum.plus(part.amount))
    }

    fn oldest(&self) -> Option<Timestamp> {
        self.parts.iter().map(|part| part.oldest).min()
    }

    fn newest(&self) -> Option<Timestamp> {
        self.parts.iter().map(|part| part.newest).max()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FaceView<'a> {
    /// What `--group` takes.
    group: String,
    reason: &'static str,
    response_code: Option<&'a str>,
    provider: Option<&'a str>,
    count: u64,
    amount: Rupiah,
    oldest_at: Option<String>,
    newest_at: Option<String>,
    money_states: Vec<MoneyView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MoneyView {
    money_state: &'static str,
    count: u64,
    amount: Rupiah,
}

impl<'a> FaceView<'a> {
    fn new(face: &'a Face) -> Self {
        let money = |part: &DeadLetterGroup| MoneyView {
            money_state: part.money_state.as_str(),
            count: part.count,
            amount: part.amount.into(),
        };
        Self {
            group: Group(face.face.clone()).to_string(),
            reason: face.face.reason.as_str(),
            response_code: face.face.response_code.as_deref(),
            provider: face.face.provider.as_deref(),
            count: face.count(),
            amount: face.amount().into(),
            oldest_at: face.oldest().map(Timestamp::to_rfc3339),
            newest_at: face.newest().map(Timestamp::to_rfc3339),
            money_states: face.parts.iter().map(money).collect(),
        }
    }
}

fn table(faces: &[Face], now: Timestamp) -> Table {
    let mut table = Table::new([
        Column::left("GROUP"),
        Column::right("COUNT"),
        Column::right("AMOUNT"),
        Column::right("OLDEST"),
        Column::right("NEWEST"),
        Column::left("MONEY"),
    ]);
    for face in faces {
        let ago = |at: Option<Timestamp>| at.map_or_else(String::new, |at| age(now.since(at)));
        let money = face.parts.iter().map(|part| {
            let tone = if part.money_state == engine::MoneyState::MaybeSent { Tone::Notice } else { Tone::Plain };
            Cell::toned(format!("{} {}", part.count, part.money_state.as_str()), tone)
        });
        table.row([
            Cell::new(Group(face.face.clone()).to_string()),
            Cell::new(face.count().to_string()),
            Cell::new(rupiah(face.amount().minor())),
            Cell::new(ago(face.oldest())),
            Cell::new(ago(face.newest())),
            money.reduce(Cell::below).unwrap_or_else(Cell::none),
        ]);
    }
    table
}
