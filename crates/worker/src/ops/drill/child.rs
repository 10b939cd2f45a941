//! The drilled worker: this executable as a process of its own, and its commands beside it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::config::Environment;
use crate::ops::simulated::random::Random;

/// A start on a machine that is busy.
const START_LIMIT: Duration = Duration::from_secs(60);
/// A command that takes longer hangs.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);
/// An order to stop is followed by then.
const STOP_LIMIT: Duration = Duration::from_secs(45);
const LOOK_EVERY: Duration = Duration::from_millis(10);
const PAGE_LIMIT: Duration = Duration::from_secs(2);
/// What the worker finds of the shell's environment: not the settings meant for another worker.
const INHERITED: [&str; 6] = ["PATH", "HOME", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH"];
const SHELL: &str = "/bin/sh";
/// Ignores the signal of the limit on file sizes, so that it is an error of the write, as a full disk is.
const IGNORING_LIMITS: &str = "trap '' XFSZ; exec \"$0\" \"$@\"";
/// The exit code of an address that cannot be listened on, and of a store that somebody has.
const USAGE: i32 = 2;

/// Whether the size of files can be limited from outside, and the worker be made to see it as an error.
pub(super) fn can_limit_writes() -> bool {
    cfg!(target_os = "linux") && Path::new(SHELL).exists()
}

/// Starts commands of this executable on one configuration.
#[derive(Clone, Debug)]
pub(super) struct Commands {
    program: PathBuf,
    config: PathBuf,
    environment: Vec<(String, String)>,
}

impl Commands {
    /// This executable on `config`, with `overrides` of it.
    pub(super) fn new(
        config: &Path,
        environment: &Environment,
        overrides: &[(String, String)],
    ) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("failed to find this executable")?;
        let inherited = INHERITED.iter().filter_map(|&name| Some((name.to_owned(), environment.get(name)?.to_owned())));
        let environment = inherited.chain(overrides.iter().cloned()).collect();
        Ok(Self { program, config: config.to_owned(), environment })
    }

    /// The same with more in their environment.
    pub(super) fn with(&self, more: &[(&str, &str)]) -> Self {
        let mut changed = self.clone();
        changed.environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        changed
    }

    fn command(&self, wrapped: bool) -> Command {
        let mut command = if wrapped {
            let mut shell = Command::new(SHELL);
            shell.args(["-c", IGNORING_LIMITS]).arg(&self.program);
            shell
        } else {
            Command::new(&self.program)
        };
        command.arg("-c").arg(&self.config).args(["--color", "never"]).env_clear();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        // Ctrl-C is for the drill, which ends what it started.
        command.process_group(0).kill_on_drop(true);
        command
    }

    /// Runs a command to its end; `None` where it does not come to one.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) async fn ask(&self, args: &[&str], input: &[u8]) -> anyhow::Result<Option<Output>> {
        let mut command = self.command(false);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("failed to start worker {}", args.join(" ")))?;
        let stdin = child.stdin.take();
        let talk = async {
            if let Some(mut stdin) = stdin {
                // A command that does not read to the end says by its exit code why.
                drop(stdin.write_all(input).await);
                drop(stdin.shutdown().await);
            }
        };
        let both = async { tokio::join!(child.wait_with_output(), talk).0 };
        match timeout(COMMAND_LIMIT, both).await {
            Ok(output) => Ok(Some(output.context("failed to wait for a command")?)),
            Err(_late) => Ok(None),
        }
    }

    /// Runs a command that must succeed, and reads the JSON objects it prints, one a line.
    ///
    /// # Errors
    /// It fails, hangs, or prints something else.
    pub(super) async fn lines<T: serde::de::DeserializeOwned>(&self, args: &[&str]) -> anyhow::Result<Vec<T>> {
        let named = args.join(" ");
        let output = self.ask(&[args, &["-o", "jsonl"]].concat(), b"").await?;
        let output = output.with_context(|| format!("worker {named} hangs"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "worker {named} failed with {}: {said}", output.status);
        let text = String::from_utf8(output.stdout).with_context(|| format!("worker {named} prints no UTF-8"))?;
        let read = |line| serde_json::from_str(line).with_context(|| format!("worker {named} prints {line}"));
        text.lines().map(read).collect()
    }
}

