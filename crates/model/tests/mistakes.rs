//! Each planted mistake is found, by the property that it breaks, in as few steps as can be.

use model::mistake::Mistake;
use model::property::Property;
use model::scene::Scene;
use model::scenes;
use model::search::{Limits, Violation};
use model::system::System;

#[expect(clippy::print_stdout, reason = "the shortest way is what a reader of a failure wants to see")]
/// Explores a scene with a mistake in it; only one property counts, so that it is the one that finds it.
fn found(scene: &str, mistake: Mistake, property: Property) -> Violation {
    let named = |name: &str| scenes::default().into_iter().find(|(each, _)| each.name == name).expect("a scene").0;
    let scene = match scene {
        // A circle is looked for when everything has been seen: no faults are needed to come into one.
        "plain" => Scene::PLAIN,
        "restored twice" => Scene { faults: Some(6), ..named("restored") },
        "restored after a doubt" => Scene { faults: Some(3), attempts: 2, ..named("restored") },
        "an unknown key" => Scene { asks_on: true, forgets: true, ..Scene::forgotten_key() },
        name => named(name),
    };
    let found = System::new(scene, Some(mistake)).explore(&[property], Limits { states: 6_000_000, ..Limits::NONE });
    let violation = found.violation.unwrap_or_else(|| panic!("{mistake:?} was not found in {} states", found.states));
    println!("{mistake:?} is found after {} of {} states\n{violation}", violation.trace.len(), found.states);
    assert_eq!(violation.property, property);
    violation
}

macro_rules! planted {
    ($($test:ident: $mistake:ident in $scene:literal breaks $property:ident in $steps:literal,)*) => {
        $(
            #[test]
            fn $test() {
                let violation = found($scene, Mistake::$mistake, Property::$property);
                assert_eq!(violation.trace.len(), $steps, "the shortest way\n{violation}");
            }
        )*

        #[test]
        fn every_mistake_is_planted() {
            let planted = [$(Mistake::$mistake),*];
            for mistake in Mistake::ALL {
                assert!(planted.contains(&mistake), "{mistake:?} is planted nowhere");
            }
        }
    };
}

planted! {
    m2_a_doubt_that_is_sent_again: ResendsOnDoubt in "worker" breaks CreditedOnce in 10,
    m1_an_attempt_that_a_restart_sends_again: ResendsAfterRestart in "worker" breaks CreditedOnce in 12,
    m4_not_found_believed_at_once: BelievesNotFoundAtOnce in "worker" breaks CreditedOnce in 14,
    m4_the_quiet_period_ignored: IgnoresTheQuietPeriod in "worker" breaks CreditedOnce in 18,
    m4_the_quiet_period_from_the_beginning: QuietFromTheBeginning in "worker" breaks CreditedOnce in 19,
    m4_one_late_not_found: OneLateNotFoundIsEnough in "worker" breaks ResentOnProof in 13,
    m4_a_row_that_nothing_breaks: RowIsNotBroken in "worker" breaks ResentOnProof in 19,
    m4_the_window_ignored: IgnoresTheWindow in "window" breaks CreditedOnce in 23,
    m4_what_was_accepted_sent_again: ResendsWhatWasAccepted in "worker" breaks CreditedOnce in 19,
    m3_a_refusal_that_clears_an_older_doubt: RefusalClearsDoubt in "overdue" breaks RejectedIsUnpaid in 21,
    checks_that_never_shrink: ChecksNeverShrink in "plain" breaks ComesToRest in 73,
    attempts_that_never_shrink: AttemptsNeverShrink in "plain" breaks ComesToRest in 13,
    m6_doubt_that_times_out_into_failed: DoubtTimesOut in "worker" breaks RejectedIsUnpaid in 22,
    m8_a_timeout_taken_for_not_sent: TimeoutIsNotSent in "worker" breaks CreditedOnce in 11,
    m7_in_progress_taken_for_paid: PendingIsPaid in "worker" breaks SuccessIsPaid in 6,
    m7_in_progress_taken_for_failed: PendingIsFailed in "worker" breaks RejectedIsUnpaid in 10,
    m7_another_amount_taken_for_success: MismatchIsPaid in "worker" breaks SuccessIsPaid in 6,
    m4_a_replay_that_skips_the_question: ReplaySkipsTheQuestion in "operators" breaks CreditedOnce in 16,
    a_replay_of_what_was_refunded: ReplaysRefunds in "operators" breaks CreditedOnce in 17,
    m4_not_found_to_an_operator_taken_for_proof: OperatorsNotFoundIsProof in "operators" breaks CreditedOnce in 18,
    a_replay_of_what_ended: ReplaysWhatEnded in "operators" breaks EndedStays in 7,
    m1_a_top_up_before_its_intent: SendsBeforeTheIntent in "worker" breaks IntentFirst in 3,
    m10_a_stale_copy_that_writes: StaleCopyWrites in "two" breaks CreditedOnce in 11,
    m12_an_ack_before_the_commit: AcksBeforeCommit in "edges" breaks NothingIsLost in 2,
    an_outcome_marked_before_its_confirm: MarksBeforeConfirm in "edges" breaks MarkedIsPublished in 9,
    an_event_in_a_transaction_of_its_own: EventApart in "edges" breaks OutcomeHasItsEvent in 7,
    a_start_that_forgets_what_was_driven: StartForgetsTheDriven in "worker" breaks NothingIsForgotten in 3,
    m12_an_old_copy_that_is_trusted: TrustsOldCopies in "restored" breaks CreditedOnce in 14,
    m12_a_second_restore_with_the_time_of_the_first: KeepsTheFirstRestore in "restored twice" breaks CreditedOnce in 27,
    m12_a_replay_in_a_restored_store: ForgetsTheReplay in "restored and replayed" breaks CreditedOnce in 25,
    m12_an_unknown_key_taken_for_a_new_one: TakesUnknownForNew in "an unknown key" breaks CreditedOnce in 26,
    m15_anothers_answer_that_is_believed: BelievesAnothersAnswer in "astray" breaks CreditedOnce in 11,
    m2_what_the_provider_knows_forgotten: ForgetsWhatTheProviderKnows in "astray" breaks CreditedOnce in 22,
    m12_a_restored_doubt_that_keeps_its_row: RestoreKeepsTheRow in "restored after a doubt" breaks ResentOnProof in 21,
    m14_another_account_that_is_asked: AsksTheWrongAccount in "accounts" breaks CreditedOnce in 21,
    m14_what_is_forgotten_taken_for_the_present_accounts: TakesOneForAll in "restored elsewhere" breaks CreditedOnce in 24,
    m16_an_intent_without_a_fuse: IntentWithoutFuse in "waits" breaks CreditedOnce in 19,
    m16_what_comes_late_is_dropped: DropsWhatComesLate in "two" breaks LateIsKept in 6,
}
