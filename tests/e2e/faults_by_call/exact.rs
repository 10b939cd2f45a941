//! The power goes where chance seldom hits: right before the top-up leaves, before a confirm is heard, and before it is marked.

use std::collections::BTreeMap;

use testbed::matrix::{Fault, Point};

use super::{Moment, Scene, Sweep, hex};

/// How late the worker hears: time enough to see that somebody else has heard before.
const CONFIRM_LATE_MICROS: u32 = 400_000;
/// A confirm of the broker, as a trace writes its class and method.
const CONFIRM: &str = "\\x00\\x3c\\x00\\x50";
/// One thread for all lines, so that its calls have the same numbers in each run.
const ONE_THREAD: [&str; 2] = ["-E", "TOKIO_WORKER_THREADS=1"];
/// A run may make a few calls more or less than the one before.
const BESIDE: [i64; 16] = [0, 0, 1, -1, 2, -2, 0, 1, -1, 3, -3, 4, -4, 0, 1, -1];

impl Sweep {
    /// One run after the other, until the witness has seen this point.
    async fn place(&mut self, point: Point) {
        let first = match call_of(point) {
            Some(call) => {
                self.calls_of(Scene::Plain).await;
                Some(nth(&self.trace(), call))
            }
            None => None,
        };
        self.kills_when_told = first.is_none();
        for beside in BESIDE {
            let inject = match &first {
                Some((name, when)) => {
                    format!("inject={name}:signal=SIGKILL:when={}", (i64::from(*when) + beside).max(1))
                }
                // Whoever consumes the event is told while the worker has not heard the confirm.
                None => format!("inject=recvfrom:delay_enter={CONFIRM_LATE_MICROS}"),
            };
            self.once(Scene::Plain, &inject).await;
            if self.counts.contains_key(&point) {
                return;
            }
        }
        panic!("{point:?}: not one of {} runs was hit there, but {:?}", BESIDE.len(), self.counts);
    }
}

/// Whether this call (its name, its line), after what was seen so far, is the one to be killed at.
type IsIt = fn(&mut Seen, &str, &str) -> bool;

/// What a trace has told before a call.
#[derive(Default)]
struct Seen {
    published: bool,
    confirmed: bool,
}

/// The call at whose beginning a job is at this point; `None`: there is none that a thread has alone.
fn call_of(point: Point) -> Option<IsIt> {
    match point {
        Point::Intended => Some(|_, _, call| call.contains(&hex("/topup HTTP"))),
        Point::Confirmed => Some(|seen, name, call| {
            let before = seen.confirmed;
            let hears = name == "recvfrom" && seen.published;
            seen.confirmed |= hears && call.contains(CONFIRM);
            seen.published |= matches!(name, "sendto" | "writev") && call.contains(&hex("topup.succeeded"));
            before && name == "pwrite64" && call.contains(&hex("-wal"))
        }),
        _ => None,
    }
}

/// The name of this call, and which of them it is on its thread.
fn nth(trace: &str, is_it: IsIt) -> Moment {
    let (mut counts, mut seen) = (BTreeMap::<(&str, &str), u32>::new(), Seen::default());
    for (thread, call) in trace.lines().filter_map(|line| line.split_once(' ')) {
        let call = call.trim_start();
        let Some(name) = call.trim_start_matches("<... ").split(['(', ' ']).next() else { continue };
        if !call.starts_with('<') {
            *counts.entry((thread, name)).or_default() += 1;
        }
        if is_it(&mut seen, name, call) {
            return (name.to_owned(), counts[&(thread, name)]);
        }
    }
    panic!("an unharmed job makes this call");
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
