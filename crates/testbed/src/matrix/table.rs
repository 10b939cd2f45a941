//! The rows and columns of the matrix, and which cells there are.

use super::Fault::{
    self, Blocked, BrokerDown, ClockJump, Conflict, DiskFull, Duplicate, Garbage, HalfOpen, IoError, Kill, PowerLoss,
    Reset, Stop, Timeout, TooMany, Unauthorized, Zombie,
};
use super::Point::{self, *};
use super::Technique;

/// A table of the matrix.
#[derive(Debug)]
pub struct Table {
    /// What it is about.
    pub title: &'static str,
    /// Its columns.
    pub faults: &'static [Fault],
    /// Its rows.
    pub rows: &'static [Row],
}

/// A row: a point, or several that a fault cannot tell apart.
#[derive(Debug)]
pub struct Row {
    /// Its number, or two.
    pub number: &'static str,
    /// What it is about.
    pub name: &'static str,
    /// Its points.
    pub points: &'static [Point],
    /// Its cells: the faults that mean something there.
    pub faults: &'static [Fault],
}

const fn row(number: &'static str, name: &'static str, points: &'static [Point], faults: &'static [Fault]) -> Row {
    Row { number, name, points, faults }
}

const ALL: &[Fault] = &[Kill, Stop, PowerLoss, DiskFull, IoError, ClockJump, Zombie, Duplicate];
/// Where no job is delivered, or no longer matters.
const BUT_DUPLICATE: &[Fault] = &[Kill, Stop, PowerLoss, DiskFull, IoError, ClockJump, Zombie];
const BROKER: &[Fault] = &[BrokerDown, HalfOpen, Blocked];
const PROVIDER: &[Fault] = &[Timeout, Reset, Garbage, Unauthorized, TooMany, Conflict];

/// Crashes, storage, clocks, and whoever else is at work.
pub const CRASHES: Table = Table {
    title: "crashes, storage, concurrency",
    faults: ALL,
    rows: &[
        row("1", "delivered, not recorded", &[Delivered], ALL),
        row("2", "record committed, result not seen", &[Recording], ALL),
        row("3", "recorded, not acknowledged", &[Recorded], ALL),
        row("4", "acknowledged, lost on the wire", &[Acknowledged], ALL),
        row("5", "ready, not begun", &[Waiting], ALL),
        row("6", "account inquiry sent, no reply", &[InquirySent], ALL),
        row("7", "account inquiry answered, not seen", &[InquiryAnswered], ALL),
        row("8", "account known, no intent", &[Inquired], ALL),
        row("9", "intent being committed", &[Intending], ALL),
        row("10", "intent recorded, nothing on the wire", &[Intended], ALL),
        row("11", "top-up on the wire, no reply", &[TopUpSent], ALL),
        row("12", "top-up answered, not recorded", &[TopUpAnswered], ALL),
        row("13", "end and event recorded, not published", &[Ended], ALL),
        row("14", "event published, confirm pending", &[Published], BUT_DUPLICATE),
        row("15", "confirm received, not marked", &[Confirmed], BUT_DUPLICATE),
        row("16", "status inquiry sent, no reply", &[StatusSent], ALL),
        row("17", "status inquiry answered, not recorded", &[StatusAnswered], BUT_DUPLICATE),
        row("18", "second not-found recorded, no intent", &[ProvenUnpaid], ALL),
        row("19", "dead letter recorded, not published", &[Dead], BUT_DUPLICATE),
        row("20", "dead letter published, not marked", &[DeadPublished], BUT_DUPLICATE),
        row("21", "replay recorded, job not moved", &[Replaying], ALL),
        row("22", "replay of many half done", &[HalfReplayed], ALL),
        row("23", "dead letter read, not acknowledged", &[DeadRead], &[Kill, Stop, PowerLoss, Duplicate]),
        row("24", "recovery itself", &[Recovering], ALL),
        row("25", "checkpoint, copy, migration, shrinking", &[Maintaining], BUT_DUPLICATE),
        row("26", "store missing, older or another's", &[Restored], ALL),
    ],
};

