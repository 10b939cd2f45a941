//! Short forms of what `tests/run --long` plays by the million.

use std::time::Duration;

use simulation::{
    Fault, Mistake, Outage, Plan, Scenario, Swept, What, When, call_of, pairs, play, play_with, second, some_pairs,
    sweep, sweep_from,
};

fn named(name: &str) -> Scenario {
    Scenario::named(name).expect("there is a scenario of this name")
}

/// What can go wrong that is not about one call's own answer.
fn of_each_kind(clock_set: i64, frozen: Duration) -> [What; 7] {
    [
        What::Crash,
        What::Stop,
        What::DiskFull,
        What::DiskFails,
        What::Again,
        What::ClockSet(clock_set),
        What::Freeze(frozen),
    ]
}

const SIDES: [When; 3] = [When::Before, When::Within, When::After];

fn assert_sound(swept: &Swept) {
    swept.count();
    assert!(
        swept.findings.is_empty(),
        "{} of {} runs:\n{}",
        swept.findings.len(),
        swept.runs,
        swept.findings.join("\n")
    );
}

#[test]
fn a_seed_is_one_run() {
    let mut traces = std::collections::BTreeSet::new();
    for seed in 0..60 {
        let (one, two) = (play(&Plan::of_seed(seed)), play(&Plan::of_seed(seed)));
        assert_eq!((one.trace, one.calls, one.took), (two.trace, two.calls, two.took), "seed {seed}");
        traces.insert(one.trace);
    }
    assert!(traces.len() > 50, "different seeds are different runs, but for a few in which next to nothing happens");
}

#[test]
fn without_faults_each_customer_ends_as_it_should() {
    for scenario in Scenario::all() {
        let plan = Plan { scenario, faults: Vec::new(), seed: 0 };
        let run = play(&plan);
        assert_eq!((run.findings, run.lives), (Vec::new(), 1), "{plan}");
    }
}

#[test]
fn m1_m2_a_crash_before_any_call_loses_nothing_and_pays_once() {
    for scenario in Scenario::all().into_iter().filter(|scenario| scenario.outage == Outage::None) {
        assert_sound(&sweep(&scenario, What::Crash, When::Before));
    }
}

#[test]
fn m1_m2_a_crash_after_any_call_loses_nothing_and_pays_once() {
    for scenario in Scenario::all().into_iter().filter(|scenario| scenario.outage == Outage::None) {
        assert_sound(&sweep(&scenario, What::Crash, When::After));
    }
}

#[test]
fn m2_m4_a_request_that_arrives_after_the_death_of_its_sender_pays_once() {
    for name in ["finpay-good", "midtrans-good", "finpay-slow"] {
        assert_sound(&sweep(&named(name), What::CrashInFlight, When::Before));
    }
}

#[test]
fn m2_m8_m12_any_error_at_any_call_loses_nothing_and_pays_once() {
    for name in ["finpay-good", "midtrans-good", "finpay-refused"] {
        for kind in 0..9 {
            for when in [When::Before, When::After] {
                assert_sound(&sweep(&named(name), What::Error(kind), when));
            }
        }
        // Answers that are another's, and ones that show no more than that the top-up is known (M15).
        for kind in 9..11 {
            assert_sound(&sweep(&named(name), What::Error(kind), When::After));
        }
    }
}

/// Found by the sweep: a store that failed while an event was marked left a process that was alive and did nothing.
#[test]
fn m12_a_store_that_fails_under_the_relay_ends_the_process() {
    let scenario = named("finpay-good");
    let last = play(&Plan { scenario: scenario.clone(), faults: Vec::new(), seed: 0 }).calls;
    let fault = Fault { at: last, what: What::Error(2), when: When::Before };
    let run = play(&Plan { scenario, faults: vec![fault], seed: 0 });
    assert_eq!((run.findings, run.lives, run.struck), (Vec::new(), 2, vec![fault]));
}

