//! `worker store clock-corrected`: puts right what was noted while a clock was wrong, where nothing else tells of it (M17).

use engine::{Correction, RejectReason, State};
use outbox::{JobFilter, KnownJob, StoredClock};
use serde::Serialize;
use serde_json::json;
use snap_core::Timestamp;

use crate::cli::StoreClockArgs;
use crate::exit::CommandError;
use crate::ops::act::{Actor, ask};
use crate::ops::{Desk, stdout};
use crate::output::{counted, moment};

/// Jobs read at a time.
const PART: usize = 500;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Done {
    wrong_since: String,
    /// Jobs, dead letters among them, whose times are put right.
    jobs: u64,
    /// Jobs that were rejected since then because their `notAfter` had passed: they were told, and stay.
    expired: u64,
    changed: bool,
    dry_run: bool,
}

pub(super) async fn corrected(args: &StoreClockArgs, desk: &Desk<'_>) -> Result<(), CommandError> {
    let (act, wrong_since) = (&args.act, args.wrong_since.at(desk.now));
    let correction = Correction { now: desk.now, ahead: None, unknown_since: Some(wrong_since) };
    let (jobs, expired) = (desk.store.wrong_times(correction).await?, expired(wrong_since, desk).await?);
    desk.output.say(&format!(
        "{}, dead letters among them, noted times since {} or after now: each that waits is looked at now, its quiet period \
         begins anew, and \"not found\" proves nothing about an attempt of that time",
        counted(jobs, "job"),
        moment(wrong_since),
    ));
    if expired > 0 {
        desk.output.say(&format!(
            "{} rejected as expired since then: producers were told, and nothing was paid; look at them with \
             `worker jobs list --state rejected`",
            if expired == 1 { "1 job was".to_owned() } else { format!("{expired} jobs were") },
        ));
    }
    let done =
        |jobs, changed| Done { wrong_since: wrong_since.to_rfc3339(), jobs, expired, changed, dry_run: act.dry_run };
    if act.dry_run {
        return desk.output.object(&done(jobs, false), String::new).map_err(stdout);
    }
    ask(act, desk.output, "was the clock wrong since then, and is it right now?")?;
    let shown = json!({ "wrongSince": wrong_since.to_rfc3339(), "jobs": jobs, "expired": expired });
    let audit = Actor::of(act, desk.environment).audit(desk.now, "clock_corrected", "store", shown);
    // Ages are vouched for from now on only.
    let clock = desk.store.clock().await?.map(|clock| StoredClock { known_since: desk.now, ..clock });
    let jobs = desk.store.set_clock(clock, Some(correction), Some(audit)).await?;
    let text = || format!("{} put right: start the worker\n", counted(jobs, "job"));
    desk.output.object(&done(jobs, true), text).map_err(stdout)
}

/// Jobs accepted since then that ended as expired.
async fn expired(since: Timestamp, desk: &Desk<'_>) -> Result<u64, CommandError> {
    let filter = JobFilter { states: vec!["rejected".to_owned()], since: Some(since), ..JobFilter::default() };
    let (mut expired, mut after) = (0, None);
    loop {
        let page = desk.store.jobs(filter.clone(), after, PART).await?;
        for job in page.items.into_iter().filter_map(KnownJob::whole) {
            expired += u64::from(job.job.state == State::Rejected { reason: RejectReason::Expired });
        }
        after = page.next;
        if after.is_none() {
            return Ok(expired);
        }
    }
}
