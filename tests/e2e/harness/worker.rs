//! The real binary as a process: configured, started, killed, stopped, asked.

use std::fmt::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use snap_sim::Credentials;

use super::http::{self, Page};
use super::{Job, Leash, eventually_now, free_port, setting};

/// Start, or stop, of a worker in the development profile on a busy machine.
pub(crate) const PROCESS_LIMIT: Duration = Duration::from_secs(60);

/// What a test says about the worker's configuration; the rest is as the contract's example.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The broker; without it the worker runs from its store alone.
    pub(crate) amqp_url: Option<String>,
    /// The prefix of the topology.
    pub(crate) namespace: String,
    /// Whether the worker makes the topology.
    pub(crate) declare: bool,
    /// Unacknowledged deliveries at a time.
    pub(crate) prefetch: u32,
    /// Health and metrics.
    pub(crate) http_port: u16,
    /// `finpay` and `midtrans` with their base URLs.
    pub(crate) providers: Vec<(&'static str, String)>,
    /// What they know us by.
    pub(crate) credentials: Credentials,
    /// The store, relative to the directory of the config, or absolute.
    pub(crate) store: String,
    /// More lines for `[store]`.
    pub(crate) store_extra: String,
    /// `log.level`.
    pub(crate) log_level: &'static str,
    /// Calls to a provider at one time.
    pub(crate) max_in_flight: u32,
    /// Total time of a call.
    pub(crate) request_timeout: Duration,
    /// When a refusal may turn into a resend.
    pub(crate) quiet_period: Duration,
    /// First status inquiry.
    pub(crate) first_after: Duration,
    /// Longest pause between status inquiries.
    pub(crate) interval_max: Duration,
    /// When doubt becomes a dead letter.
    pub(crate) give_up_after: Duration,
    /// How long the provider refuses a repeated reference; `None`: as its profile says.
    pub(crate) uniqueness_window: Option<Duration>,
    /// Pauses of a lane's probe, first and longest.
    pub(crate) probe: (Duration, Duration),
    /// Budget of safe retries.
    pub(crate) attempts: u32,
    /// More lines for `[providers.*]`.
    pub(crate) provider_extra: String,
}

impl Settings {
    /// Days in fractions of a second; long enough apart that a loaded machine does not blur them.
    pub(crate) fn quick(namespace: &str, credentials: &Credentials) -> Self {
        Self {
            amqp_url: None,
            namespace: namespace.to_owned(),
            declare: true,
            prefetch: 64,
            http_port: free_port(),
            providers: Vec::new(),
            credentials: credentials.clone(),
            store: "worker.db".to_owned(),
            store_extra: String::new(),
            log_level: "debug",
            max_in_flight: 32,
            request_timeout: Duration::from_secs(3),
            quiet_period: Duration::from_millis(1500),
            first_after: Duration::from_millis(100),
            interval_max: Duration::from_millis(400),
            give_up_after: Duration::from_secs(120),
            uniqueness_window: None,
            probe: (Duration::from_millis(200), Duration::from_millis(800)),
            attempts: 8,
            provider_extra: String::new(),
        }
    }

    fn toml(&self) -> String {
        let mut text = String::new();
        let mut line = |content: String| writeln!(text, "{content}").expect("a string takes a line");
        if let Some((first, _)) = self.providers.first() {
            line(format!("default_provider = \"{first}\""));
        }
        if let Some(url) = &self.amqp_url {
            line(format!("[amqp]\nurl = \"{url}\"\nnamespace = \"{}\"", self.namespace));
            line(format!("prefetch = {}\ndeclare = {}", self.prefetch, self.declare));
        }
        line(format!("[store]\nurl = \"sqlite:{}\"\n{}", self.store, self.store_extra));
        line(format!("[http]\nlisten = \"127.0.0.1:{}\"", self.http_port));
        line(format!("[log]\nlevel = \"{}\"\nformat = \"json\"", self.log_level));
        let ms = |duration: Duration| format!("\"{}ms\"", duration.as_millis());
        for (name, base_url) in &self.providers {
            let known = &self.credentials;
            line(format!("[providers.{name}]\nprofile = \"{name}\"\nbase_url = \"{base_url}\""));
            line(format!("client_key = \"{}\"\nclient_secret = {{ env = \"E2E_CLIENT_SECRET\" }}", known.client_key));
            line(format!("private_key = {{ file = \"key.pem\" }}\npartner_id = \"{}\"", known.partner_id));
            line(format!("channel_id = \"{}\"\norigin = \"{}\"", known.channel_id, known.origin));
            line(format!("max_in_flight = {}\nconnect_timeout = \"1s\"", self.max_in_flight));
            line(format!("request_timeout = {}", ms(self.request_timeout)));
            line(format!("probe_initial = {}\nprobe_max = {}", ms(self.probe.0), ms(self.probe.1)));
            line(self.provider_extra.clone());
            line(format!(
                "[providers.{name}.retry]\ninitial = \"50ms\"\nmax = \"400ms\"\nattempts = {}",
                self.attempts
            ));
            line(format!("[providers.{name}.status]\nfirst_after = {}", ms(self.first_after)));
            line(format!("interval_max = {}\nquiet_period = {}", ms(self.interval_max), ms(self.quiet_period)));
            line(format!("give_up_after = {}", ms(self.give_up_after)));
            if let Some(window) = self.uniqueness_window {
                line(format!("uniqueness_window = {}", ms(window)));
            }
        }
        text
    }
}

