use std::path::Path;
use std::time::Duration;

use insta::assert_snapshot;
use snap_sim::{Behaviour, Personality, RepeatPolicy, Running, SimConfig, Simulator};

use super::report::Item;
use super::*;
use crate::config::Environment;

async fn sandbox(personality: Personality, behaviour: Behaviour) -> Running {
    let config = SimConfig { behaviour, ..SimConfig::single(personality) };
    Simulator::start(config, ([127, 0, 0, 1], 0).into()).await.unwrap()
}

fn provider(sim: &Running, name: &str) -> ProviderConfig {
    let known = sim.credentials(name).unwrap().clone();
    let toml = format!(
        "[providers.{name}]\nprofile = \"{name}\"\nbase_url = \"{}\"\nclient_key = \"{}\"\nclient_secret = \"{}\"\n\
         partner_id = \"{}\"\nchannel_id = \"{}\"\norigin = \"{}\"\nprivate_key = '''\n{}'''\n",
        sim.base_url(name),
        known.client_key,
        known.client_secret,
        known.partner_id,
        known.channel_id,
        known.origin,
        known.private_key_pem.unwrap(),
    );
    let config = Config::parse(&toml, Path::new("worker.toml"), &Environment::default()).unwrap();
    config.providers[name].clone()
}

async fn asked(personality: Personality, behaviour: Behaviour) -> (Vec<Item>, Running) {
    let sim = sandbox(personality, behaviour).await;
    let provider = provider(&sim, personality.as_str());
    let customer = CustomerNumber::parse("081234567890").unwrap();
    let amount = Amount::parse_strict("10000.00").unwrap();
    let clock = Clock::start();
    let test = Test { customer: &customer, amount, beneficiary_provider: Some("gopay") };
    let asker = Asker { client: provider.client().unwrap(), profile: provider.profile.clone(), clock: &clock, test };
    (ask_all(&asker).await, sim)
}

/// The table, without what differs from run to run.
fn shown(items: &[Item]) -> String {
    let text = table(items).render(false);
    let words = text.split(' ').collect::<Vec<_>>();
    let times = words.windows(2).map(|pair| if pair[1].starts_with("ms") { "N" } else { pair[0] });
    times.chain(words.last().copied()).collect::<Vec<_>>().join(" ")
}

fn result(items: &[Item], question: &str) -> Holds {
    items.iter().find(|item| item.question == question).map(|item| item.result).unwrap()
}

const REPEAT: &str = "the same reference once more";

#[tokio::test]
async fn a_provider_that_keeps_to_its_profile_holds() {
    let (items, sim) = asked(Personality::Finpay, Behaviour::default()).await;
    assert_snapshot!("finpay", shown(&items));
    assert_eq!(sim.verdict().credits, 1);
    let (items, sim) = asked(Personality::Midtrans, Behaviour::default()).await;
    assert_snapshot!("midtrans", shown(&items));
    assert_eq!(sim.verdict().credits, 1);
}

#[tokio::test]
async fn a_repeat_that_is_answered_as_the_first_is_not_taken_for_protection() {
    let echo = Behaviour { repeat_policy: RepeatPolicy::Echo, ..Behaviour::default() };
    let (items, _) = asked(Personality::Finpay, echo).await;
    assert_eq!(result(&items, REPEAT), Holds::Unclear);
}

#[tokio::test]
async fn a_repeat_that_is_paid_under_another_number_is_found_out() {
    let pay_again = Behaviour { repeat_policy: RepeatPolicy::PayAgain, ..Behaviour::default() };
    let (items, sim) = asked(Personality::Finpay, pay_again).await;
    assert_eq!((result(&items, REPEAT), sim.verdict().double_credits), (Holds::No, 1));
}

#[tokio::test]
async fn a_status_that_shows_late_is_measured() {
    let late = Behaviour { settle: Duration::from_millis(300), ..Behaviour::default() };
    let (items, _) = asked(Personality::Midtrans, late).await;
    assert_eq!(result(&items, "its end"), Holds::Yes);
    assert_eq!(result(&items, "status after the top-up"), Holds::Yes);
}

#[tokio::test]
async fn an_answer_outside_the_profile_differs() {
    // Every status inquiry is answered 500: "not found" can never be proven.
    let sim = sandbox(Personality::Finpay, Behaviour::default()).await;
    let rule = snap_sim::Rule {
        service: Some(39),
        ..snap_sim::Rule::new(snap_sim::Fault::Answer("500xx00".parse().unwrap()))
    };
    sim.add_rule(rule);
    let provider = provider(&sim, "finpay");
    let customer = CustomerNumber::parse("081234567890").unwrap();
    let amount = Amount::parse_strict("10000.00").unwrap();
    let clock = Clock::start();
    let test = Test { customer: &customer, amount, beneficiary_provider: None };
    let asker = Asker { client: provider.client().unwrap(), profile: provider.profile.clone(), clock: &clock, test };
    let token = asker.client.token(clock.wall()).await.unwrap();
    assert_eq!(asker.unknown_reference(&token).await.result, Holds::No);
}

#[tokio::test]
async fn a_sandbox_that_gives_no_token_is_asked_nothing_more() {
    let lane_faults = [("*".to_owned(), snap_sim::LaneFault::TokenRefused)].into();
    let (items, sim) = asked(Personality::Finpay, Behaviour { lane_faults, ..Behaviour::default() }).await;
    assert_eq!((items.len(), items[0].result), (1, Holds::No));
    assert_eq!(sim.verdict().top_ups, 0);
}
