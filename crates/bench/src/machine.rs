//! Where it was measured: what the figures depend on and what makes them comparable.

use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Serialize;

use crate::stage::Stage;

/// A machine.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Machine {
    cores: usize,
    processor: String,
    memory_mib: u64,
    rabbitmq: String,
    /// A flush of 4 KiB on the disk of the stores, in milliseconds: the median of some.
    flush_ms: f64,
    /// The stores are in memory, where a flush costs nothing.
    in_memory: bool,
}

impl Machine {
    /// This one, with the disk of the stores.
    pub(crate) fn look(stage: &Stage) -> anyhow::Result<Self> {
        let dir = stage.path();
        let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        Ok(Self {
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            processor: field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown processor".to_owned()),
            memory_mib: memory
                .and_then(|kib| kib.trim_end_matches(" kB").parse().ok())
                .map_or(0, |kib: u64| kib / 1024),
            rabbitmq: stage.broker.version().unwrap_or_else(|| "of an unknown version".to_owned()),
            flush_ms: flush(dir)?.as_secs_f64() * 1000.0,
            in_memory: is_in_memory(dir),
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, processor, memory_mib, rabbitmq, flush_ms, in_memory } = self;
        write!(
            f,
            "{cores} cores of {processor}, {memory_mib} MiB, RabbitMQ {rabbitmq}, a flush takes {flush_ms:.2} ms"
        )?;
        if *in_memory {
            write!(f, "\nTHE STORES ARE IN MEMORY: durability costs nothing there; name a disk with --dir")?;
        }
        Ok(())
    }
}

fn flush(dir: &Path) -> anyhow::Result<Duration> {
    let path = dir.join("flush");
    let mut file = File::create(&path).context("failed to write to the directory of the stores")?;
    let mut took = Vec::new();
    for _ in 0..101 {
        file.write_all(&[7; 4096]).context("failed to write to the directory of the stores")?;
        let started = Instant::now();
        file.sync_data().context("failed to flush the disk of the stores")?;
        took.push(started.elapsed());
    }
    std::fs::remove_file(&path).context("failed to remove a file")?;
    took.sort_unstable();
    Ok(took[took.len() / 2])
}

/// tmpfs and ramfs.
fn is_in_memory(dir: &Path) -> bool {
    const MAGIC: [u64; 2] = [0x0102_1994, 0x8584_58f6];
    rustix::fs::statfs(dir).is_ok_and(|at| u64::try_from(at.f_type).is_ok_and(|kind| MAGIC.contains(&kind)))
}
