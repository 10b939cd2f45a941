use super::*;

const X: Account = Account::from_bytes(*b"accountX");
const Y: Account = Account::from_bytes(*b"accountY");

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn noted(provider: &str, digest: Account, left_at: Option<i64>) -> AccountName {
    AccountName {
        digest,
        provider: provider.to_owned(),
        profile: "finpay".to_owned(),
        base_url: format!("https://{digest}.example.test"),
        partner_id: "P-1".to_owned(),
        first_seen: at(1),
        left_at: left_at.map(at),
    }
}

fn others(noted: &[AccountName], since: i64) -> Vec<String> {
    let named = [("finpay".to_owned(), X), ("midtrans".to_owned(), Y)];
    others_were_used(noted, &named, at(since)).into_iter().collect()
}

#[test]
fn m14_another_account_counts_while_it_may_have_been_in_use() {
    let ours = [noted("finpay", X, None), noted("midtrans", Y, None)];
    assert_eq!(others(&ours, 0), [""; 0], "each has its own");
    let changed = [ours[0].clone(), ours[1].clone(), noted("finpay", Y, Some(50))];
    assert_eq!(others(&changed, 49), ["finpay"], "in use until 50");
    assert_eq!(others(&changed, 50), [""; 0], "what is forgotten is later than that");
    let still = [noted("finpay", Y, None)];
    assert_eq!(others(&still, 1_000), ["finpay"], "nobody says that it is not");
    assert_eq!(others(&[noted("finpay-old", Y, None)], 0), [""; 0], "another provider's jobs went there");
    assert_eq!(others(&[AccountName::unknown(at(5))], 1_000), ["finpay", "midtrans"], "nobody knows");
}

#[test]
fn m14_a_witness_tells_of_no_more_accounts_than_it_can_carry_and_says_that_there_were_more() {
    let many = |count: u8| -> Vec<AccountName> {
        (0..count).map(|n| noted("finpay", Account::from_bytes([n; 8]), Some(i64::from(n)))).collect()
    };
    assert_eq!(told(many(64), at(9)), many(64));
    let cut = told(many(65), at(9));
    assert_eq!((cut.len(), &cut[..63]), (64, &many(65)[2..]));
    assert!(cut[63].is_unknown());
}
