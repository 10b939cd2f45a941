//! A request that must not leave any more when its connection is there (M16).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{NOW, Server, TOPUP_BODY, top_up};
use snap_client::{By, ClientConfig, Fuse, NotSentReason, Payload, Reply, SnapClient, Token, Way};
use snap_core::{ExternalId, Service};
use tokio::net::TcpListener;

async fn fused(client: &SnapClient, token: &Token, number: u64, fuse: Fuse<'_>) -> Reply {
    let id = ExternalId::new(NOW, number);
    let payload = Payload::new(TOPUP_BODY.as_bytes());
    client.call_by(token, Service::TopUp, &id, payload, NOW, Way { by: By::Any, fuse }).await.0
}

#[tokio::test]
async fn m16_what_must_not_leave_any_more_does_not_on_a_new_connection_nor_on_a_kept_one() {
    let server = Server::start().await;
    let (client, token) = server.client().await;
    let stale = || Some("its intent is 12000 ms old".to_owned());
    for kept in [false, true] {
        let before = server.transactions().len();
        match fused(&client, &token, 1, &stale).await {
            Reply::NotSent { why: NotSentReason::Stale, detail, .. } => {
                assert_eq!(detail, "its intent is 12000 ms old")
            }
            other => panic!("it was let out: {other:?}"),
        }
        assert_eq!(server.transactions().len(), before, "not a byte of it arrived, kept: {kept}");
        // What is good leaves, and its connection is kept for the next round.
        assert!(matches!(fused(&client, &token, 2, &|| None).await, Reply::Answered(_)));
    }
    assert!(matches!(top_up(&client, &token, 3).await, Reply::Answered(_)));
}

#[tokio::test]
async fn m16_the_fuse_is_looked_at_when_the_connection_is_there_and_not_before() {
    let server = Server::start().await;
    let (client, token) = server.client().await;
    let (looks, accepted) = (AtomicUsize::new(0), server.accepted());
    let look = || {
        looks.fetch_add(1, Ordering::SeqCst);
        None
    };
    assert!(matches!(fused(&client, &token, 1, &look).await, Reply::Answered(_)));
    assert_eq!((looks.load(Ordering::SeqCst), server.accepted()), (1, accepted + 1));

    // Nobody takes the connection: there is nothing to hold back.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let config = ClientConfig { connect_timeout: Duration::from_millis(200), ..server.config() };
    let gone = SnapClient::new(ClientConfig { base_url: format!("http://127.0.0.1:{port}"), ..config }).unwrap();
    let reply = fused(&gone, &token, 2, &look).await;
    assert!(matches!(reply, Reply::NotSent { why: NotSentReason::Connect, .. }), "{reply:?}");
    assert_eq!(looks.load(Ordering::SeqCst), 1);
}