#[test]
fn m10_a_process_that_stands_or_stops_at_any_call_pays_once() {
    for name in ["finpay-good", "midtrans-good", "malformed"] {
        for what in [What::Freeze(Duration::from_secs(600)), What::Delay(Duration::from_secs(20)), What::Stop] {
            for when in SIDES {
                assert_sound(&sweep(&named(name), what, when));
            }
        }
    }
}

#[test]
fn m4_a_clock_that_is_set_at_any_call_pays_once() {
    const DAY: i64 = 86_400_000;
    for name in ["finpay-good", "malformed"] {
        for when in SIDES {
            assert_sound(&sweep(&named(name), What::ClockSet(DAY), when));
        }
    }
    for by in [DAY, -DAY] {
        assert_sound(&pairs(&named("finpay-good"), (What::ClockSet(by), When::Before), (What::Crash, When::Before), 2));
    }
}

/// Found by a reader: what counts monotonically stands while a machine sleeps, and the provider forgets meanwhile.
#[test]
fn m4_a_machine_that_sleeps_past_the_uniqueness_window_pays_once() {
    const SLEPT: Duration = Duration::from_secs(7 * 3600);
    for name in ["answers-lost", "midtrans-good"] {
        for when in [When::Before, When::Within] {
            assert_sound(&sweep(&named(name), What::Sleep(SLEPT), when));
        }
    }
    assert_sound(&pairs(&named("answers-lost"), (What::Crash, When::After), (What::Sleep(SLEPT), When::Before), 11));
}

/// The wall clock is set and the process restarted, or the machine boots: no quiet period is cut short, and nothing waits on.
#[test]
fn m17_a_clock_that_is_wrong_over_a_restart_or_a_boot_pays_once() {
    const DAY: i64 = 86_400_000;
    const BOTH: [i64; 2] = [DAY, -DAY];
    // Each way to end, at some of the calls; the long run has all of them.
    let is_whole = testbed::setting("SIMULATION_WHOLE").is_some();
    let steps = if is_whole { (1, 61) } else { (7, 151) };
    for (by, ends) in BOTH.into_iter().flat_map(|by| [What::Crash, What::Boot, What::Stop].map(|ends| (by, ends))) {
        let set = (What::ClockSet(by), When::Before);
        assert_sound(&some_pairs(&named("answers-lost"), set, (ends, When::Before), steps));
    }
    let (set, slept) = (What::ClockSet(-DAY), What::Sleep(Duration::from_secs(7 * 3600)));
    assert_sound(&some_pairs(
        &named("requests-lost"),
        (set, When::Before),
        (slept, When::After),
        (if is_whole { 1 } else { 5 }, 61),
    ));
}

/// Found by a random plan: the event of a refused message, alone in its store, waited for hours.
#[test]
fn an_event_noted_before_the_clock_was_set_back_is_published() {
    const DAY: i64 = 86_400_000;
    assert_sound(&pairs(&named("malformed"), (What::ClockSet(-DAY), When::Before), (What::Crash, When::Before), 1));
}

#[test]
fn m1_a_crash_while_recovering_from_a_crash_loses_nothing_and_pays_once() {
    assert_sound(&pairs(&named("finpay-good"), (What::Crash, When::After), (What::Crash, When::Before), 4));
    assert_sound(&pairs(&named("finpay-good"), (What::Crash, When::Before), (What::DiskFails, When::After), 4));
}

#[test]
fn random_plans_lose_nothing_and_pay_once() {
    // The same ones each time: what is new is looked for by the long run.
    let first: u64 = testbed::setting("SIMULATION_SEED").and_then(|seed| seed.parse().ok()).unwrap_or(0);
    let mut swept = Swept::default();
    for seed in (0..200).map(|number| first.wrapping_add(number)) {
        let plan = Plan::of_seed(seed);
        swept.add(&plan, &play(&plan));
    }
    assert_sound(&swept);
}

