//! Starting, stopping, closing the port for a while.

use snap_sim::{Credentials, Mount, Personality, SimConfig, SimError, Simulator};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::client::{CUSTOMER, Heard, client, client_with, hear};

#[tokio::test]
async fn a_single_mount_answers_at_the_root_too() {
    let client = client_with(Personality::Finpay, SimConfig::single(Personality::Finpay)).await;
    assert_eq!(client.sim.base_url("finpay"), format!("http://{}", client.sim.addr()));
    let mut draft = client.top_up_draft("R-1", CUSTOMER);
    draft.path = "/v1.0/emoney/topup".into();
    assert_eq!(client.send(&draft).await.answer().code(), "2003800");
    assert_eq!(client.top_up("R-2", CUSTOMER).await.answer().code(), "2003800");
}

#[tokio::test]
async fn two_mounts_of_one_personality_keep_their_own_books() {
    let second = Mount {
        name: "second".into(),
        credentials: Credentials { partner_id: "other".into(), ..Credentials::throwaway() },
        ..Mount::new(Personality::Finpay)
    };
    let config = SimConfig { mounts: vec![Mount::new(Personality::Finpay), second], ..SimConfig::default() };
    let client = client_with(Personality::Finpay, config).await;
    assert_eq!(client.sim.base_url("second"), format!("http://{}/second", client.sim.addr()));
    assert_eq!(client.sim.credentials("second").map(|known| known.partner_id.as_str()), Some("other"));
    assert_eq!(client.top_up("R-1", CUSTOMER).await.answer().code(), "2003800");
    assert_eq!(client.sim.reference("R-1").len(), 1);
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request() {
    let client = client(Personality::Finpay).await;
    let mut stream = TcpStream::connect(client.sim.addr()).await.unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET /_sim/magic HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert_eq!(hear(&mut stream, client.patience).await.answer().status, 200);
    }
}

#[tokio::test]
async fn a_closed_port_refuses_and_opens_again_with_its_ledger() {
    let client = client(Personality::Finpay).await;
    client.top_up("R-1", CUSTOMER).await.answer();
    let mut idle = TcpStream::connect(client.sim.addr()).await.unwrap();
    client.sim.pause_listening().await;
    client.sim.pause_listening().await;
    assert!(TcpStream::connect(client.sim.addr()).await.is_err());
    assert!(matches!(hear(&mut idle, client.patience).await, Heard::Closed(_) | Heard::Reset));
    client.sim.resume_listening().await.unwrap();
    client.sim.resume_listening().await.unwrap();
    assert_eq!(client.top_up("R-1", CUSTOMER).await.answer().code(), "4093801");
}

#[tokio::test]
async fn a_simulator_stops_when_it_is_shut_down_or_dropped() {
    for drops in [false, true] {
        let sim = Simulator::start(SimConfig::default(), "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let addr = sim.addr();
        assert!(TcpStream::connect(addr).await.is_ok());
        if drops {
            drop(sim);
            crate::faults::eventually(async || TcpStream::connect(addr).await.is_err()).await;
        } else {
            sim.shutdown().await;
            assert!(TcpStream::connect(addr).await.is_err());
        }
    }
}

#[tokio::test]
async fn what_cannot_be_played_does_not_start() {
    let start = async |mounts: Vec<Mount>| {
        let config = SimConfig { mounts, ..SimConfig::default() };
        Simulator::start(config, "127.0.0.1:0".parse().unwrap()).await.err()
    };
    let finpay = Mount::new(Personality::Finpay);
    let named = |name: &str| Mount { name: name.into(), ..finpay.clone() };
    for mounts in
        [vec![], vec![finpay.clone(), finpay.clone()], vec![named("")], vec![named("a/b")], vec![named("_sim")]]
    {
        assert!(matches!(start(mounts).await, Some(SimError::Config(_))));
    }
    let keyless = Credentials { public_key_pem: "no key".into(), ..Credentials::throwaway() };
    assert!(matches!(start(vec![Mount { credentials: keyless, ..finpay.clone() }]).await, Some(SimError::Config(_))));

    let taken = Simulator::start(SimConfig::default(), "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let second = Simulator::start(SimConfig::default(), taken.addr()).await;
    assert!(matches!(second, Err(SimError::Listen { .. })));
}

#[tokio::test]
async fn debug_output_keeps_secrets() {
    let text = format!("{:?}", SimConfig::default());
    assert!(!text.contains("not-real") && !text.contains("PRIVATE KEY"));
}
