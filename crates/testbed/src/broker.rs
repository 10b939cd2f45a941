//! A RabbitMQ node of one's own: own ports, own epmd, own cookie, own data; killed, frozen and booted again at will.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{Leash, eventually_now, free_port, random};

/// Boot takes some 5 s on two idle cores; a loaded machine gets the time it needs.
const BOOT_LIMIT: Duration = Duration::from_secs(120);

/// A private RabbitMQ node; it and its files are gone when this is dropped, or its owner's process ends.
#[derive(Debug)]
pub struct Broker {
    node_name: String,
    amqp_port: u16,
    dist_port: u16,
    epmd_port: u16,
    scripts: PathBuf,
    epmd: Mutex<Child>,
    node: Mutex<Option<Node>>,
    dir: TempDir,
    _leash: Leash,
}

#[derive(Debug)]
struct Node {
    process: Child,
    _leash: Leash,
}

impl Broker {
    /// Whether RabbitMQ's server is on this machine.
    pub fn is_installed() -> bool {
        find_scripts().is_some()
    }

    /// A new node, ready to be connected to.
    ///
    /// # Panics
    /// RabbitMQ or Erlang is not there, or does not start.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// A new node with more lines in its `rabbitmq.conf`.
    ///
    /// # Panics
    /// As [`Broker::start`].
    pub fn start_with(more: &str) -> Self {
        let scripts = find_scripts().expect("RabbitMQ is installed (tests/run installs it where there is apt)");
        let dir = tempfile::Builder::new().prefix("testbed-broker-").tempdir().expect("a temporary directory");
        let (amqp_port, dist_port, epmd_port) = (free_port(), free_port(), free_port());
        let conf = format!(
            "listeners.tcp.1 = 127.0.0.1:{amqp_port}\ndisk_free_limit.absolute = 50MB\nlog.file.level = info\n{more}\n"
        );
        std::fs::write(dir.path().join("rabbitmq.conf"), conf).expect("rabbitmq.conf is written");
        std::fs::write(dir.path().join("enabled_plugins"), "[].\n").expect("enabled_plugins is written");

        let epmd = Command::new("epmd")
            .args(["-port", &epmd_port.to_string(), "-address", "127.0.0.1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("epmd starts (it comes with Erlang)");
        let leash = Leash::tie(&format!("kill -9 {}; sleep 1; rm -rf '{}'", epmd.id(), dir.path().display()));
        eventually_now(Duration::from_secs(10), "epmd listens", || TcpStream::connect(("127.0.0.1", epmd_port)).ok());

        let broker = Self {
            node_name: format!("testbed-{:x}@localhost", random()),
            amqp_port,
            dist_port,
            epmd_port,
            scripts,
            epmd: Mutex::new(epmd),
            node: Mutex::new(None),
            dir,
            _leash: leash,
        };
        broker.boot();
        broker
    }

    /// Where to connect to.
    pub fn url(&self) -> String {
        self.url_of("guest:guest")
    }

    /// Where this user connects to; `user:password`.
    pub fn url_of(&self, user: &str) -> String {
        format!("amqp://{user}@127.0.0.1:{}/%2f", self.amqp_port)
    }

    /// Starts the node on the data and ports it had before, and waits until it takes connections.
    ///
    /// # Panics
    /// It does not start.
    pub fn boot(&self) {
        let log = std::fs::File::create(self.dir.path().join("console.log")).expect("the console log is made");
        let process = self
            .command("rabbitmq-server")
            // Replaces the script's shell, so that the process we hold is the node itself …
            .env("RABBITMQ_ALLOW_INPUT", "1")
            // … which then must not take the end of its input for a wish to leave.
            .env("RABBITMQ_SERVER_START_ARGS", "-noshell -noinput")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the console log is shared"))
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("rabbitmq-server starts");
        let leash = Leash::tie(&format!("kill -9 {}", process.id()));
        *self.node() = Some(Node { process, _leash: leash });
        eventually_now(BOOT_LIMIT, "the broker takes connections", || {
            if let Some(status) = self.node().as_mut().and_then(|node| node.process.try_wait().ok().flatten()) {
                panic!("the broker ended at its start: {status}\n{}", self.console());
            }
            self.says_hello().then_some(())
        });
    }

    /// RabbitMQ's version; asks its scripts, not the node.
    pub fn version(&self) -> Option<String> {
        let output = self.command("rabbitmqctl").arg("version").stdin(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// `rabbitmqctl` with these arguments, for this node; what it prints.
    ///
    /// # Panics
    /// It fails.
    pub fn ctl(&self, args: &[&str]) -> String {
        let output = self.command("rabbitmqctl").arg("-q").args(args).stdin(Stdio::null()).output();
        let output = output.expect("rabbitmqctl starts");
        let (told, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "rabbitmqctl {args:?}: {}\n{told}\n{said}", output.status);
        told.into_owned()
    }

    /// The node's process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.node().as_ref().map(|node| node.process.id())
    }

    /// `kill -9` of the node.
    ///
    /// # Panics
    /// It cannot be killed.
    pub fn kill(&self) {
        if let Some(mut node) = self.node().take() {
            node.process.kill().expect("the node is killed");
            node.process.wait().expect("the node is gone");
        }
    }

    /// Stops the node's process in its tracks: connections stay open and nothing answers.
    ///
    /// # Panics
    /// It does not run.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a frozen node go on.
    ///
    /// # Panics
    /// It does not run.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Waits until new quorum queues survive a crash: their directory of members is flushed half a second late, and a node
    /// killed before that comes back with queues that nobody can use.
    pub async fn settle_new_queues(&self) {
        tokio::time::sleep(Duration::from_secs(2)).await; // nothing outside the node shows the flush
    }

    fn command(&self, script: &str) -> Command {
        let dir = self.dir.path();
        let mut command = Command::new(self.scripts.join(script));
        command
            .env_clear()
            .env("PATH", crate::setting("PATH").unwrap_or_else(|| "/usr/bin:/bin".to_owned()))
            .env("LANG", "C.UTF-8")
            .env("HOME", dir) // the cookie
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", &self.node_name)
            .env("RABBITMQ_DIST_PORT", self.dist_port.to_string())
            .env("RABBITMQ_CONF_ENV_FILE", dir.join("no-env.conf"))
            .env("RABBITMQ_CONFIG_FILE", dir.join("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", dir.join("no-advanced.config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", dir.join("enabled_plugins"))
            .env("RABBITMQ_MNESIA_BASE", dir.join("data"))
            .env("RABBITMQ_LOG_BASE", dir.join("log"))
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 2:2 -kernel inet_dist_use_interface {127,0,0,1}")
            .current_dir(dir);
        command
    }

    /// Whether the node answers AMQP's first frame: a port that is open is not yet a broker.
    fn says_hello(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.amqp_port)) else { return false };
        let mut frame_type = [0];
        stream.set_read_timeout(Some(Duration::from_secs(5))).is_ok()
            && stream.write_all(b"AMQP\x00\x00\x09\x01").is_ok()
            && stream.read_exact(&mut frame_type).is_ok()
            && frame_type == [1]
    }

    fn signal(&self, signal: Signal) {
        let node = self.node();
        let process = &node.as_ref().expect("the node runs").process;
        let pid = Pid::from_child(process);
        kill_process(pid, signal).expect("the node gets the signal");
    }

    fn node(&self) -> std::sync::MutexGuard<'_, Option<Node>> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn console(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("console.log")).unwrap_or_default()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
        let epmd = self.epmd.get_mut().unwrap_or_else(PoisonError::into_inner);
        let gone = epmd.kill().and_then(|()| epmd.wait());
        assert!(gone.is_ok() || std::thread::panicking(), "epmd ends");
    }
}

/// The directory of RabbitMQ's own scripts. Not Debian's wrapper in `/usr/sbin`: that one changes the user and the directory.
fn find_scripts() -> Option<PathBuf> {
    let usual = [
        "/usr/lib/rabbitmq/bin",
        "/opt/rabbitmq/sbin",
        "/usr/local/opt/rabbitmq/sbin",
        "/opt/homebrew/opt/rabbitmq/sbin",
    ];
    let on_path = crate::setting("PATH").unwrap_or_default();
    usual
        .iter()
        .copied()
        .chain(on_path.split(':'))
        .map(Path::new)
        .find(|dir| dir.join("rabbitmq-server").is_file())
        .map(Path::to_path_buf)
}
