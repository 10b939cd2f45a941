//! `worker check`, the doctor: against a broker, a provider and a store that are wrong in every way it tells of.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use lapin::ExchangeKind;
use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::verdict::text;
use crate::harness::{Broker, Stage, WorkerProc, amqp, random};

/// Whatever hangs: all parts look side by side, and the longest limit of one is half a minute.
const BOUND: Duration = Duration::from_secs(40);

/// One thing that was found.
#[derive(Debug, Clone)]
struct Found {
    check: String,
    status: String,
    detail: String,
    hint: String,
}

/// All that `worker check` found; its exit code must fit.
fn check(worker: &WorkerProc) -> Vec<Found> {
    let started = Instant::now();
    let output = worker.ask(&["check", "-o", "json"]);
    assert!(started.elapsed() < BOUND, "it took {:?}", started.elapsed());
    let told = String::from_utf8_lossy(&output.stdout);
    let list: Value = serde_json::from_str(&told).unwrap_or_else(|_| panic!("{told}"));
    let found: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| Found {
            check: text(item, "check").to_owned(),
            status: text(item, "status").to_owned(),
            detail: text(item, "detail").to_owned(),
            hint: item["hint"].as_str().unwrap_or_default().to_owned(),
        })
        .collect();
    let is_wrong = found.iter().any(|found| found.status == "error");
    assert_eq!(output.status.code(), Some(if is_wrong { 2 } else { 0 }), "{found:#?}");
    for found in found.iter().filter(|found| found.status != "ok") {
        assert!(!found.hint.is_empty(), "each finding says what to do: {found:?}");
    }
    found
}

/// A stage whose configuration there is nothing to say about.
async fn prepare(name: &str) -> Stage {
    let mut stage = Stage::prepare(name).await;
    stage.settings.quiet_period = stage.settings.request_timeout;
    stage
}

/// Those about one thing.
fn about<'a>(found: &'a [Found], check: &str) -> Vec<&'a Found> {
    let about: Vec<_> = found.iter().filter(|found| found.check == check).collect();
    assert!(!about.is_empty(), "{check} is among {found:#?}");
    about
}

/// The only one about one thing.
fn only<'a>(found: &'a [Found], check: &str) -> &'a Found {
    let about = about(found, check);
    assert_eq!(about.len(), 1, "{about:#?}");
    about[0]
}