#[test]
fn m12_a_disk_that_fills_or_fails_at_any_call_loses_nothing_and_pays_once() {
    for name in ["finpay-good", "midtrans-good", "malformed"] {
        for when in SIDES {
            assert_sound(&sweep(&named(name), What::DiskFull, when));
            assert_sound(&sweep(&named(name), What::DiskFails, when));
        }
    }
}

#[test]
fn m5_a_message_that_comes_again_at_any_call_is_paid_once() {
    for name in ["finpay-good", "midtrans-good", "finpay-refused"] {
        for when in SIDES {
            assert_sound(&sweep(&named(name), What::Again, when));
        }
    }
}

#[test]
fn a_broker_that_goes_down_at_any_call_loses_nothing() {
    for name in ["finpay-good", "midtrans-good", "malformed"] {
        for when in [When::Before, When::After] {
            assert_sound(&sweep(&named(name), What::BrokerDown, when));
        }
    }
}

/// What comes after a doubt is hit as well: a request that was lost, and a second fault at each later call.
#[test]
fn m2_m4_any_fault_while_doubt_is_settled_pays_once() {
    let scenario = named("finpay-good");
    let at = call_of(&scenario, "TopUp").expect("a top-up is sent");
    let lost = Fault { at, what: What::Error(1), when: When::Before };
    let faults = of_each_kind(7_200_000, Duration::from_secs(300));
    for what in faults {
        for when in SIDES {
            assert_sound(&second(&scenario, lost, (what, when), 1));
        }
    }
    for what in (0..9).map(What::Error) {
        for when in [When::Before, When::After] {
            assert_sound(&second(&scenario, lost, (what, when), 2));
        }
    }
}

#[test]
fn m12_a_store_put_back_from_a_copy_asks_first_and_pays_once() {
    for (name, step) in [("finpay-good", 1), ("midtrans-good", 3), ("twice", 3)] {
        for copied in (3..24).step_by(5) {
            let copy = Fault { at: copied, what: What::Copy, when: When::Before };
            assert_sound(&second(&named(name), copy, (What::Restore, When::After), step));
        }
    }
}

/// A token that was good for the inquiry is not for the top-up, and the next one is refused: nothing was sent, nothing is lost.
#[test]
fn m9_a_token_refused_between_inquiry_and_intent_costs_the_job_nothing() {
    let scenario = named("short-tokens");
    let at = call_of(&scenario, "Inquiry").expect("an account is asked for");
    let slow = Fault { at, what: What::Delay(Duration::from_secs(3)), when: When::Before };
    for kind in 0..5 {
        assert_sound(&second(&scenario, slow, (What::Error(kind), When::Before), 1));
    }
}

/// A fault while a start looks at what the last process left; and while a store asks first that was put back.
#[test]
fn m1_m12_any_fault_at_a_start_pays_once() {
    let scenario = named("finpay-good");
    let sent = call_of(&scenario, "TopUp").expect("a top-up is sent");
    let crash = Fault { at: sent, what: What::Crash, when: When::Before };
    let copy = Fault { at: 5, what: What::Copy, when: When::After };
    let restore = Fault { at: sent, what: What::Restore, when: When::After };
    let faults = of_each_kind(60_000, Duration::from_secs(200));
    let mut swept = Swept::default();
    for (what, when) in faults.into_iter().flat_map(|what| [(what, When::Before), (what, When::After)]) {
        for (before, calls) in [(vec![crash], 1..3), (vec![copy, restore], 1..8)] {
            for at in calls.map(|call| sent + call) {
                let faults = before.iter().copied().chain([Fault { at, what, when }]).collect();
                let plan = Plan { scenario: scenario.clone(), faults, seed: at };
                swept.add(&plan, &play(&plan));
            }
        }
    }
    assert_sound(&swept);
}

