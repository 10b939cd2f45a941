use std::path::Path;

use insta::assert_snapshot;
use snap_sim::{Personality, SimConfig, Simulator};

use super::*;
use crate::cli::{Color, Format, GlobalArgs};
use crate::config::Environment;
use crate::output::Output;

struct Place {
    folder: tempfile::TempDir,
    sim: snap_sim::Running,
}

impl Place {
    async fn new() -> Self {
        let config = SimConfig::single(Personality::Finpay);
        let sim = Simulator::start(config, ([127, 0, 0, 1], 0).into()).await.unwrap();
        Self { folder: tempfile::tempdir().unwrap(), sim }
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("worker.toml")
    }

    /// A configuration that is all right, with something added to its end.
    fn write(&self, more: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let known = self.sim.credentials("finpay").unwrap();
        let key = self.folder.path().join("finpay.pem");
        std::fs::write(&key, known.private_key_pem.as_ref().unwrap()).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o400)).unwrap_or_default();
        let toml = format!(
            "[http]\nlisten = \"off\"\n[providers.finpay]\nprofile = \"finpay\"\nbase_url = \"{}\"\nclient_key = \"{}\"\n\
             client_secret = {{ env = \"SECRET\" }}\nprivate_key = {{ file = \"finpay.pem\" }}\npartner_id = \"{}\"\n\
             channel_id = \"{}\"\norigin = \"{}\"\n{more}",
            self.sim.base_url("finpay"),
            known.client_key,
            known.partner_id,
            known.channel_id,
            known.origin
        );
        std::fs::write(self.file(), toml).unwrap();
    }

    fn world(&self, format: Format) -> World {
        let secret = self.sim.credentials("finpay").unwrap().client_secret.clone();
        World {
            global: GlobalArgs { config: Some(self.file()), output: format, verbose: 0, color: Color::Never },
            environment: Environment::from_iter([("SECRET".to_owned(), secret)]),
            talk_color: false,
            output: Output::captured(format),
        }
    }

    async fn checked(&self, format: Format) -> (Exit, String) {
        let world = self.world(format);
        let exit = run(&world, &Clock::start()).await.unwrap();
        (exit, self.without_places(&world.output.written()))
    }

    async fn findings(&self) -> Vec<(String, String, String)> {
        let (_, json) = self.checked(Format::Json).await;
        let list: serde_json::Value = serde_json::from_str(&json).unwrap();
        let text = |finding: &serde_json::Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
        let items = list["items"].as_array().unwrap().iter();
        items.map(|found| (text(found, "check"), text(found, "status"), text(found, "detail"))).collect()
    }

    /// Paths, ports and times are another's each time.
    fn without_places(&self, text: &str) -> String {
        let text = text.replace(&self.folder.path().display().to_string(), "DIR");
        text.replace(&self.sim.addr().to_string(), "127.0.0.1:PORT")
    }
}

fn of<'a>(findings: &'a [(String, String, String)], check: &str) -> (&'a str, &'a str) {
    let found = findings.iter().find(|(name, _, _)| name == check);
    let (_, status, detail) = found.unwrap_or_else(|| panic!("{check} is among {findings:?}"));
    (status, detail)
}

/// Findings as a table and as JSON.
pub(super) fn both(name: &str, findings: &[Finding]) {
    let written = |format| {
        let output = Output::captured(format);
        output.list("findings", findings, None, || table(findings)).unwrap();
        output.written()
    };
    let text = written(Format::Table);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    for found in findings.iter().filter(|found| found.status != Status::Ok) {
        assert!(found.hint.is_some(), "each says what to do: {found:?}");
    }
    assert_snapshot!(format!("{name}_table"), text);
    assert_snapshot!(format!("{name}_json"), written(Format::Json));
}

#[tokio::test]
async fn a_part_that_hangs_is_given_up_and_what_it_found_is_told() {
    let found = within("store", Duration::from_millis(10), async |found| {
        found.push(Finding::ok("store", "opens"));
        std::future::pending().await
    });
    let found = found.await;
    assert_eq!(found[0], Finding::ok("store", "opens"));
    assert_eq!((found.len(), found[1].status, found[1].check.as_str()), (2, Status::Error, "store"));
}