/// The broker and the provider.
pub const NETWORK: Table = Table {
    title: "broker and provider",
    faults: &[BrokerDown, HalfOpen, Blocked, Timeout, Reset, Garbage, Unauthorized, TooMany, Conflict],
    rows: &[
        row("1-4", "receiving and acknowledging", &[Delivered, Recording, Recorded, Acknowledged], BROKER),
        row("5", "ready, not begun", &[Waiting], BROKER),
        row("6-7", "account inquiry", &[InquirySent, InquiryAnswered], PROVIDER),
        row("8-9", "before the top-up is sent", &[Inquired, Intending], &[Unauthorized, TooMany]),
        row("11-12", "top-up", &[TopUpSent, TopUpAnswered], PROVIDER),
        row("13-15", "publishing an outcome", &[Ended, Published, Confirmed], BROKER),
        row("14b", "confirm says returned, or refused", &[Returned], &[BrokerDown]),
        row("16-17", "status inquiry", &[StatusSent, StatusAnswered], PROVIDER),
        row("19-20", "publishing a dead letter", &[Dead, DeadPublished], BROKER),
        row("27", "consumer cancelled, queue gone", &[QueueGone], &[BrokerDown]),
        row("28", "stopping while blocked or cut", &[StoppingCut], &[BrokerDown, HalfOpen, Blocked, Timeout]),
    ],
};

/// The row of this cell; `None`: there is no such cell.
pub fn row_of(point: Point, fault: Fault) -> Option<&'static Row> {
    let tables = [&CRASHES, &NETWORK];
    let mut rows = tables.into_iter().filter(|table| table.faults.contains(&fault)).flat_map(|table| table.rows);
    rows.find(|row| row.points.contains(&point) && row.faults.contains(&fault))
}

impl Row {
    /// What would bring this fault about here.
    pub fn techniques(&self, fault: Fault) -> &'static [Technique] {
        use Technique as T;
        let first = self.points[0];
        match (fault, first) {
            (_, Replaying | HalfReplayed | DeadRead) => &[T::Operators],
            (_, Restored) => &[T::Restore],
            (_, Recovering) => &[T::Recovery, T::Simulation],
            (PowerLoss, _) => &[T::PowerLoss],
            (DiskFull, _) => &[T::Disk, T::Simulation],
            (IoError, _) => &[T::SystemCalls, T::Disk, T::Simulation],
            (_, Maintaining) => &[T::SystemCalls, T::Disk, T::TwoWorkers],
            (Kill, _) => &[T::Simulation, T::SystemCalls],
            (Stop, _) => &[T::Simulation, T::Broker],
            (ClockJump, _) => &[T::Clock, T::Simulation],
            (Zombie, _) => &[T::TwoWorkers],
            (Duplicate, _) => &[T::Simulation, T::Histories],
            (BrokerDown | Blocked, _) => &[T::Broker],
            (HalfOpen, _) => &[T::Proxy, T::Broker],
            (Timeout | Reset | Garbage | Unauthorized | TooMany | Conflict, _) => &[T::Provider, T::Simulation],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_point_has_a_row_and_each_cell_is_found_again() {
        for &point in Point::ALL {
            assert!(Fault::ALL.iter().any(|&fault| row_of(point, fault).is_some()), "{point:?}");
        }
        for table in [&CRASHES, &NETWORK] {
            for row in table.rows {
                for (&point, &fault) in row.points.iter().flat_map(|point| row.faults.iter().map(move |f| (point, f))) {
                    assert_eq!(row_of(point, fault).unwrap().number, row.number);
                    assert!(table.faults.contains(&fault));
                }
            }
        }
        let cells = |table: &Table| table.rows.iter().map(|row| row.faults.len()).sum::<usize>();
        assert_eq!((CRASHES.rows.len(), cells(&CRASHES), cells(&NETWORK)), (26, 198, 38));
    }

    #[test]
    fn what_means_nothing_at_a_point_is_no_cell() {
        assert!(row_of(Published, Duplicate).is_none());
        assert!(row_of(TopUpSent, BrokerDown).is_none());
        assert!(row_of(Delivered, Timeout).is_none());
    }
}
