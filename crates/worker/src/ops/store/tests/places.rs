//! Where the store goes on, and what is told of it.

use super::*;
use crate::cli::StoreAdoptArgs;
use crate::custody::{Mark, Note};

fn adopt(dry_run: bool) -> StoreCommand {
    StoreCommand::Adopt(StoreAdoptArgs { published_since: None, act: ActArgs { dry_run, ..acting() } })
}

async fn was_custodian(filled: &Filled) {
    let mark = Mark::new("0123456789abcdef", fixture::START, fixture::START).to_string();
    let note = Note { namespace: "topup".to_owned(), mark, ..Note::default() };
    filled.store.note_custody(note.text()).await.unwrap();
}

#[tokio::test]
async fn m13_c1_a_store_goes_on_without_its_broker_by_an_operators_word_and_asks_first() {
    let filled = fixture::filled().await;
    was_custodian(&filled).await;
    let (ended, json, said) = done(&filled, adopt(true), Format::Json).await;
    ended.unwrap();
    let dry: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&dry["namespace"], &dry["leaves"], &dry["changed"]), (&Value::Null, &"topup".into(), &false.into()));
    assert!(
        said.contains("belongs to namespace topup since 2026-11-22 10:00:00, and is to go on without a broker"),
        "{said}"
    );
    assert!(said.contains("are asked about before anything is sent"), "{said}");
    assert_eq!(filled.store.reconcile().await.unwrap(), None);

    let (ended, json, _) = done(&filled, adopt(false), Format::Json).await;
    ended.unwrap();
    let told: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&told["changed"], &told["marked"]), (&true.into(), &dry["marked"]), "{told}");
    let mark = filled.store.reconcile().await.unwrap().unwrap();
    assert_eq!(mark.reason, "the store left namespace topup, and goes on without a broker");
    assert_eq!(mark.known_until, filled.store.known_until(None).await.unwrap());
    assert!(
        mark.since > NOW.plus(std::time::Duration::from_secs(65)),
        "what another one has under way ends before that"
    );
    let rows = filled.store.audit_rows(0, 9).await.unwrap();
    assert_eq!((rows.len(), rows[0].entry.action.as_str()), (1, "store_adopt"));
    assert_eq!(rows[0].entry.detail["leaves"], "topup");

    // There is nothing left to say.
    let (ended, _, _) = done(&filled, adopt(false), Format::Json).await;
    assert_eq!(ended.unwrap_err().exit(), Exit::Usage);
}

#[tokio::test]
async fn m13_c1_info_tells_of_a_namespace_that_the_configuration_does_not_name() {
    let filled = fixture::filled().await;
    was_custodian(&filled).await;
    let (ended, json, _) = done(&filled, StoreCommand::Info, Format::Json).await;
    ended.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["belongsTo"], "topup");
    let (_, text, _) = done(&filled, StoreCommand::Info, Format::Table).await;
    assert!(text.contains("topup; the configuration names no broker, and `worker run` refuses it"), "{text}");
}

#[tokio::test]
async fn info_of_an_empty_store_claims_nothing() {
    let (_, text, _) = done(&fixture::empty(), StoreCommand::Info, Format::Table).await;
    assert!(text.contains("no: it has no jobs") && text.contains("0 jobs, 0 dead letters, 0 audit rows"), "{text}");
    let (_, text, _) = done(&restored().await, StoreCommand::Info, Format::Table).await;
    assert!(text.contains("1 audit row\n"), "{text}");
}