#[tokio::test]
async fn where_all_is_well_it_says_so_and_ends_with_nothing() {
    let place = Place::new().await;
    place.write("");
    let (exit, table) = place.checked(Format::Table).await;
    assert_eq!(exit, Exit::Done, "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    let findings = place.findings().await;
    for check in ["config", "store", "broker", "provider finpay", "clock finpay"] {
        assert_eq!(of(&findings, check).0, "ok", "{check}: {}", of(&findings, check).1);
    }
    assert!(of(&findings, "provider finpay").1.contains("gave a token"));
    assert!(!place.folder.path().join("worker.db").exists(), "a check makes nothing");
}

#[tokio::test]
async fn a_configuration_that_cannot_be_read_is_a_finding_with_each_problem() {
    let place = Place::new().await;
    place.write("colour = \"red\"\nmax_in_flite = 3\n");
    let (exit, table) = place.checked(Format::Table).await;
    assert_eq!(exit, Exit::Usage);
    assert_snapshot!("config_wrong", table);
}

#[tokio::test]
async fn a_missing_secret_and_a_wrong_key_are_told_apart() {
    let place = Place::new().await;
    place.write("");
    let world = World { environment: Environment::default(), ..place.world(Format::Json) };
    assert_eq!(run(&world, &Clock::start()).await.unwrap(), Exit::Usage);
    assert!(world.output.written().contains("environment variable SECRET, which is not set"));

    place.write("\n[amqp]\nurl = \"amqp://127.0.0.1:1\"\n");
    let text = std::fs::read_to_string(place.file()).unwrap().replace("test-client-key", "another-key");
    std::fs::write(place.file(), text).unwrap();
    let findings = place.findings().await;
    let (status, detail) = of(&findings, "provider finpay");
    assert_eq!(status, "error");
    assert!(detail.contains("refused the token request"), "{detail}");
    let (status, detail) = of(&findings, "broker");
    assert_eq!(status, "error");
    assert!(detail.contains("refused"), "{detail}");
}

#[tokio::test]
async fn a_quiet_period_shorter_than_the_request_timeout_is_a_warning_and_no_error() {
    let place = Place::new().await;
    place.write("request_timeout = \"30s\"\n[providers.finpay.status]\nquiet_period = \"5s\"\n");
    let (exit, _) = place.checked(Format::Table).await;
    assert_eq!(exit, Exit::Done);
    let findings = place.findings().await;
    let warned = findings.iter().any(|(_, status, detail)| status == "warning" && detail.contains("quiet_period"));
    assert!(warned, "{findings:?}");
}

#[tokio::test]
async fn a_store_is_read_beside_the_worker_that_has_it() {
    let place = Place::new().await;
    place.write("");
    let path = place.folder.path().join("worker.db");
    let options = outbox::OpenOptions { exclusive: true, reserve_bytes: 0, ..outbox::OpenOptions::default() };
    let held = outbox::Store::open(&path, Clock::start().now(), &options).unwrap();
    let findings = place.findings().await;
    assert_eq!(of(&findings, "store"), ("ok", "DIR/worker.db opens, and every page of it is sound"));
    held.store.close().await;
}

#[tokio::test]
async fn a_lane_that_stands_is_a_warning_that_says_why() {
    let place = Place::new().await;
    place.write("");
    let path = place.folder.path().join("worker.db");
    let opened = outbox::Store::open(&path, Clock::start().now(), &outbox::OpenOptions::default()).unwrap();
    let cause = outbox::PauseCause::Operator { by: "sari".to_owned(), reason: "maintenance".to_owned() };
    let pause = outbox::LanePause { cause, at: crate::ops::fixture::START, probe_at: None };
    opened.store.pause_lane("finpay", pause, None).await.unwrap();
    opened.store.close().await;
    let findings = place.findings().await;
    let expected = ("warning", "stands since 2026-11-22 10:00:00 (sari: maintenance)");
    assert_eq!(of(&findings, "lane finpay"), expected);
    let kept = "every key is kept for ever after its job's end, details for 90d: longer than any replay";
    assert!(of(&findings, "idempotency").1.starts_with(kept), "{findings:?}");
}

#[test]
fn what_several_keys_have_in_common_is_one_warning() {
    let warning = |key: &str, what: &str| Warning { key: key.to_owned(), what: what.to_owned(), hint: "h".to_owned() };
    let found = from_warnings(vec![warning("a", "is plain"), warning("b", "is open"), warning("c", "is plain")]);
    let details: Vec<_> = found.into_iter().map(|finding| finding.detail).collect();
    assert_eq!(details, ["each of a, c: is plain", "b is open"]);
}

#[test]
fn what_was_found_twice_is_said_once() {
    let found = Finding::warning("config", "a", "b");
    assert_eq!(once(vec![found.clone(), Finding::ok("store", "c"), found.clone()]), [found, Finding::ok("store", "c")]);
}

#[tokio::test]
async fn a_job_from_the_future_says_that_the_clock_runs_wrong() {
    let place = Place::new().await;
    place.write("");
    let filled = crate::ops::fixture::of_the_year_2100().await;
    let store = format!("[store]\nurl = \"sqlite:{}\"\n", filled.path.display());
    std::fs::write(place.file(), store + &std::fs::read_to_string(place.file()).unwrap()).unwrap();
    let findings = place.findings().await;
    let (status, detail) = of(&findings, "store");
    assert_eq!(status, "error");
    assert!(detail.contains("the clock runs wrong"), "{detail}");
}

#[tokio::test]
async fn a_damaged_or_foreign_store_is_an_error() {
    let place = Place::new().await;
    place.write("");
    let path = place.folder.path().join("worker.db");
    std::fs::write(&path, b"this is no database, whatever its name says; it is only as long as one begins").unwrap();
    assert_eq!(of(&place.findings().await, "store").0, "error");
    std::fs::remove_file(&path).unwrap();

    let opened = outbox::Store::open(&path, Clock::start().now(), &outbox::OpenOptions::default()).unwrap();
    opened.store.close().await;
    spoil(&path);
    let findings = place.findings().await;
    assert_eq!(of(&findings, "store").0, "error", "{findings:?}");
}

/// Overwrites the last page.
fn spoil(path: &Path) {
    use std::io::{Seek as _, SeekFrom, Write as _};
    let mut file = std::fs::File::options().write(true).open(path).unwrap();
    file.seek(SeekFrom::End(-4096)).unwrap();
    file.write_all(&[0x5a; 4096]).unwrap();
}