/// How a start ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Started {
    /// It is ready.
    Ready(Duration),
    /// It ended by itself.
    Ended(ExitStatus),
    /// It runs, and does not get ready.
    Late,
}

/// A process that does not outlive the drill, however the drill ends.
#[derive(Debug)]
struct Process {
    child: Child,
    since: Instant,
    /// A shell that kills it once the drill's end of its input is closed.
    _leash: Option<Child>,
}

/// `worker run`.
#[derive(Debug)]
pub(super) struct Worker {
    commands: Commands,
    /// What `run` alone is told: the line to the broker.
    own: Vec<(String, String)>,
    /// What it is told beside that from its next start on.
    surroundings: Vec<(String, String)>,
    http: SocketAddr,
    log: PathBuf,
    random: Random,
    process: Option<Process>,
    /// Copies what the process says into the log, whatever limits the process is under.
    pumps: JoinSet<()>,
}

impl Worker {
    /// One that does not run yet. `seed` chooses ports only.
    pub(super) fn new(commands: Commands, own: Vec<(String, String)>, log: PathBuf, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let http = free_address(&mut random);
        Self { commands, own, surroundings: Vec::new(), http, log, random, process: None, pumps: JoinSet::new() }
    }

    /// Puts this into its environment from its next start on, and nothing else beside its own.
    pub(super) fn surround(&mut self, more: Vec<(String, String)>) {
        self.surroundings = more;
    }

    /// Starts it, and does not wait.
    ///
    /// # Errors
    /// The process cannot be started, or the log not be written.
    pub(super) async fn spawn(&mut self) -> anyhow::Result<()> {
        let mut log = tokio::fs::OpenOptions::new().create(true).append(true).open(&self.log).await?;
        let mut command = self.commands.command(can_limit_writes());
        command.arg("run").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.env("WORKER__HTTP__LISTEN", self.http.to_string());
        command.envs(self.own.iter().chain(&self.surroundings).map(|(name, value)| (name, value)));
        let mut child = command.spawn().context("failed to start worker run")?;
        if let Some(mut said) = child.stderr.take() {
            self.pumps.spawn(async move {
                if let Err(error) = tokio::io::copy(&mut said, &mut log).await {
                    tracing::debug!(%error, "the worker's log is not whole");
                }
            });
        }
        while self.pumps.try_join_next().is_some() {}
        let leash = child.id().and_then(leash);
        self.process = Some(Process { child, since: Instant::now(), _leash: leash });
        Ok(())
    }

    /// Starts it, unless it runs, and waits until it is ready.
    ///
    /// # Errors
    /// As [`Worker::spawn`].
    pub(super) async fn start(&mut self) -> anyhow::Result<Started> {
        for _ in 0..5 {
            if self.process.is_none() {
                self.spawn().await?;
            }
            let started = self.until_ready().await?;
            match started {
                // Somebody took the port in the meantime.
                Started::Ended(status) if status.code() == Some(USAGE) => self.http = free_address(&mut self.random),
                _ => return Ok(started),
            }
        }
        anyhow::bail!(
            "worker run finds no port to listen on, or a configuration it cannot use; see {}",
            self.log.display()
        )
    }

