//! Against the simulated provider: its ledger says whether money moved.

use insta::assert_snapshot;
use outbox::{ClosedAs, DeadLetterId};
use snap_sim::{Personality, SimConfig, Simulator};

use super::*;
use crate::cli::{DlqChoiceArgs, Format};
use crate::clock::Clock;
use crate::config::{Config, Environment};
use crate::ops::fixture::{self, Filled, MALFORMED, NOW, UNRESOLVED, acting};
use crate::output::Output;

const REFERENCE: &str = "78912343452347893";

struct Place {
    filled: Filled,
    sim: snap_sim::Running,
    config: Config,
    clock: Clock,
    environment: Environment,
}

impl Place {
    async fn new() -> Self {
        let sim = Simulator::start(SimConfig::single(Personality::Finpay), ([127, 0, 0, 1], 0).into()).await.unwrap();
        let known = sim.credentials("finpay").unwrap().clone();
        let quoted = |text: &str| Value::from(text).to_string();
        let toml = format!(
            "[providers.finpay]\nprofile = \"finpay\"\nbase_url = {}\nclient_key = {}\nclient_secret = {}\nprivate_key = {}\n\
             partner_id = {}\nchannel_id = {}\norigin = {}\n",
            quoted(&sim.base_url("finpay")),
            quoted(&known.client_key),
            quoted(&known.client_secret),
            quoted(known.private_key_pem.as_ref().unwrap()),
            quoted(&known.partner_id),
            quoted(&known.channel_id),
            quoted(&known.origin),
        );
        let config = Config::parse(&toml, std::path::Path::new("worker.toml"), &Environment::default()).unwrap();
        let (clock, environment) = (Clock::start(), Environment::default());
        Self { filled: fixture::filled().await, sim, config, clock, environment }
    }

    async fn at_desk<T>(&self, output: &Output, work: impl AsyncFnOnce(&Desk<'_>) -> T) -> T {
        let Self { filled, config, clock, environment, .. } = self;
        work(&Desk { store: &filled.store, config, clock, now: NOW, environment, output }).await
    }

    async fn check(&self, id: &str) -> (Exit, Value) {
        let output = Output::captured(Format::Json);
        let choice = DlqChoiceArgs { ids: vec![id.to_owned()], ..DlqChoiceArgs::default() };
        let args = DlqActArgs { choice, act: acting() };
        let exit = self.at_desk(&output, async |desk| check(&args, desk).await).await.unwrap();
        (exit, serde_json::from_str(&output.written()).unwrap())
    }

    /// The top-up that nobody knows of arrives at the provider after all.
    async fn pay(&self) {
        let output = Output::captured(Format::Json);
        self.at_desk(&output, async |desk| {
            let caller = Caller::new(desk).unwrap();
            let lane = &caller.lanes["finpay"];
            let token = lane.client.token(desk.clock.wall()).await.unwrap();
            let letter = desk.store.dead_letter(&DeadLetterId::new(UNRESOLVED)).await.unwrap().unwrap();
            let mut job = job_of(&letter, desk).await.unwrap().unwrap();
            let asked = provider::inquire(&caller.driver, lane, &token, &job, By::Any).await;
            let Event::Inquired { customer_name, fee, .. } = asked.reading.event else { panic!("{asked:?}") };
            job.job.state = State::Inquired { at: NOW, customer_name, fee };
            let request = provider::top_up_request(&caller.driver, lane, &job).unwrap();
            let sent = provider::send(&caller.driver, lane, &token, &job, request, snap_client::NO_FUSE).await;
            assert_eq!(sent.reading.event, Event::TopUp(engine::Answer::Paid));
        })
        .await;
    }
}

#[tokio::test]
async fn m6_not_found_leaves_it_and_paid_closes_it_without_a_second_credit() {
    let place = Place::new().await;
    let (exit, shown) = place.check(UNRESOLVED).await;
    assert_eq!((exit, &shown["items"][0]["result"]), (Exit::Done, &json!("not_found")));
    let id = DeadLetterId::new(UNRESOLVED);
    let letter = place.filled.store.dead_letter(&id).await.unwrap().unwrap();
    assert_eq!((letter.closed, letter.money_state), (None, MoneyState::MaybeSent));

    place.pay().await;
    let (exit, shown) = place.check(UNRESOLVED).await;
    assert_eq!(exit, Exit::Done);
    assert_snapshot!("paid_json", format!("{shown:#}"));
    let letter = place.filled.store.dead_letter(&id).await.unwrap().unwrap();
    assert_eq!(letter.closed.map(|(_, how)| how), Some(ClosedAs::Succeeded));
    assert_eq!(place.sim.credits_of(REFERENCE), 1);

    let reference = snap_core::PartnerReferenceNo::parse(REFERENCE).unwrap();
    let timeline = place.filled.store.timeline(&reference).await.unwrap().unwrap();
    assert_eq!(timeline.job.state(), "succeeded");
    let told: Vec<_> = timeline.outcomes.iter().map(|outcome| outcome.event_type.as_str()).collect();
    assert_eq!(told, ["topup.dead_lettered", "topup.succeeded"]);
    let trail = place.filled.store.audit_rows(0, 9).await.unwrap();
    let answers: Vec<_> = trail.iter().map(|row| row.entry.detail["answer"].as_str().unwrap()).collect();
    assert_eq!(answers, ["status_not_found", "status_paid"]);

    let (exit, shown) = place.check(UNRESOLVED).await;
    assert_eq!((exit, &shown["items"][0]["detail"]), (Exit::Refused, &json!("it is closed already: succeeded")));
}

#[tokio::test]
async fn what_never_became_a_job_and_a_provider_that_is_gone_are_refused() {
    let place = Place::new().await;
    let (exit, shown) = place.check(MALFORMED).await;
    assert_eq!(exit, Exit::Refused);
    assert_eq!(shown["items"][0]["detail"], "it never became a job: there is nothing to ask about");
    let other = Place { config: fixture::config(), ..place };
    // The fixture's keys are none: there is no client, and nothing is asked.
    let output = Output::captured(Format::Json);
    let choice = DlqChoiceArgs { ids: vec![UNRESOLVED.to_owned()], ..DlqChoiceArgs::default() };
    let args = DlqActArgs { choice, act: acting() };
    let error = other.at_desk(&output, async |desk| check(&args, desk).await).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Usage);
}

