//! M14: to whom an attempt was sent, and what is in doubt at which account.

use engine::Account;

use super::*;

const A: Account = Account::from_bytes(*b"accountA");
const B: Account = Account::from_bytes(*b"accountB");

fn at(account: Option<Account>, money: MoneyState, job: Job) -> Job {
    Job { evidence: Evidence { account, money, ..job.evidence }, ..job }
}

fn name(digest: Account, base_url: &str) -> AccountName {
    AccountName {
        digest,
        provider: "finpay".to_owned(),
        profile: "finpay".to_owned(),
        base_url: base_url.to_owned(),
        partner_id: "P-1".to_owned(),
        first_seen: t(5),
        left_at: None,
    }
}

#[tokio::test]
async fn m14_an_attempt_that_moves_money_names_the_account_it_was_sent_to() {
    let fixture = Fixture::new();
    let job = fixture.driven("a-1").await;
    let inquiry = NewAttempt { service: Service::AccountInquiry, end: Some(end(1)), ..attempt(1) };
    let mut record = Record { job: at(Some(A), MoneyState::MaybeSent, sending()), ..intent(&job, 2) };
    record.attempts.insert(0, inquiry);
    fixture.store.record(record).await.unwrap();
    let job = fixture.job("a-1").await;
    let again = Record { job: at(Some(B), MoneyState::MaybeSent, sending()), ..intent(&job, 3) };
    fixture.store.record(again).await.unwrap();
    let attempts = fixture.timeline("a-1").await.attempts;
    let accounts: Vec<_> = attempts.iter().map(|attempt| attempt.account).collect();
    assert_eq!(accounts, [None, Some(A), Some(B)], "an inquiry moves no money");
    let old = fixture.driven("a-2").await;
    fixture.store.record(intent(&old, 4)).await.unwrap();
    assert_eq!(fixture.timeline("a-2").await.attempts[0].account, None, "of before accounts were recorded");
}

#[tokio::test]
async fn m14_accounts_are_noted_once_and_keep_their_first_name() {
    let fixture = Fixture::new();
    fixture.store.note_accounts(vec![name(A, "https://a.example.test")], t(6)).await.unwrap();
    let commits = || count(&fixture.path(), "SELECT commit_seq FROM meta");
    let before = commits();
    fixture.store.note_accounts(vec![name(A, "https://other.example.test")], t(7)).await.unwrap();
    assert_eq!(commits(), before, "a start like the last one writes nothing");
    fixture
        .store
        .note_accounts(vec![name(A, "https://a.example.test"), name(B, "https://b.example.test")], t(8))
        .await
        .unwrap();
    let noted = fixture.store.accounts().await.unwrap();
    assert_eq!(noted, [name(A, "https://a.example.test"), name(B, "https://b.example.test")]);
}

#[tokio::test]
async fn m14_an_account_that_the_section_names_no_more_was_in_use_until_the_start_that_noticed() {
    let fixture = Fixture::new();
    let (a, b) = (name(A, "https://a.example.test"), name(B, "https://b.example.test"));
    fixture.store.note_accounts(vec![a.clone()], t(6)).await.unwrap();
    fixture.store.note_accounts(vec![b.clone()], t(9)).await.unwrap();
    let noted = fixture.store.accounts().await.unwrap();
    assert_eq!(noted, [AccountName { left_at: Some(t(9)), ..a.clone() }, b.clone()]);
    assert!(noted[0].may_have_served("finpay", t(8)) && !noted[0].may_have_served("finpay", t(9)));
    assert!(!noted[0].may_have_served("midtrans", t(8)), "of another provider");
    fixture.store.note_accounts(vec![a.clone()], t(12)).await.unwrap();
    let back = fixture.store.accounts().await.unwrap();
    assert_eq!(back, [a, AccountName { left_at: Some(t(12)), ..b }], "it is in use again");
}

#[tokio::test]
async fn m14_of_accounts_that_another_store_knows_the_latest_use_counts() {
    let fixture = Fixture::new();
    let left = |at| AccountName { left_at: at, ..name(A, "https://a.example.test") };
    fixture.store.note_accounts(vec![name(B, "https://b.example.test")], t(5)).await.unwrap();
    for (told, known) in [
        (Some(t(7)), Some(t(7))),
        (Some(t(6)), Some(t(7))),
        (Some(t(8)), Some(t(8))),
        (None, None),
        (Some(t(99)), None),
    ] {
        fixture.store.learn_accounts(vec![left(told)]).await.unwrap();
        assert_eq!(fixture.store.accounts().await.unwrap()[0].left_at, known, "{told:?}");
    }
    fixture.store.learn_accounts(vec![AccountName::unknown(t(9))]).await.unwrap();
    let all = fixture.store.accounts().await.unwrap();
    assert!(all[2].is_unknown() && all[2].may_have_served("any", t(1_000)));
}

#[tokio::test]
async fn m14_what_is_in_doubt_is_added_up_by_provider_and_account() {
    let fixture = Fixture::new();
    assert_eq!(fixture.store.open_doubts().await.unwrap(), []);
    let states = [
        ("d-1", Some(A), MoneyState::MaybeSent, unconfirmed(t(9))),
        ("d-2", Some(A), MoneyState::MaybeSent, engine_job(State::Dead { reason: DeadReason::Unresolved })),
        ("d-3", Some(B), MoneyState::MaybeSent, unconfirmed(t(9))),
        ("d-4", None, MoneyState::MaybeSent, unconfirmed(t(9))),
        // None of these is open.
        ("d-5", Some(A), MoneyState::ProvenUnpaid, engine_job(State::Dead { reason: DeadReason::RetriesExhausted })),
        ("d-6", Some(A), MoneyState::ProvenPaid, engine_job(State::Succeeded)),
        ("d-7", Some(A), MoneyState::ProvenUnpaid, ready()),
    ];
    for (key, account, money, state) in states {
        let job = fixture.driven(key).await;
        let dead = matches!(state.state, State::Dead { .. });
        let like = if dead {
            death(&job, &format!("dl-{key}"))
        } else {
            Record::new(job.id, job.version, job.job.clone(), t(1))
        };
        fixture.store.record(Record { job: at(account, money, state), ..like }).await.unwrap();
    }
    let doubts = fixture.store.open_doubts().await.unwrap();
    let found: Vec<_> = doubts.iter().map(|doubt| (doubt.account, doubt.count, doubt.amount.whole())).collect();
    assert_eq!(found, [(None, 1, 10_000), (Some(A), 2, 20_000), (Some(B), 1, 10_000)]);
    assert!(doubts.iter().all(|doubt| doubt.provider == "finpay"));
}
