//! The power goes where chance seldom hits: right before the top-up leaves, before a confirm comes, and before it is marked.

use std::collections::BTreeMap;

use testbed::matrix::{Fault, Point};

use super::{Moment, Scene, Sweep};

/// A confirm of the broker, as a trace writes its class and method.
const CONFIRM: &str = "\\x00\\x3c\\x00\\x50";
/// One thread for all lines, so that its calls have the same numbers in each run.
const ONE_THREAD: [&str; 2] = ["-E", "TOKIO_WORKER_THREADS=1"];
/// A run may make a few calls more or less than the one before.
const BESIDE: [i64; 16] = [0, 0, 1, -1, 2, -2, 0, 1, -1, 3, -3, 4, -4, 0, 1, -1];

impl Sweep {
    /// One run after the other, until the witness has seen this point.
    async fn place(&mut self, point: Point) {
        self.calls_of(Scene::Plain).await;
        let (name, when) = call_after(point, &self.trace());
        for beside in BESIDE {
            let when = (i64::from(when) + beside).max(1);
            self.once(Scene::Plain, &format!("inject={name}:signal=SIGKILL:when={when}")).await;
            if self.counts.contains_key(&point) {
                return;
            }
        }
        panic!("{point:?}: not one of {} runs was hit there, but {:?}", BESIDE.len(), self.counts);
    }
}

/// The call at whose beginning a job is at this point.
fn call_after(point: Point, trace: &str) -> Moment {
    let hex = |text: &str| text.bytes().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
    let (request, event, wal, socket) = (hex("/topup HTTP"), hex("topup.succeeded"), hex("-wal"), hex("socket:"));
    let hears = |name: &str| ["recvfrom", "readv", "read", "recvmsg"].contains(&name);
    let mut counts: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    // The line on which the event went, and whether its confirm came.
    let (mut published, mut confirmed) = (None, false);
    for (thread, call) in trace.lines().filter_map(|line| line.split_once(' ')) {
        let call = call.trim_start();
        if let Some((name, arguments)) = call.split_once('(') {
            let when = counts.entry((thread, name)).or_default();
            *when += 1;
            let descriptor = arguments.split_once('>').map(|(descriptor, _)| descriptor);
            let is_it = match point {
                Point::Intended => call.contains(&request),
                Point::Published => hears(name) && published.is_some() && published == descriptor,
                Point::Confirmed => name == "pwrite64" && confirmed && descriptor.is_some_and(|to| to.ends_with(&wal)),
                other => panic!("{other:?} is not placed"),
            };
            if is_it {
                return (name.to_owned(), *when);
            }
            if descriptor.is_some_and(|to| to.contains(&socket)) && call.contains(&event) {
                published = descriptor;
            }
        }
        let name = call.trim_start_matches("<... ").split(['(', ' ']).next();
        confirmed |= published.is_some() && name.is_some_and(hears) && call.contains(CONFIRM);
    }
    panic!("an unharmed job is at {point:?} once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m1_when_the_power_goes_around_the_top_up_or_its_confirm_it_is_paid_and_told_once() {
    let mut sweep = Sweep::new("exactpower", Fault::PowerLoss).await;
    sweep.more.extend(ONE_THREAD);
    for point in [Point::Intended, Point::Published, Point::Confirmed] {
        sweep.place(point).await;
    }
    sweep.ends().await;
}
