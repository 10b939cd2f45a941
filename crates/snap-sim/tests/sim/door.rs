//! Headers, token, signature, clock and external id.

use std::time::Duration;

use snap_sim::Personality;

use crate::client::{BOTH, CUSTOMER, Client, Draft, TOKEN_BODY, client, client_of, timestamp};

/// Code and message of the answer to a changed top-up in order.
async fn refused(client: &Client, change: impl FnOnce(Draft) -> Draft) -> (String, String) {
    let answer = client.send(&change(client.top_up_draft("R-1", CUSTOMER))).await.answer();
    assert_eq!(answer.code()[..3], answer.status.to_string());
    assert_eq!(client.sim.credits_of("R-1"), 0, "a refused request paid");
    (answer.code(), answer.message())
}

#[tokio::test]
async fn a_request_in_order_comes_in() {
    for by in BOTH {
        let client = client(by).await;
        let answer = client.top_up("R-1", CUSTOMER).await.answer();
        let expected = if by == Personality::Finpay { "2003800" } else { "2023800" };
        assert_eq!(answer.code(), expected);
        assert_eq!(answer.header("x-timestamp").unwrap().len(), 25);
        assert_eq!(client.sim.verdict().refused, 0);
    }
}

#[tokio::test]
async fn every_mandatory_header_is_missed_by_name() {
    for by in BOTH {
        let client = client(by).await;
        for name in ["Content-Type", "X-TIMESTAMP", "X-SIGNATURE", "X-PARTNER-ID", "X-EXTERNAL-ID", "CHANNEL-ID"] {
            let (code, message) = refused(&client, |draft| draft.without(name)).await;
            assert_eq!(code, "4003802", "{name}");
            assert_eq!(message, format!("Invalid Mandatory Field {name}"));
        }
        let (code, _) = refused(&client, |draft| draft.without("Authorization")).await;
        assert_eq!(code, "4013803");
    }
}

#[tokio::test]
async fn only_finpay_asks_for_an_origin() {
    let finpay = client(Personality::Finpay).await;
    let (code, message) = refused(&finpay, |draft| draft.without("ORIGIN")).await;
    assert_eq!((code.as_str(), message.as_str()), ("4003802", "Invalid Mandatory Field ORIGIN"));
}

#[tokio::test]
async fn headers_of_the_wrong_form_are_refused_by_name() {
    for by in BOTH {
        let client = client(by).await;
        let too_long = "1".repeat(if by == Personality::Finpay { 33 } else { 37 });
        let wrong = [
            ("Content-Type", "text/plain"),
            ("X-TIMESTAMP", "2024-05-01T10:20:30Z"),
            ("X-TIMESTAMP", "2024-05-01T10:20:30.123+07:00"),
            ("X-EXTERNAL-ID", "12a"),
            ("X-EXTERNAL-ID", &too_long),
            ("CHANNEL-ID", "952211"),
            ("X-PARTNER-ID", "1234567890123456789012345678901234567"),
        ];
        for (name, value) in wrong {
            let (code, message) = refused(&client, |draft| draft.with(name, value)).await;
            assert_eq!(code, "4003801", "{name}: {value}");
            assert_eq!(message, format!("Invalid Field Format {name}"));
        }
        let longest = "1".repeat(too_long.len() - 1);
        let draft = client.top_up_draft("R-2", CUSTOMER).with("X-EXTERNAL-ID", &longest);
        assert!(client.send(&draft).await.answer().code().starts_with("20"));
    }
}

#[tokio::test]
async fn unknown_partners_and_channels_are_refused() {
    for by in BOTH {
        let client = client(by).await;
        assert_eq!(refused(&client, |draft| draft.with("X-PARTNER-ID", "somebody")).await.0, "4043816");
        assert_eq!(refused(&client, |draft| draft.with("CHANNEL-ID", "11111")).await.0, "4013800");
    }
}

#[tokio::test]
async fn a_wrong_signature_is_unauthorized() {
    for by in BOTH {
        let client = client(by).await;
        let wrong_secret = |draft: Draft| Draft { secret: "another".into(), ..draft };
        assert_eq!(refused(&client, wrong_secret).await.0, "4013800");
        // Signed over the path without the mount, over another body, with another time than the header's.
        let path = client.path("emoney/topup");
        let draft = client.top_up_draft("R-1", CUSTOMER);
        let other_body = client.top_up_draft("R-9", CUSTOMER);
        let signature_of = |path: &str, body: &[u8], timestamp: &str| {
            snap_core::SymmetricKey::new(draft.secret.as_bytes()).sign_transaction(
                "POST",
                path,
                &draft.token,
                body,
                timestamp,
            )
        };
        for signature in [
            signature_of("/v1.0/emoney/topup", &draft.body, &draft.timestamp),
            signature_of(&path, &other_body.body, &draft.timestamp),
            signature_of(&path, &draft.body, &timestamp(-2)),
            "not base64".to_owned(),
        ] {
            let answer = client.send(&draft.clone().with("X-SIGNATURE", &signature)).await.answer();
            assert_eq!(answer.code(), "4013800");
        }
        // A refusal at the door does not use the external id up.
        let right = signature_of(&path, &draft.body, &draft.timestamp);
        assert!(client.send(&draft.with("X-SIGNATURE", &right)).await.answer().code().starts_with("20"));
    }
}

