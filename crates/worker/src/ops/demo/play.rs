//! One run of the demo, from an empty store to the verdict.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use outbox::{DeadLetter, DeadLetterFilter, Store};
use snap_sim::{Behaviour, FaultLevel};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::feed;
use super::verdict::{Verdict, judge};
use crate::app::App;
use crate::clock::Clock;
use crate::config::Environment;
use crate::ops::simulated::stage::{Setting, Stage};
use crate::ops::simulated::{jobs, queues};

/// The run is given up where nothing ends for this long.
const STUCK: Duration = Duration::from_secs(60);
/// How often the store is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Dead letters shown at the end.
const SHOWN: usize = 10;

/// What to play.
#[derive(Clone, Debug)]
pub(super) struct Play<'a> {
    pub(super) jobs: usize,
    pub(super) amqp: Option<&'a str>,
    pub(super) faults: FaultLevel,
    pub(super) seed: u64,
    pub(super) directory: &'a Path,
    /// The broker's queues stay as well.
    pub(super) keep: bool,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) verdict: Verdict,
    pub(super) dead_letters: Vec<DeadLetter>,
}

/// Plays, telling `progress` how many jobs have ended.
pub(super) async fn play(play: &Play<'_>, progress: &dyn Fn(u64)) -> anyhow::Result<Played> {
    let clock = Clock::start();
    let run = clock.ulid().get(18..).unwrap_or_default().to_lowercase();
    let namespace = format!("topup-demo-{run}");
    let amqp = play.amqp.map(|url| (url, namespace.as_str()));
    let setting = Setting {
        directory: play.directory,
        behaviour: Behaviour { faults: play.faults, seed: play.seed, ..Behaviour::default() },
        request_log: 0,
        amqp,
        prefetch: 512,
        give_up_after: "20s",
        command: "demo",
        overrides: Environment::default(),
    };
    let run = format!("DEMO-{run}");
    let Stage { sim, config } = Stage::set(setting).await?;
    let mut messages: Vec<_> = (0..play.jobs).map(|n| jobs::job(n, play.seed, &run)).collect();
    messages.extend(jobs::wrong(&run));
    let wrong = messages.len() - play.jobs;

    let started = Instant::now();
    let app = App::start(config.clone()).await.context("failed to start the worker")?;
    let (store, lanes, stop) = (app.store().clone(), app.lanes(), CancellationToken::new());
    let scene = async {
        let played = async {
            match &config.amqp {
                Some(section) => feed::through_amqp(section, &messages).await?,
                None => {
                    let wake = || lanes.values().for_each(|lane| lane.look_again());
                    feed::through_store(&store, &config, &messages, &wake).await?;
                }
            }
            wait_for_the_end(&store, play.jobs, wrong, config.amqp.is_some(), progress).await?;
            let verdict = judge(&store, &sim, play.jobs, started.elapsed(), config.amqp.is_some()).await?;
            let dead_letters = store.dead_letters(DeadLetterFilter::default(), None, SHOWN).await?.items;
            anyhow::Ok(Played { verdict, dead_letters })
        };
        let played = played.await;
        stop.cancel();
        played
    };
    let (stopped, played) = tokio::join!(app.until(stop.clone()), scene);
    sim.shutdown().await;
    if let (Some(section), false) = (&config.amqp, play.keep) {
        queues::take_away(section).await?;
    }
    stopped?;
    played
}

/// Waits until every job has ended or stands before a person, and every event is out.
async fn wait_for_the_end(
    store: &Store,
    jobs: usize,
    wrong: usize,
    amqp: bool,
    progress: &dyn Fn(u64),
) -> anyhow::Result<()> {
    let (mut last, mut moved) = (0, Instant::now());
    loop {
        let totals = store.totals(outbox::JobFilter::default()).await?;
        let ended: u64 = totals.iter().filter(|total| is_end(&total.state)).map(|total| total.count).sum();
        progress(ended);
        if ended != last {
            (last, moved) = (ended, Instant::now());
        }
        let refused: u64 = store.dead_letter_counts().await?.iter().map(|(_, count)| count).sum();
        let quiet = !amqp || store.outbox_backlog().await?.pending == 0;
        if ended >= jobs as u64 && refused >= wrong as u64 && quiet {
            return Ok(());
        }
        anyhow::ensure!(moved.elapsed() < STUCK, "{ended} of {jobs} jobs ended, then nothing for {STUCK:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn is_end(state: &str) -> bool {
    matches!(state, "succeeded" | "rejected" | "dead" | "discarded")
}