/// A worker: its directory with config, store and log, and its process while it runs.
pub(crate) struct WorkerProc {
    dir: PathBuf,
    settings: Settings,
    process: Option<(Child, Leash)>,
    /// Processes so far.
    pub(crate) lives: u64,
}

impl WorkerProc {
    /// Writes config and key into `dir`; starts nothing.
    pub(crate) fn configure(dir: &Path, settings: &Settings) -> Self {
        std::fs::write(dir.join("worker.toml"), settings.toml()).expect("worker.toml is written");
        let key = settings.credentials.private_key_pem.as_deref().expect("the simulator hands out its key");
        let key_file = dir.join("key.pem");
        std::fs::write(&key_file, key).expect("the key is written");
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&key_file, private).expect("the key is made private");
        Self { dir: dir.to_owned(), settings: settings.clone(), process: None, lives: 0 }
    }

    /// Starts `worker run`, and does not wait.
    pub(crate) fn spawn(&mut self) {
        let mut command = self.command(&["run"]);
        self.spawn_as(&mut command);
    }

    /// Starts `worker run` under a tool that runs what is named by its last arguments, and does not wait.
    pub(crate) fn spawn_under(&mut self, mut tool: Command) {
        let plain = self.command(&["run"]);
        tool.arg(plain.get_program()).args(plain.get_args()).current_dir(&self.dir);
        tool.envs(plain.get_envs().filter_map(|(name, value)| value.map(|value| (name.to_owned(), value.to_owned()))));
        self.spawn_as(&mut tool);
    }

    /// Starts this command as the worker (a wrapper around `worker run`).
    pub(crate) fn spawn_as(&mut self, command: &mut Command) {
        assert!(self.process.is_none(), "one process at a time");
        let log = std::fs::File::options().create(true).append(true).open(self.log_file()).expect("the log opens");
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log is shared"))
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("the worker starts");
        let leash = Leash::tie_group(child.id());
        self.process = Some((child, leash));
        self.lives += 1;
    }

    /// Starts `worker run` and waits until it says that it is ready.
    pub(crate) fn start(&mut self) {
        self.spawn();
        self.wait_ready();
    }

    /// Waits for 200 on `/readyz`.
    pub(crate) fn wait_ready(&mut self) {
        eventually_now(PROCESS_LIMIT, "the worker is ready", || {
            if let Some(status) = self.exited() {
                panic!("the worker ended before it was ready: {status}\n{}", self.log_tail());
            }
            self.readyz().filter(|page| page.status == 200).map(drop)
        });
    }

    /// `kill -9`, of a wrapper around it as well.
    pub(crate) fn kill(&mut self) {
        if let Some((mut child, _leash)) = self.process.take() {
            if let Err(error) = kill_process_group(Pid::from_child(&child), Signal::KILL) {
                assert_eq!(error, rustix::io::Errno::SRCH, "it has ended by itself, or is killed");
            }
            child.wait().expect("the worker is gone");
        }
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let (child, _) = self.process.as_ref().expect("the worker runs");
        kill_process(Pid::from_child(child), signal).expect("the worker gets the signal");
    }

    /// Sends a signal to it and to a wrapper around it.
    pub(crate) fn signal_group(&self, signal: Signal) {
        let (child, _) = self.process.as_ref().expect("the worker runs");
        kill_process_group(Pid::from_child(child), signal).expect("the worker gets the signal");
    }

    /// Sends a signal to what the wrapper around it runs.
    pub(crate) fn signal_wrapped(&self, signal: Signal) {
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid()));
        let child = children.ok().and_then(|pids| pids.split(' ').next().and_then(|pid| pid.parse().ok()));
        let pid = child.and_then(Pid::from_raw).expect("the wrapper runs the worker");
        kill_process(pid, signal).expect("the worker gets the signal");
    }

    /// Waits for the worker to end by itself.
    pub(crate) fn wait_exit(&mut self, limit: Duration) -> ExitStatus {
        let status = eventually_now(limit, "the worker ends", || self.exited());
        self.process = None;
        status
    }

    /// The exit status, once it has ended by itself.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.process.as_mut().and_then(|(child, _)| child.try_wait().expect("the worker's status is read"))
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().expect("the worker runs").0.id()
    }

    /// `GET /readyz`.
    pub(crate) fn readyz(&self) -> Option<Page> {
        http::get(self.settings.http_port, "/readyz")
    }

    /// `GET /metrics`.
    pub(crate) fn metrics(&self) -> String {
        http::get(self.settings.http_port, "/metrics").map_or_else(String::new, |page| page.body)
    }

    /// A command of the binary with this worker's config.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .current_dir(&self.dir)
            .args(["-c", "worker.toml"])
            .args(args)
            .env("E2E_CLIENT_SECRET", &self.settings.credentials.client_secret)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    /// Runs an operator's command beside the worker, whatever its exit code.
    pub(crate) fn ask(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the command runs")
    }

    /// Submits these jobs by the command.
    pub(crate) fn submit(&self, jobs: &[Job]) {
        let lines: String = jobs.iter().map(|job| format!("{}\n", job.json())).collect();
        std::fs::write(self.dir.join("jobs.jsonl"), lines).expect("the jobs are written");
        let submitted = self.ask(&["submit", "jobs.jsonl"]);
        assert!(submitted.status.success(), "{}", String::from_utf8_lossy(&submitted.stderr));
    }

    /// Runs an operator's command that must succeed, and reads the JSON it prints.
    pub(crate) fn ask_json(&self, args: &[&str]) -> Value {
        let output = self.ask(&[args, &["-o", "json"]].concat());
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "worker {args:?}: {}\n{out}\n{err}", output.status);
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("worker {args:?} prints JSON: {error}\n{out}\n{err}"))
    }

    /// All items of a list command, page by page.
    pub(crate) fn list(&self, args: &[&str]) -> Vec<Value> {
        let mut items = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let mut page_args = [args, &["--limit", "500"]].concat();
            if let Some(cursor) = &after {
                page_args.extend(["--after", cursor.as_str()]);
            }
            let mut page = self.ask_json(&page_args);
            match page.get_mut("items").map(Value::take) {
                Some(Value::Array(more)) => items.extend(more),
                other => panic!("worker {args:?}: items is a list, not {other:?}"),
            }
            after = page.get("next").and_then(Value::as_str).map(str::to_owned);
            if after.is_none() {
                return items;
            }
        }
    }

    /// The state of a job, in the contract's word; `None` where there is no such job.
    pub(crate) fn state_of(&self, reference: &str) -> Option<String> {
        let output = self.ask(&["jobs", "show", reference, "-o", "json"]);
        let shown: Value = serde_json::from_slice(&output.stdout).ok()?;
        shown.get("state").and_then(Value::as_str).map(str::to_owned)
    }

    /// All it has logged so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    /// Resident memory, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        testbed::process::resident_kib(self.pid()).expect("the kernel tells VmRSS")
    }

    /// Where config, store and log are.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The last lines of the log.
    pub(crate) fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    fn log_file(&self) -> PathBuf {
        self.dir.join("worker.log")
    }
}

impl Drop for WorkerProc {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the worker's log ends:\n{}\n---", self.log_tail());
        }
        self.kill();
    }
}

/// The binary under test: the one this test was built with, or the one the run names.
pub(crate) fn binary() -> PathBuf {
    setting("E2E_WORKER").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_worker")), PathBuf::from)
}