#[tokio::test]
async fn a_clock_may_be_off_by_five_minutes() {
    for by in BOTH {
        let client = client(by).await;
        for offset in [-310, 310] {
            assert_eq!(refused(&client, |draft| Draft { timestamp: timestamp(offset), ..draft }).await.0, "4013800");
        }
        for (reference, offset) in [("R-2", -290), ("R-3", 290)] {
            let draft = Draft { timestamp: timestamp(offset), ..client.top_up_draft(reference, CUSTOMER) };
            assert!(client.send(&draft).await.answer().code().starts_with("20"));
        }
        client.sim.configure(|behaviour| behaviour.clock_ahead_ms = 400_000).unwrap();
        assert_eq!(refused(&client, |draft| draft).await.0, "4013800");
    }
}

#[tokio::test]
async fn an_external_id_is_good_once() {
    for by in BOTH {
        let client = client(by).await;
        let id = "00000000000000000000000000000777";
        let first = client.send(&client.status_draft("R-1").with("X-EXTERNAL-ID", id)).await.answer();
        assert_ne!(first.status, 409);
        assert_eq!(refused(&client, |draft| draft.with("X-EXTERNAL-ID", id)).await.0, "4093800");
    }
}

#[tokio::test]
async fn a_token_is_good_for_its_lifetime_and_its_mount() {
    for by in BOTH {
        let mut client = client_of(by, |behaviour| behaviour.token_lifetime = Duration::from_secs(100)).await;
        assert_eq!(refused(&client, |draft| draft.with("Authorization", "Bearer unknown")).await.0, "4013801");
        assert_eq!(refused(&client, |draft| draft.with("Authorization", "Basic x")).await.0, "4013801");
        client.sim.configure(|behaviour| behaviour.clock_ahead_ms = 101_000).unwrap();
        assert_eq!(refused(&client, |draft| draft).await.0, "4013801");
        client.renew_token().await;
        client.sim.revoke_tokens();
        assert_eq!(refused(&client, |draft| draft).await.0, "4013801");
        client.renew_token().await;
        // The other mount does not know it.
        let other = if by == Personality::Finpay { BOTH[1] } else { BOTH[0] };
        let mut draft = client.top_up_draft("R-1", CUSTOMER).with("ORIGIN", "x");
        draft.path = format!("/{}/v1.0/emoney/topup", other.as_str());
        assert_eq!(client.send(&draft).await.answer().code(), "4013801");
        assert!(client.top_up("R-1", CUSTOMER).await.answer().code().starts_with("20"));
    }
}

#[tokio::test]
async fn a_token_request_is_checked_like_any_other() {
    for by in BOTH {
        let client = client(by).await;
        let code = async |key: &str, at: &str, body: &str| {
            client.token_request_with(key, at, body, |_| {}).await.answer().code()
        };
        let now = timestamp(0);
        assert_eq!(code("test-client-key", &now, TOKEN_BODY).await, "2007300");
        assert_eq!(code("somebody", &now, TOKEN_BODY).await, "4017300");
        assert_eq!(code("test-client-key", &timestamp(-400), TOKEN_BODY).await, "4017300");
        assert_eq!(code("test-client-key", "2024-05-01T10:20:30Z", TOKEN_BODY).await, "4007301");
        assert_eq!(code("test-client-key", &now, "{}").await, "4007302");
        assert_eq!(code("test-client-key", &now, r#"{"grantType":"x"}"#).await, "4007301");
        assert_eq!(code("test-client-key", &now, "no json").await, "4007300");
        for name in ["Content-Type", "X-CLIENT-KEY", "X-TIMESTAMP", "X-SIGNATURE"] {
            let answer = client.token_request(|headers| headers.retain(|(key, _)| *key != name)).await.answer();
            assert_eq!(
                (answer.code(), answer.message()),
                ("4007302".into(), format!("Invalid Mandatory Field {name}"))
            );
        }
        let forged = |headers: &mut Vec<(&'static str, String)>| headers[3].1 = "AAAA".into();
        assert_eq!(client.token_request(forged).await.answer().code(), "4017300");
    }
}

#[tokio::test]
async fn expires_in_comes_as_text_or_as_number() {
    let client =
        client_of(Personality::Midtrans, |behaviour| behaviour.token_lifetime = Duration::from_millis(1500)).await;
    assert_eq!(client.token_request(|_| {}).await.answer().json()["expiresIn"], "2");
    client.sim.configure(|behaviour| behaviour.expires_in_number = true).unwrap();
    let answer = client.token_request(|_| {}).await.answer().json();
    assert_eq!(answer["expiresIn"], 2);
    assert_eq!(answer["tokenType"], "Bearer");
}