/// A fault at each call of an operator's replay, and of what it sets going.
#[test]
fn m8_m10_any_fault_while_dead_letters_are_replayed_pays_once() {
    let faults = [
        (What::Crash, When::Before),
        (What::Crash, When::After),
        (What::Stop, When::Before),
        (What::DiskFull, When::Before),
        (What::DiskFails, When::After),
        (What::Freeze(Duration::from_secs(200)), When::Before),
        (What::Again, When::Before),
        (What::ClockSet(3_600_000), When::Before),
    ];
    for name in ["answers-lost", "requests-lost", "two-answers-lost"] {
        let scenario = named(name);
        let from = call_of(&scenario, "Plan").expect("an operator replays");
        // Everything for one; for the others what differs.
        let some = if name == "answers-lost" { faults.len() } else { 2 };
        for (what, when) in faults.into_iter().take(some) {
            assert_sound(&sweep_from(&scenario, from, what, when));
        }
    }
}

/// Whether the judge finds something in one of so many plans with something broken, each with the fault that shows it.
fn found(mistake: Mistake, what: What, when: When) -> Vec<String> {
    let plans =
        (1..30).map(|at| Plan { scenario: named("finpay-good"), faults: vec![Fault { at, when, what }], seed: at });
    plans.flat_map(|plan| play_with(&plan, mistake, false).findings).collect()
}

fn assert_found(findings: &[String], words: &str) {
    assert!(findings.iter().any(|finding| finding.contains(words)), "nothing says {words:?}: {findings:?}");
}

#[test]
fn m8_a_wire_that_lies_about_not_sent_is_found() {
    assert_found(&found(Mistake::NotSentIsALie, What::Error(0), When::Before), "was paid 2 times");
}

#[test]
fn m15_a_wire_that_forgets_what_its_connections_carried_is_found() {
    let stray = What::Error(10);
    assert_found(&found(Mistake::NoHistory, stray, When::After), "was paid 2 times");
    assert_eq!(found(Mistake::None, stray, When::After), [""; 0], "and does not happen");
}

#[test]
fn m4_a_request_later_than_the_quiet_period_is_found() {
    assert_found(&found(Mistake::LaterThanQuiet, What::Error(2), When::Before), "was paid 2 times");
}

#[test]
fn m16_a_wire_that_lets_an_intent_leave_however_old_it_is_is_found() {
    let long = Duration::from_secs(60);
    for waits in [What::Freeze(long), What::Sleep(long)] {
        assert_found(&found(Mistake::NoFuse, waits, When::Before), "after its intent");
        assert_eq!(found(Mistake::None, waits, When::Before), [""; 0], "and does not happen");
    }
}

#[test]
fn m17_a_clock_that_runs_ahead_of_what_has_passed_is_found() {
    assert_found(&found(Mistake::BoottimeRuns, What::Error(2), When::Before), "was paid 2 times");
}

#[test]
fn a_broker_that_forgets_what_was_not_acknowledged_is_found() {
    assert_found(&found(Mistake::BrokerForgets, What::Crash, When::After), "is lost");
}

#[test]
fn a_broker_that_confirms_what_it_did_not_take_is_found() {
    assert_found(&found(Mistake::ConfirmIsALie, What::Delay(Duration::ZERO), When::After), "was told as {}");
}

#[test]
fn m1_a_disk_that_lies_about_a_sync_is_found() {
    let findings = found(Mistake::SyncIsALie, What::Crash, When::After);
    assert_found(&findings, "was paid 2 times");
    assert_found(&findings, "is lost");
}

#[test]
fn m1_a_top_up_that_is_not_what_was_recorded_is_found() {
    let nothing = What::Delay(Duration::ZERO);
    assert_found(&found(Mistake::AnotherNumber, nothing, When::After), "no attempt of it was recorded");
    assert_found(&found(Mistake::AnotherBody, nothing, When::After), "with another body than recorded");
}

const CUT_OFF: Duration = Duration::from_secs(150);

