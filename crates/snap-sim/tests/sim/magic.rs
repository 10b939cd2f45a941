//! The magic customer numbers at both personalities.

use std::time::Duration;

use snap_sim::Personality;

use crate::client::{BOTH, Client, Heard, client_of};
use crate::faults::eventually;

fn customer(number: u8) -> String {
    format!("62811000000{number:02}")
}

/// What a first top-up hears: a code, or one of `silence`, `rst`, `fin`, `endless`, `empty`, `none` (no code).
fn in_short(heard: &Heard) -> String {
    match heard {
        Heard::Silence(_) => "silence".into(),
        Heard::Reset => "rst".into(),
        Heard::Closed(_) => "fin".into(),
        Heard::TooMuch(_) => "endless".into(),
        Heard::Answer(answer) if answer.body.is_empty() => "empty".into(),
        Heard::Answer(answer) if matches!(answer.status, 502 | 504 | 307) && answer.code().is_empty() => {
            answer.status.to_string()
        }
        Heard::Answer(answer) if answer.code().is_empty() => "none".into(),
        Heard::Answer(answer) => answer.code(),
    }
}

async fn fast_client(by: Personality) -> Client {
    let mut client = client_of(by, |behaviour| {
        behaviour.late_commit = Duration::ZERO;
        behaviour.hang = Duration::from_secs(5);
    })
    .await;
    client.patience = Duration::from_millis(300);
    client
}

#[tokio::test]
async fn the_first_top_up_of_a_magic_number_meets_its_fault_and_the_second_does_not() {
    // Number, what is heard ("ok" is the personality's own success), credits after the first request.
    let table: &[(u8, &str, u64)] = &[
        (0, "ok", 1),
        (1, "silence", 1),
        (2, "silence", 0),
        (4, "fin", 1),
        (5, "rst", 1),
        (6, "rst", 0),
        (7, "fin", 1),
        (8, "fin", 0),
        (9, "fin", 1),
        (10, "2023800", 1),
        (11, "2023800", 0),
        (12, "2023800", 0),
        (13, "2023800", 0),
        (14, "2023800", 0),
        (15, "2023800", 0),
        (19, "ok", 1),
        (20, "4093800", 0),
        (21, "4093800", 1),
        (22, "4093801", 0),
        (23, "4093801", 1),
        (24, "4043818", 1),
        (25, "4013801", 0),
        (26, "4013800", 0),
        (28, "4013803", 0),
        (30, "4033814", 0),
        (31, "4033801", 0),
        (32, "4033819", 0),
        (33, "4033820", 0),
        (34, "4043808", 0),
        (35, "4043816", 0),
        (36, "4293800", 0),
        (37, "4293800", 0),
        (38, "4033804", 0),
        (39, "4033806", 0),
        (40, "502", 1),
        (41, "502", 0),
        (42, "5003800", 1),
        (43, "5003800", 0),
        (44, "5043800", 1),
        (45, "5043800", 0),
        (50, "ok", 1),
        (51, "4033815", 0),
        (52, "2003900", 1),
        (53, "ok", 1),
        (54, "ok", 1),
        (55, "2003877", 1),
        (56, "none", 1),
        (57, "empty", 1),
        (58, "none", 1),
        (59, "fin", 1),
        (60, "silence", 1),
        (61, "silence", 1),
        (62, "endless", 1),
        (63, "ok", 1),
        (64, "307", 0),
        (65, "endless", 1),
        (66, "2003900", 0),
        (67, "empty", 0),
        (68, "ok", 1),
        (69, "504", 0),
    ];
    for by in BOTH {
        let client = fast_client(by).await;
        let ok = if by == Personality::Finpay { "2003800" } else { "2023800" };
        for &(number, expected, credits) in table {
            let reference = format!("M-{number}");
            let heard = client.top_up(&reference, &customer(number)).await;
            let expected = if expected == "ok" { ok } else { expected };
            assert_eq!(in_short(&heard), expected, "{by:?} {number}: {heard:?}");
            assert_eq!(client.sim.credits_of(&reference), credits, "{by:?} {number}");
            let is_known = credits == 1 || (11..=15).contains(&number);
            let again = in_short(&client.top_up(&reference, &customer(number)).await);
            assert_eq!(again, if is_known { "4093801" } else { ok }, "{by:?} {number}");
        }
    }
}