/// Two "not found" of one replica, and then "paid" of another to an operator whose command took long.
#[tokio::test]
async fn m2_c13_paid_that_comes_back_when_the_job_is_ready_again_ends_it_as_paid() {
    let place = Place::new().await;
    place.pay().await;
    let store = &place.filled.store;
    let letter = store.dead_letter(&DeadLetterId::new(UNRESOLVED)).await.unwrap().unwrap();
    let job = store.job(letter.job.unwrap()).await.unwrap().unwrap();
    // Another operator replays it, and it is proven unpaid: it waits to be sent.
    let mut ready = job.job.clone();
    (ready.state, ready.evidence.money) = (State::Ready { at: NOW }, MoneyState::ProvenUnpaid);
    let mut record = Record::new(job.id, job.version, ready, NOW);
    record.due_at = Some(NOW);
    store.record(record).await.unwrap();

    let output = Output::captured(Format::Json);
    let actor = Actor::of(&acting(), &place.environment);
    let item = place
        .at_desk(&output, async |desk| {
            let caller = Caller::new(desk).unwrap();
            let lane = &caller.lanes["finpay"];
            let called = caller.ask(lane, &job).await.unwrap();
            caller.came_too_late(lane, &letter, &called, &actor, desk).await.unwrap()
        })
        .await;
    let shown = serde_json::to_value(&item).unwrap();
    assert_eq!(shown["result"], "moved_on");
    let detail = shown["detail"].as_str().unwrap();
    assert!(detail.contains("it is ready now") && detail.contains("recorded, and it is succeeded"), "{detail}");
    let now = store.job(job.id).await.unwrap().unwrap();
    assert_eq!(now.job.state, State::Succeeded);
    let timeline = store.timeline(&now.request.partner_reference_no).await.unwrap().unwrap();
    let told: Vec<_> = timeline.outcomes.iter().map(|outcome| outcome.event_type.as_str()).collect();
    assert_eq!(told, ["topup.dead_lettered", "topup.succeeded"], "it follows from the transition");
    assert_eq!(store.audit_rows(0, 9).await.unwrap().len(), 1, "and says who asked");
    assert_eq!(place.sim.credits_of(REFERENCE), 1);
}