/// A namespace that is given away at any call, while its worker is cut off for a moment, and for longer than the other one waits.
#[test]
fn m13_a_namespace_that_is_given_away_at_any_call_pays_once() {
    for name in ["finpay-good", "midtrans-good", "twice"] {
        for cut_off in [Duration::from_secs(1), CUT_OFF] {
            assert_sound(&sweep(&named(name), What::Adopt(cut_off), When::Before));
        }
    }
    assert_sound(&sweep(&named("finpay-good"), What::Adopt(CUT_OFF), When::After));
}

/// With a doubt at the first one, or a crash, or a process that stands while its account is being asked for.
#[test]
fn m13_a_second_fault_beside_a_namespace_that_is_given_away_pays_once() {
    let scenario = named("finpay-good");
    let asked = call_of(&scenario, "Inquiry").expect("an account is asked for");
    let sent = call_of(&scenario, "TopUp").expect("a top-up is sent");
    let first = [
        Fault { at: sent, what: What::Error(1), when: When::Before },
        Fault { at: sent, what: What::CrashInFlight, when: When::Before },
        Fault { at: asked, what: What::Freeze(Duration::from_secs(200)), when: When::Before },
        Fault { at: asked, what: What::Crash, when: When::After },
    ];
    for fault in first {
        assert_sound(&second(&scenario, fault, (What::Adopt(CUT_OFF), When::Before), 1));
        assert_sound(&second(&scenario, fault, (What::Adopt(Duration::from_secs(30)), When::Before), 2));
    }
    for slept in [45, 200] {
        let adopted = Fault { at: asked, what: What::Adopt(CUT_OFF), when: When::Before };
        let stands = (What::Freeze(Duration::from_secs(slept)), When::Before);
        let faults = vec![adopted, Fault { at: asked, what: stands.0, when: stands.1 }];
        let plan = Plan { scenario: scenario.clone(), faults, seed: slept };
        assert_eq!(play(&plan).findings, Vec::<String>::new(), "{plan}");
    }
}

/// What is found of a mistake where the namespace is given away at one of these calls.
fn given_away(mistake: Mistake, calls: std::ops::Range<u64>, then: &[Fault]) -> Vec<String> {
    let mut findings = Vec::new();
    for at in calls {
        // For longer than anything that follows: it does not find out by itself.
        let cut_off = if then.is_empty() { CUT_OFF } else { Duration::from_secs(400) };
        let adopted = Fault { at, what: What::Adopt(cut_off), when: When::Before };
        let plan = Plan { scenario: named("finpay-good"), faults: [&[adopted], then].concat(), seed: at };
        findings.extend(play_with(&plan, mistake, false).findings);
    }
    findings
}

#[test]
fn m13_a_namespace_without_a_mark_is_found() {
    assert_found(&given_away(Mistake::NoMark, 1..20, &[]), "when another store may have sent it already");
}

#[test]
fn m13_a_worker_that_does_not_look_whether_its_mark_is_fresh_is_found() {
    let asked = call_of(&named("finpay-good"), "Inquiry").expect("an account is asked for");
    let stands = Fault { at: asked, what: What::Freeze(Duration::from_secs(200)), when: When::Before };
    assert_found(&given_away(Mistake::NoFreshness, 1..20, &[stands]), "when another store may have sent it already");
}

#[test]
fn m13_a_store_that_takes_over_without_asking_is_found() {
    assert_found(&given_away(Mistake::AdoptWithoutAsking, 1..20, &[]), "was paid 2 times");
}

