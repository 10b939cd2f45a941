//! What the process has used, from the kernel's own books, and what its commits took.

use std::{
    fs,
    ops::Sub,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use outbox::{CommitObserver, CommitSample};

/// CPU and written bytes since the process began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// CPU of all threads.
    pub(crate) process: Duration,
    /// CPU of the store's writer thread.
    pub(crate) writer: Duration,
    /// CPU of the store's housekeeper.
    pub(crate) keeper: Duration,
    /// Bytes the writer thread has written: the WAL.
    pub(crate) wal_bytes: u64,
    /// Bytes the housekeeper has written: the file itself.
    pub(crate) file_bytes: u64,
}

impl Usage {
    pub(crate) fn now() -> Self {
        let mut usage = Self::default();
        for task in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
            let read = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default();
            let cpu = Duration::from_nanos(first_number(&read("schedstat")));
            let written = read("io").lines().find_map(|line| line.strip_prefix("wchar: ")?.parse().ok()).unwrap_or(0);
            match read("comm").trim_end() {
                "outbox-writer" => (usage.writer, usage.wal_bytes) = (cpu, written),
                "outbox-keeper" => (usage.keeper, usage.file_bytes) = (cpu, written),
                _ => {}
            }
            usage.process += cpu;
        }
        usage
    }
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            process: self.process.saturating_sub(before.process),
            writer: self.writer.saturating_sub(before.writer),
            keeper: self.keeper.saturating_sub(before.keeper),
            wal_bytes: self.wal_bytes.saturating_sub(before.wal_bytes),
            file_bytes: self.file_bytes.saturating_sub(before.file_bytes),
        }
    }
}

fn first_number(text: &str) -> u64 {
    text.split_ascii_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// Memory of this process, its share of shared pages counted in, in KiB.
pub(crate) fn pss_kib() -> u64 {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    rollup.lines().find_map(|line| Some(first_number(line.strip_prefix("Pss:")?))).unwrap_or(0)
}

/// The commits since the last [`Commits::take`].
#[derive(Clone, Default)]
pub(crate) struct Commits {
    seen: Arc<Mutex<Vec<(Instant, CommitSample)>>>,
}

impl Commits {
    pub(crate) fn observer(&self) -> CommitObserver {
        let seen = Arc::clone(&self.seen);
        Arc::new(move |sample| seen.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), sample)))
    }

    pub(crate) fn take(&self) -> Spread {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        let mut took: Vec<Duration> = seen.iter().map(|(_, sample)| sample.took).collect();
        took.sort_unstable();
        let at = |part: usize| took.get((took.len() * part / 1000).min(took.len().saturating_sub(1))).copied();
        Spread {
            commits: took.len(),
            commands: seen.iter().map(|(_, sample)| sample.commands).sum(),
            p50: at(500).unwrap_or_default(),
            p99: at(990).unwrap_or_default(),
            max: at(1000).unwrap_or_default(),
            gap: seen.windows(2).map(|pair| pair[1].0 - pair[0].0).max().unwrap_or_default(),
        }
    }
}

/// How long commits took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) commits: usize,
    pub(crate) commands: usize,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) max: Duration,
    /// The longest time from the end of one to the end of the next: how long the writer stood still at most.
    pub(crate) gap: Duration,
}
