use insta::assert_snapshot;
use serde_json::json;

use super::*;
use crate::cli::{AuditExportArgs, AuditFilterArgs, Format};
use crate::ops::fixture::{self, Filled, NOW, START};

async fn trail() -> Filled {
    let filled = fixture::empty();
    for (n, by, action, subject, reason) in [
        (0, "sari", "provider_pause", "finpay", "maintenance tonight, INC-123"),
        (1, "budi", "provider_resume", "finpay", "maintenance is over"),
        (
            2,
            "sari",
            "dlq_discard",
            fixture::UNRESOLVED,
            "the provider settled it by hand, see INC-124 and its long story",
        ),
    ] {
        let entry = outbox::NewAudit {
            at: START.plus(std::time::Duration::from_secs(n * 3_600)),
            by: by.to_owned(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            reason: reason.to_owned(),
            detail: json!({ "host": "ops-1", "uid": 1000 }),
        };
        filled.store.audit_append(entry).await.unwrap();
    }
    filled
}

async fn asked(filled: &Filled, command: AuditCommand, format: Format) -> (Exit, String, String) {
    let output = Output::captured(format);
    let exit = run(&command, &filled.store, None, NOW, &output).await.unwrap();
    if format == Format::Table && !matches!(command, AuditCommand::Export(_)) {
        assert!(output.written().lines().all(|line| line.chars().count() <= 100), "{}", output.written());
    }
    (exit, output.written(), output.said())
}

#[tokio::test]
async fn the_trail_is_a_table_and_json() {
    let filled = trail().await;
    let list = || AuditCommand::List(AuditListArgs::default());
    assert_snapshot!("list_table", asked(&filled, list(), Format::Table).await.1);
    assert_snapshot!("list_json", asked(&filled, list(), Format::Json).await.1);
    let filter = AuditFilterArgs { by: Some("budi".to_owned()), ..AuditFilterArgs::default() };
    let by = AuditCommand::List(AuditListArgs { filter, ..AuditListArgs::default() });
    assert_eq!(asked(&filled, by, Format::Jsonl).await.1.lines().count(), 1);
}

#[tokio::test]
async fn pages_of_the_trail_follow_each_other() {
    let filled = trail().await;
    let page = crate::cli::Page { limit: 2, after: None };
    let json =
        asked(&filled, AuditCommand::List(AuditListArgs { page, ..AuditListArgs::default() }), Format::Json).await;
    let first: Value = serde_json::from_str(&json.1).unwrap();
    assert_eq!((&first["items"][0]["seq"], &first["next"]), (&json!(3), &json!("2")));
    let page = crate::cli::Page { limit: 2, after: Some("2".to_owned()) };
    let json =
        asked(&filled, AuditCommand::List(AuditListArgs { page, ..AuditListArgs::default() }), Format::Json).await;
    let second: Value = serde_json::from_str(&json.1).unwrap();
    assert_eq!((&second["items"][0]["seq"], &second["next"]), (&json!(1), &Value::Null));
}

#[tokio::test]
async fn the_export_is_json_lines_from_the_first_row_on_whatever_the_form() {
    let filled = trail().await;
    for format in [Format::Table, Format::Json, Format::Jsonl] {
        let (_, lines, _) = asked(&filled, AuditCommand::Export(AuditExportArgs::default()), format).await;
        let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(rows.iter().map(|row| row["seq"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(
            (&rows[0]["reason"], &rows[0]["detail"]["host"]),
            (&json!("maintenance tonight, INC-123"), &json!("ops-1"))
        );
    }
}

#[tokio::test]
async fn a_sound_trail_gives_its_head_and_knows_an_earlier_one() {
    let filled = trail().await;
    let (exit, json, _) = asked(&filled, AuditCommand::Verify(AuditVerifyArgs::default()), Format::Json).await;
    let verdict: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((exit, &verdict["sound"], &verdict["rows"]), (Exit::Done, &json!(true), &json!(3)));
    let rows = filled.store.audit_rows(0, 9).await.unwrap();
    assert_eq!(verdict["head"], format!("3:{}", rows[2].hash));
    let kept = |row, hash: &str| AuditCommand::Verify(AuditVerifyArgs { head: Some((row, hash.to_owned())) });
    assert_eq!(asked(&filled, kept(2, &rows[1].hash), Format::Table).await.0, Exit::Done);
    // A whole chain that was computed anew is sound in itself; the head that was kept is not in it.
    for (row, hash) in [(2, &rows[0].hash), (4, &rows[2].hash)] {
        assert_eq!(asked(&filled, kept(row, hash), Format::Table).await.0, Exit::Unexpected);
    }
}

#[tokio::test]
async fn a_tampered_row_is_found() {
    let filled = trail().await;
    filled.store.close().await;
    let mut file = std::fs::read(&filled.path).unwrap();
    let (from, to) = (b"maintenance is over", b"maintenance was off");
    let at = file.windows(from.len()).position(|window| window == from).expect("the row is in the file");
    file[at..at + to.len()].copy_from_slice(to);
    std::fs::write(&filled.path, file).unwrap();
    let options = outbox::OpenOptions { read_only: true, create: false, ..outbox::OpenOptions::default() };
    let opened = Store::open(&filled.path, NOW, &options).unwrap();
    let output = Output::captured(Format::Table);
    let exit = run(&AuditCommand::Verify(AuditVerifyArgs::default()), &opened.store, None, NOW, &output).await.unwrap();
    assert_eq!(exit, Exit::Unexpected);
    assert_snapshot!("verify_tampered_table", output.written());
    assert!(output.said().starts_with("hint: "), "{}", output.said());
    opened.store.close().await;
}