#[test]
fn m13_a_quiet_period_that_begins_with_the_taking_over_is_found() {
    let asked = call_of(&named("finpay-good"), "Inquiry").expect("an account is asked for");
    let sent = call_of(&named("finpay-good"), "TopUp").expect("a top-up is sent");
    // While it asks for its token: a call of the account would have run out.
    let stands = Fault { at: asked - 1, what: What::Freeze(Duration::from_secs(45)), when: When::Before };
    // Whatever it has called meanwhile for a new connection, its top-up is late.
    let late = (sent..sent + 12).map(|at| Fault { at, what: What::Delay(Duration::from_secs(30)), when: When::Before });
    let then: Vec<_> = std::iter::once(stands).chain(late).collect();
    assert_found(
        &given_away(Mistake::QuietFromAdoption, asked - 2..asked + 1, &then),
        "when another store may have sent it already",
    );
    assert_eq!(
        given_away(Mistake::None, asked - 2..asked + 1, &then),
        Vec::<String>::new(),
        "the right one waits for it"
    );
}

/// The configuration names another account at any call, with a doubt before it, and perhaps the first one again later.
#[test]
fn m14_an_account_that_changes_at_any_call_pays_once() {
    for name in ["finpay-good", "midtrans-good", "answers-lost", "twice"] {
        assert_sound(&sweep(&named(name), What::Account, When::Before));
    }
    assert_sound(&pairs(&named("finpay-good"), (What::Account, When::After), (What::Account, When::Before), 3));
    let scenario = named("finpay-good");
    let sent = call_of(&scenario, "TopUp").expect("a top-up is sent");
    for doubt in [What::Error(0), What::Error(3)] {
        let unheard = Fault { at: sent, what: doubt, when: When::After };
        assert_sound(&second(&scenario, unheard, (What::Account, When::Before), 1));
    }
}

#[test]
fn m14_an_answer_of_another_account_that_settles_a_doubt_is_found() {
    let scenario = named("finpay-good");
    let sent = call_of(&scenario, "TopUp").expect("a top-up is sent");
    let changed = |mistake| {
        let faults = vec![
            Fault { at: sent, what: What::Error(0), when: When::After },
            Fault { at: sent + 1, what: What::Account, when: When::Before },
        ];
        play_with(&Plan { scenario: scenario.clone(), faults, seed: 1 }, mistake, false).findings
    };
    assert_found(&changed(Mistake::OneAccount), "was paid 2 times");
    assert_eq!(changed(Mistake::None), [""; 0]);
}

/// A driver whose job somebody else takes over while its request is under way: what comes back is evidence, whatever it is.
#[test]
fn m16_a_driver_that_is_fenced_off_while_it_asks_pays_once() {
    for name in ["finpay-good", "midtrans-good", "finpay-slow", "finpay-refused", "answers-lost"] {
        assert_sound(&sweep(&named(name), What::Fence, When::Within));
    }
    let scenario = named("finpay-good");
    let sent = call_of(&scenario, "TopUp").expect("a top-up is sent");
    let fenced = Fault { at: sent, what: What::Fence, when: When::Within };
    for (what, when) in [
        (What::Crash, When::Before),
        (What::Error(0), When::After),
        (What::Error(3), When::After),
        (What::Delay(Duration::from_secs(4)), When::After),
        (What::Fence, When::Within),
    ] {
        assert_sound(&second(&scenario, fenced, (what, when), 1));
    }
    // Its own answer is lost, or says something else, or comes late.
    for kind in 0..11 {
        let faults = vec![fenced, Fault { at: sent, what: What::Error(kind), when: When::After }];
        let plan = Plan { scenario: scenario.clone(), faults, seed: u64::from(kind) };
        assert_eq!(play(&plan).findings, Vec::<String>::new(), "{plan}");
    }
}

/// The store's file is removed at any call: nothing is acknowledged or sent by what is not in the file any more.
#[test]
fn m13_a_file_that_goes_away_at_any_call_is_noticed_before_anything_is_believed() {
    for name in ["finpay-good", "midtrans-good", "twice", "malformed", "three", "two-unknown"] {
        for when in [When::Before, When::After] {
            assert_sound(&sweep(&named(name), What::FileGone, when));
        }
    }
    let scenario = named("finpay-good");
    let sent = call_of(&scenario, "TopUp").expect("a top-up is sent");
    let unheard = Fault { at: sent, what: What::Error(0), when: When::After };
    assert_sound(&second(&scenario, unheard, (What::FileGone, When::Before), 1));
}