/// All that the broker has in this namespace.
fn topology(broker: &Broker, namespace: &str) -> Vec<String> {
    let lists = [
        broker.ctl(&["list_exchanges", "name", "type", "durable", "arguments"]),
        broker.ctl(&["list_queues", "name", "type", "durable", "messages", "arguments"]),
        broker.ctl(&["list_bindings", "source_name", "destination_name", "routing_key"]),
    ];
    let mut lines: Vec<_> = lists.iter().flat_map(|list| list.lines()).map(str::to_owned).collect();
    lines.retain(|line| line.contains(namespace));
    lines.sort();
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_tells_how_the_topology_stands_and_makes_none() {
    let mut stage = prepare("check").await;
    stage.reconfigure();
    let found = check(&stage.worker);
    let told = only(&found, "topology");
    assert_eq!(told.status, "ok", "{told:?}");
    assert!(told.detail.contains("not complete yet") && told.detail.contains(".outcomes"), "{told:?}");
    assert_eq!(only(&found, "permissions").status, "ok");

    stage.settings.declare = false;
    stage.reconfigure();
    let found = check(&stage.worker);
    let [missing, bindings] = about(&found, "topology")[..] else { panic!("{found:#?}") };
    let namespace = stage.settings.namespace.clone();
    for name in [".jobs", ".dead", ".outcomes", ".dlx", ".events"] {
        assert!(missing.detail.contains(&format!("{namespace}{name}")), "{missing:?}");
    }
    assert_eq!((missing.status.as_str(), bindings.status.as_str()), ("error", "ok"));
    assert!(topology(&stage.broker, &namespace).is_empty(), "looking makes nothing");

    stage.settings.declare = true;
    stage.start();
    let before = topology(&stage.broker, &namespace);
    let found = check(&stage.worker);
    let told = only(&found, "topology");
    assert!(told.detail.contains("as it should be"), "{told:?}");
    assert!(only(&found, "queues").detail.contains(".jobs 0 ready, 1 consumer"), "{found:#?}");
    assert_eq!(only(&found, "store").status, "ok", "beside the worker");
    assert!(found.iter().all(|found| found.status == "ok"), "{found:#?}");
    assert_eq!(topology(&stage.broker, &namespace), before, "looking changes nothing");
    let job = stage.job("beside");
    stage.publish(std::slice::from_ref(&job)).await;
    stage.outcomes.wait_for("topup.succeeded", &job.reference).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_difference_is_told_and_none_is_mended() {
    let mut stage = Stage::prepare("differs").await;
    stage.reconfigure();
    let namespace = stage.settings.namespace.clone();
    let (_connection, channel) = amqp::open(&stage.broker.url()).await.unwrap();
    let fleeting = ExchangeDeclareOptions::default();
    let lasting = ExchangeDeclareOptions { durable: true, ..fleeting };
    let events = format!("{namespace}.events");
    channel
        .exchange_declare(namespace.as_str().into(), ExchangeKind::Fanout, fleeting, FieldTable::default())
        .await
        .unwrap();
    channel
        .exchange_declare(events.as_str().into(), ExchangeKind::Topic, lasting, FieldTable::default())
        .await
        .unwrap();
    let declare = async |queue: &str, durable: bool, arguments: &[(&str, AMQPValue)]| {
        let mut table = FieldTable::default();
        for (key, value) in arguments {
            table.insert((*key).into(), value.clone());
        }
        let options = QueueDeclareOptions { durable, ..QueueDeclareOptions::default() };
        channel.queue_declare(format!("{namespace}.{queue}").as_str().into(), options, table).await.unwrap();
    };
    let words = |text: &str| AMQPValue::LongString(text.into());
    let quorum = ("x-queue-type", words("quorum"));
    let elsewhere = ("x-dead-letter-exchange", words("elsewhere"));
    declare("jobs", true, &[quorum.clone(), elsewhere, ("x-delivery-limit", AMQPValue::LongInt(3))]).await;
    declare("dead", false, &[]).await;
    declare("outcomes", true, &[quorum, ("x-max-length", AMQPValue::LongInt(1000))]).await;
    let before = topology(&stage.broker, &namespace);

    let found = check(&stage.worker);
    let of = |found: &[Found], object: &str| -> Found {
        let object = format!("{object}: ");
        let about = about(found, "topology").into_iter().find(|found| found.detail.starts_with(&object));
        about.unwrap_or_else(|| panic!("{object} is among {found:#?}")).clone()
    };
    let expect = |found: &[Found], object: String, status: &str, differences: &[&str]| {
        let told = of(found, &object);
        assert_eq!(told.status, status, "{told:?}");
        let count = told.detail.matches(" (expected ").count();
        for difference in differences {
            assert!(told.detail.contains(difference), "{difference}: {told:?}");
        }
        assert_eq!(count, differences.len(), "{told:?}");
    };
    let of_exchange = ["type is fanout (expected direct)", "durable is false (expected true)"];
    expect(&found, format!("exchange {namespace}"), "error", &of_exchange);
    let dlx = format!("x-dead-letter-exchange is elsewhere (expected {namespace}.dlx)");
    let of_jobs = [
        dlx.as_str(),
        "x-dead-letter-strategy is none (expected at-least-once)",
        "x-overflow is none (expected reject-publish)",
        "x-delivery-limit is 3 (expected 50)",
    ];
    expect(&found, format!("queue {namespace}.jobs"), "error", &of_jobs);
    let of_dead = ["durable is false (expected true)", "x-queue-type is "];
    expect(&found, format!("queue {namespace}.dead"), "error", &of_dead);
    let of_outcomes = ["x-max-length is 1000 (expected none)"];
    expect(&found, format!("queue {namespace}.outcomes"), "error", &of_outcomes);
    assert!(!found.iter().any(|found| found.detail.starts_with(&format!("exchange {events}:"))), "{found:#?}");

    // Who provisions may say by a policy what an argument would say.
    stage.settings.declare = false;
    stage.reconfigure();
    let found = check(&stage.worker);
    expect(&found, format!("queue {namespace}.jobs"), "warning", &of_jobs);
    expect(&found, format!("queue {namespace}.dead"), "error", &of_dead);
    assert!(about(&found, "topology").iter().any(|found| found.detail == format!("missing: exchange {namespace}.dlx")));
    assert_eq!(topology(&stage.broker, &namespace), before, "looking changes nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_right_that_is_missing_is_told_with_the_line_that_gives_it() {
    let mut stage = Stage::prepare("rights").await;
    let user = format!("user-{:x}", random());
    stage.broker.ctl(&["add_user", &user, "secret"]);
    stage.settings.amqp_url = Some(stage.broker.url_of(&format!("{user}:secret")));
    stage.reconfigure();
    let found = check(&stage.worker);
    assert_eq!(only(&found, "broker").status, "error", "no way into the virtual host: {found:#?}");

    for declare in [true, false] {
        stage.settings.declare = declare;
        stage.reconfigure();
        stage.broker.ctl(&["set_permissions", &user, "^$", "^$", "^$"]);
        let found = check(&stage.worker);
        let told = only(&found, "permissions");
        assert_eq!(told.status, "error", "{told:?}");
        let namespace = &stage.settings.namespace;
        for (wanted, right) in [
            (declare, format!("configure exchange {namespace},")),
            (declare, format!("queue {namespace}.outcomes")),
            (true, format!("exchange {namespace}.events")),
            (true, format!("read queue {namespace}.jobs, queue {namespace}.dead")),
        ] {
            assert_eq!(told.detail.contains(&right), wanted, "{right}: {told:?}");
        }
        let line = told.hint.split('`').nth(1).unwrap_or_else(|| panic!("{told:?}"));
        let given: Vec<_> = line.split(' ').skip(1).map(|word| word.trim_matches('\'')).collect();
        stage.broker.ctl(&given);
        let found = check(&stage.worker);
        assert_eq!(only(&found, "permissions").status, "ok", "{line}: {found:#?}");
        if declare {
            // What it gives is enough for the worker itself.
            stage.worker.start();
            let job = stage.job("rights");
            stage.publish(std::slice::from_ref(&job)).await;
            stage.outcomes.wait_for("topup.succeeded", &job.reference).await;
            stage.worker.kill();
        } else {
            let told = about(&found, "topology")[0];
            assert!(told.detail.contains("not told to this user"), "{told:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_a_wrong_virtual_host_and_no_broker_are_told_apart() {
    let mut stage = Stage::prepare("doors").await;
    let right = stage.broker.url();
    for (url, word, hint) in [
        (stage.broker.url_of("guest:wrong-password"), "ACCESS_REFUSED", "user and password"),
        (right.replace("%2f", "nowhere"), "NOT_ALLOWED", "virtual host"),
        ("amqp://guest:guest@127.0.0.1:1".to_owned(), "refused", "host and port"),
    ] {
        stage.settings.amqp_url = Some(url);
        stage.reconfigure();
        let found = check(&stage.worker);
        let told = only(&found, "broker");
        assert_eq!(told.status, "error");
        assert!(told.detail.contains(word) && told.hint.contains(hint), "{told:?}");
        assert!(!format!("{found:?}").contains("wrong-password"), "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_with_an_alarm_and_one_that_hangs_are_told_in_time() {
    let mut stage = Stage::prepare_with_own_broker("alarm").await;
    stage.start();
    stage.worker.kill();
    stage.broker.ctl(&["set_vm_memory_high_watermark", "0.000001"]);
    let found = check(&stage.worker);
    let told = about(&found, "broker").into_iter().find(|found| found.status == "error");
    assert!(told.is_some_and(|told| told.detail.contains("alarm")), "{found:#?}");
    assert_eq!(only(&found, "permissions").status, "ok", "what was seen before is told");

    stage.broker.freeze();
    let found = check(&stage.worker);
    let told = only(&found, "broker");
    assert!(told.status == "error" && told.detail.contains("connecting took longer"), "{told:?}");
    assert_eq!(only(&found, "provider finpay").status, "ok", "one that hangs hides nothing of the others");
    stage.broker.thaw();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_falls_silent_half_way_is_told_in_time() {
    let mut stage = Stage::prepare("silent").await;
    let port = stage.broker.url().rsplit_once(':').unwrap().1.split('/').next().unwrap().parse().unwrap();
    let namespace = stage.settings.namespace.clone();
    // Lets everything by until the first exchange is asked for.
    let proxy = silent_after(SocketAddr::from(([127, 0, 0, 1], port)), namespace).await;
    stage.settings.amqp_url = Some(format!("amqp://guest:guest@{proxy}/%2f"));
    stage.reconfigure();
    let found = check(&stage.worker);
    let [reached, lost] = about(&found, "broker")[..] else { panic!("{found:#?}") };
    assert_eq!((reached.status.as_str(), lost.status.as_str()), ("ok", "error"));
    assert!(lost.detail.contains("took longer than"), "{lost:?}");
}

/// A proxy whose other side says nothing more once `word` went through.
async fn silent_after(upstream: SocketAddr, word: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let broker = TcpStream::connect(upstream).await.unwrap();
            let ((mut from_client, mut to_client), (mut from_broker, mut to_broker)) =
                (client.into_split(), broker.into_split());
            tokio::spawn(async move { drop(tokio::io::copy(&mut from_broker, &mut to_client).await) });
            let word = word.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 << 10];
                let mut is_silent = false;
                while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
                    is_silent |= buffer[..read].windows(word.len()).any(|window| window == word.as_bytes());
                    if !is_silent && to_broker.write_all(&buffer[..read]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_a_provider_name_connection_tls_and_silence_are_told_apart() {
    let mut stage = Stage::prepare("unreachable").await;
    stage.settings.amqp_url = None;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = silent.local_addr().map(|address| (silent, address)).unwrap();
    let plain = stage.sim.running().addr();
    for (base_url, word) in [
        ("https://nobody-is-called-so.invalid".to_owned(), "does not resolve"),
        ("https://127.0.0.1:1".to_owned(), "takes no connection"),
        (format!("https://{plain}"), "TLS fails"),
        (format!("http://{}", silent.1), "timeout"),
        (format!("http://{plain}/nothing-here"), "refused the token request"),
    ] {
        stage.settings.providers = vec![("finpay", base_url.clone())];
        stage.reconfigure();
        let found = check(&stage.worker);
        let told = only(&found, "provider finpay");
        assert_eq!(told.status, "error", "{told:?}");
        // A name server that does not answer at all is no proof that there is no such name.
        let is_late = word == "does not resolve" && told.detail.contains("no connection comes about in time");
        assert!(told.detail.contains(word) || is_late, "{word}: {told:?}");
        assert!(told.detail.contains(&base_url), "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_differs_is_told_by_how_much() {
    let mut stage = Stage::prepare("clock").await;
    stage.reconfigure();
    for (ahead_ms, status, words) in [
        (0, "ok", "agrees"),
        (60_000, "warning", "s behind the provider's X-TIMESTAMP"),
        (-60_000, "warning", "s ahead of the provider's X-TIMESTAMP"),
        (400_000, "error", "300 s is too much"),
    ] {
        stage.sim.behave(|behaviour| behaviour.clock_ahead_ms = ahead_ms);
        let found = check(&stage.worker);
        let told = only(&found, "clock finpay");
        assert_eq!(told.status, status, "{told:?}");
        assert!(told.detail.contains(words), "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_others_can_read_is_told_with_the_line_that_mends_it() {
    let mut stage = prepare("secret").await;
    stage.reconfigure();
    let dir = stage.worker.dir().to_owned();
    let mode = |file: &str, mode: u32| {
        std::fs::set_permissions(dir.join(file), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("key.pem", 0o644);
    let found = check(&stage.worker);
    let told = about(&found, "config").into_iter().find(|found| found.status == "warning");
    let told = told.unwrap_or_else(|| panic!("{found:#?}"));
    assert!(told.detail.contains("private_key") && told.detail.contains("0644"), "{told:?}");
    assert_eq!(told.hint, "chmod 0400 key.pem");
    mode("key.pem", 0o400);
    assert_eq!(about(&check(&stage.worker), "config").len(), 1);

    // A password of the broker in a configuration that everybody can read.
    stage.settings.amqp_url = Some(stage.broker.url_of("somebody:secret"));
    stage.reconfigure();
    mode("worker.toml", 0o644);
    let found = check(&stage.worker);
    let told = about(&found, "config").into_iter().find(|found| found.detail.contains("amqp.url"));
    assert!(told.is_some_and(|told| told.hint == "chmod 0640 worker.toml"), "{found:#?}");
    mode("worker.toml", 0o640);
    assert_eq!(about(&check(&stage.worker), "config").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_page_of_the_store_is_found_and_what_waits_in_a_whole_one() {
    let mut stage = Stage::prepare("damage").await;
    stage.start();
    stage.producer.publish_body(b"not a job", &stage.job("none").properties()).await;
    let jobs = stage.jobs("damage", 40);
    stage.publish(&jobs).await;
    stage.settled(Duration::from_secs(60)).await;
    stage.worker.signal(rustix::process::Signal::TERM);
    stage.worker.wait_exit(Duration::from_secs(60));
    let found = check(&stage.worker);
    assert_eq!(only(&found, "store").status, "ok");
    let told = only(&found, "dead letters");
    assert!(told.status == "warning" && told.detail.starts_with("1 dead letter waits"), "{told:?}");
    assert_eq!(only(&found, "outcomes").detail, "none waits to be published");

    let path = stage.worker.dir().join("worker.db");
    let pages = std::fs::metadata(&path).unwrap().len() / 4096;
    let mut file = std::fs::File::options().write(true).open(&path).unwrap();
    // Whichever pages these are, the header is not among them.
    for page in [pages / 2, pages - 1] {
        file.seek(SeekFrom::Start(page * 4096)).unwrap();
        file.write_all(&[0x5a; 4096]).unwrap();
    }
    let found = check(&stage.worker);
    let told = only(&found, "store");
    // By which page it is noticed first, and so by which of two hints, is chance; both keep what is there.
    assert!(told.status == "error" && told.hint.contains("keep"), "{told:?}");
}