#[tokio::test]
async fn a_number_that_always_refuses_does_so_every_time() {
    let table = [
        (27, "4013800"),
        (80, "4043811"),
        (81, "4033802"),
        (82, "4003801"),
        (83, "4003802"),
        (84, "4033803"),
        (85, "4223802"),
        (86, "4003800"),
    ];
    for by in BOTH {
        let client = fast_client(by).await;
        for (number, code) in table {
            for _ in 0..3 {
                assert_eq!(in_short(&client.top_up("M", &customer(number)).await), code);
            }
            assert_eq!(client.sim.credits_of("M"), 0);
        }
    }
}

#[tokio::test]
async fn number_3_commits_after_the_client_has_gone() {
    for by in BOTH {
        let client = fast_client(by).await;
        assert_eq!(in_short(&client.top_up("M", &customer(3)).await), "silence");
        eventually(async || client.sim.credits_of("M") == 1).await;
    }
}

#[tokio::test]
async fn numbers_show_in_the_inquiry() {
    let table = [
        (70, "4043711", "4043711"),
        (71, "4033705", "4033705"),
        (74, "5003700", "2003700"),
        (75, "silence", "2003700"),
        (76, "rst", "2003700"),
        (77, "4003700", "4003700"),
    ];
    for by in BOTH {
        let client = fast_client(by).await;
        for (number, first, second) in table {
            let reference = format!("M-{number}");
            assert_eq!(in_short(&client.inquiry(&reference, &customer(number)).await), first, "{by:?} {number}");
            assert_eq!(in_short(&client.inquiry(&reference, &customer(number)).await), second, "{by:?} {number}");
        }
        let out_of_range = client.inquiry("M-72", &customer(72)).await.answer();
        match by {
            Personality::Finpay => assert_eq!(out_of_range.json()["minAmount"]["value"], "10001.00"),
            Personality::Midtrans => assert_eq!(out_of_range.code(), "4033702"),
        }
        let without_fee = client.inquiry("M-73", &customer(73)).await.answer();
        assert!(without_fee.code() == "2003700" && without_fee.json().get("feeAmount").is_none());
    }
}

#[tokio::test]
async fn numbers_show_in_the_status_inquiry() {
    for by in BOTH {
        let client = fast_client(by).await;
        let digits = if by == Personality::Finpay { "39" } else { "36" };
        let code = |http: u16, case: u8| format!("{http}{digits}{case:02}");
        for number in 90..=99 {
            let reference = format!("M-{number}");
            assert_eq!(in_short(&client.top_up(&reference, &customer(number)).await), "fin", "{number}");
            assert_eq!(client.sim.credits_of(&reference), 1);
        }
        let status = async |number: u8| client.status(&format!("M-{number}")).await;
        assert_eq!(status(90).await.answer().json()["amount"]["value"], "10001.00");
        assert_eq!(status(91).await.answer().json()["originalPartnerReferenceNo"], "M-97");
        for (number, first, times) in
            [(92, code(500, 0), 2), (93, "silence".into(), 1), (95, code(401, 1), 1), (96, code(404, 0), 2)]
        {
            for _ in 0..times {
                assert_eq!(in_short(&status(number).await), first);
            }
            assert_eq!(client.latest(&format!("M-{number}")).await, "00");
        }
        assert_eq!(
            [client.latest("M-94").await, client.latest("M-94").await, client.latest("M-94").await],
            ["02", "02", "00"]
        );
        let twice = async |number: u8| [status(number).await.answer(), status(number).await.answer()];
        for answer in twice(97).await {
            assert_eq!(
                (answer.code(), answer.json()["originalPartnerReferenceNo"].clone()),
                (code(202, 0), "M-97".into())
            );
        }
        for answer in twice(98).await {
            assert_eq!(answer.code(), code(200, 0));
            assert_eq!(answer.json().get("latestTransactionStatus"), None);
        }
        assert_eq!([client.latest("M-97").await, client.latest("M-98").await], ["00", "00"]);
        assert_eq!(status(99).await.answer().code(), code(202, 0));
        for _ in 0..3 {
            assert_eq!(client.latest("M-99").await, "07");
        }
    }
}

#[tokio::test]
async fn magic_can_be_switched_off() {
    let client = client_of(Personality::Finpay, |behaviour| behaviour.magic_numbers = false).await;
    assert_eq!(in_short(&client.top_up("M", &customer(80)).await), "2003800");
}