#[test]
fn m13_a_file_that_nobody_looks_at_is_found() {
    let findings = found(Mistake::FileUnseen, What::FileGone, When::Before);
    assert_found(&findings, "is lost");
}

/// A clock that is wrong by days, and a restart that believes it: the providers' time says otherwise (M17).
#[test]
fn m17_no_wrong_clock_decides_about_a_not_after() {
    const DAY: i64 = 86_400_000;
    for name in ["in-an-hour", "soon-over"] {
        for by in [3 * DAY, -3 * DAY] {
            let set = (What::ClockSet(by), When::Before);
            assert_sound(&pairs(&named(name), set, ([What::Boot, What::Crash][usize::from(by > 0)], When::Before), 97));
        }
        assert_sound(&sweep(&named(name), What::Freeze(Duration::from_secs(30)), When::Before));
    }
}

#[test]
fn m17_a_provider_that_does_not_tell_its_time_leaves_a_wrong_clock_to_decide() {
    const DAY: i64 = 86_400_000;
    let with = |mistake, scenario: &str, by| {
        let set = Fault { at: 1, what: What::ClockSet(by), when: When::Before };
        let plans = (2..9).map(|at| {
            let faults = vec![set, Fault { at, what: What::Crash, when: When::Before }];
            Plan { scenario: named(scenario), faults, seed: at }
        });
        plans.flat_map(|plan| play_with(&plan, mistake, false).findings).collect::<Vec<_>>()
    };
    assert_found(&with(Mistake::NoDate, "in-an-hour", DAY), "was told as expired before its notAfter");
    assert_eq!(with(Mistake::None, "in-an-hour", DAY), [""; 0]);
}

/// A life that began with a clock that is ahead by days, which is put right before the message comes.
#[test]
fn m17_a_not_after_that_goes_by_the_newest_time_ever_noted_is_found() {
    const DAY: i64 = 86_400_000;
    let scenario = named("in-an-hour");
    let delivered = call_of(&scenario, "Deliver").expect("it is delivered");
    let set = |at, by| Fault { at, what: What::ClockSet(by), when: When::Before };
    let ends = |at| Fault { at, what: What::Crash, when: When::Before };
    // The second life's calls come after the one at which the first one ended.
    let again = 1 + delivered;
    let faults = vec![set(1, 3 * DAY), ends(1), set(again, -3 * DAY), ends(again)];
    let plan = Plan { scenario, faults, seed: 1 };
    let with = |mistake| play_with(&plan, mistake, false).findings;
    assert_found(&with(Mistake::NewestTime), "was told as expired before its notAfter");
    assert_eq!(with(Mistake::NoDate), [""; 0], "the clock was put right");
    assert_eq!(with(Mistake::None), [""; 0]);
}

/// An operator whose command takes long acts on what they were shown, or finds that it has moved on (C13).
#[test]
fn c13_an_operator_with_old_knowledge_tells_nothing_that_is_not_so() {
    let mut told = Vec::new();
    for name in ["answers-lost", "requests-lost", "two-answers-lost"] {
        let scenario = named(name);
        let from = call_of(&scenario, "Plan").expect("an operator replays");
        for asked in from - 4..from {
            for later in (4..28).step_by(4) {
                let faults = vec![
                    Fault { at: asked, when: When::After, what: What::CheckAsked },
                    Fault { at: asked + later, when: When::Before, what: What::CheckTold },
                ];
                let plan = Plan { scenario: scenario.clone(), faults, seed: later };
                assert_eq!(play(&plan).findings, Vec::<String>::new(), "{plan}");
                told.extend(play_with(&plan, Mistake::ToldByGuess, false).findings);
            }
        }
    }
    assert_found(&told, "was told as");
}