    async fn until_ready(&mut self) -> anyhow::Result<Started> {
        loop {
            if let Some(status) = self.ended()? {
                return Ok(Started::Ended(status));
            }
            let since = self.process.as_ref().map_or(Duration::ZERO, |process| process.since.elapsed());
            if self.page("/readyz").await.is_some_and(|page| page.starts_with("HTTP/1.1 200")) {
                return Ok(Started::Ready(since));
            }
            if since > START_LIMIT {
                return Ok(Started::Late);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Its exit status, once, where it has ended.
    ///
    /// # Errors
    /// The system does not tell.
    pub(super) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let Some(process) = &mut self.process else { return Ok(None) };
        let status = process.child.try_wait().context("failed to look after the worker")?;
        if status.is_some() {
            self.process = None;
        }
        Ok(status)
    }

    /// `kill -9`; whether there was anything to kill.
    ///
    /// # Errors
    /// The system does not do it.
    pub(super) async fn kill(&mut self) -> anyhow::Result<bool> {
        let Some(mut process) = self.process.take() else { return Ok(false) };
        process.child.kill().await.context("failed to kill the worker")?;
        Ok(true)
    }

    /// Orders it to stop, and waits until it has.
    ///
    /// # Errors
    /// The signal cannot be sent. `None`: it did not stop in time.
    pub(super) async fn stop(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.signal(Signal::TERM)?;
        let Some(process) = &mut self.process else { return Ok(None) };
        let status = timeout(STOP_LIMIT, process.child.wait()).await;
        self.process = None;
        status.ok().transpose().context("failed to wait for the worker")
    }

    /// Sends a signal, where it runs.
    ///
    /// # Errors
    /// The system does not do it.
    pub(super) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        match self.pid() {
            Some(pid) => kill_process(pid, signal).context("failed to send the worker a signal"),
            None => Ok(()),
        }
    }

    /// Its process id, where it runs.
    pub(super) fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.process.as_ref()?.child.id()?).ok()?)
    }

    /// Limits the size of files to so many bytes, or not at all.
    ///
    /// # Errors
    /// The system does not do it.
    #[cfg(target_os = "linux")]
    pub(super) fn limit_files(&self, bytes: Option<u64>) -> anyhow::Result<()> {
        use rustix::process::{Resource, Rlimit, prlimit};
        let limit = Rlimit { current: bytes, maximum: None };
        prlimit(self.pid(), Resource::Fsize, limit).map(drop).context("failed to limit the size of files")
    }

    /// Not here: see [`can_limit_writes`].
    #[cfg(not(target_os = "linux"))]
    pub(super) fn limit_files(&self, _bytes: Option<u64>) -> anyhow::Result<()> {
        anyhow::bail!("the size of files cannot be limited here")
    }

    /// The sum over a metric's samples; `None` while it does not answer.
    pub(super) async fn metric(&self, name: &str) -> Option<u64> {
        let page = self.page("/metrics").await?;
        let samples = page.lines().filter_map(|line| line.strip_prefix(name));
        let values = samples.filter(|rest| rest.starts_with(['{', ' '])).filter_map(|rest| rest.rsplit(' ').next());
        Some(values.filter_map(|value| value.split('.').next()?.parse::<u64>().ok()).sum())
    }

    /// A page of its health server, head and body; `None` while it does not answer.
    async fn page(&self, path: &str) -> Option<String> {
        let asked = async {
            let mut stream = TcpStream::connect(self.http).await?;
            let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.http);
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.map(|_| answer)
        };
        timeout(PAGE_LIMIT, asked).await.ok()?.ok()
    }
}

/// Holds a process on a leash; where there is no shell it runs free.
fn leash(pid: u32) -> Option<Child> {
    let mut shell = Command::new(SHELL);
    shell.args(["-c", &format!("cat >/dev/null; kill -s KILL {pid}")]);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // Killed before its input closes where the leash is no longer needed: it does nothing then.
    shell.process_group(0).kill_on_drop(true).spawn().ok()
}

/// An address on loopback that is free now, below the ports the system takes for outgoing connections.
fn free_address(random: &mut Random) -> SocketAddr {
    loop {
        let port = 10_000 + u16::try_from(random.below(20_000)).unwrap_or(0);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if std::net::TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
