//! Guests that keep state: a get and a set of the default key-value store for each request, and SQL inserts. Each request
//! opens its store or connection anew, as guests do.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::daemon::{App, Daemon, free_address};
use super::generator::{self, Load, Question};

/// Runs the script in a request's body: see `tests/guests/calls`.
const GUEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guests/prebuilt/apis5.wasm");
const LOCKED_APP: &str = "application/vnd.fermyon.spin.application.v1+config";
const WASM: &str = "application/vnd.wasm.content.layer.v1+wasm";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

const KEY_VALUE: &str = "/fermyon:spin/key-value@2.0.0";
const SQLITE: &str = "/fermyon:spin/sqlite@2.0.0";

const CONNECTIONS: [usize; 2] = [1, 16];
const ROUND: Duration = Duration::from_secs(5);
/// Enough for one request at least.
const ONCE: Duration = Duration::from_millis(100);
const WARM_UP: Duration = Duration::from_secs(1);
/// SQL inserts a second that an app has to keep up with.
const INSERTS: u32 = 100;
/// How long it has to, unless STATE_SECONDS says otherwise.
const SECONDS: u64 = 20;

pub fn run() {
    let daemon = Daemon::start();
    let app = app(&daemon);
    daemon.write("state", &app.json);
    generator::wait_for_answer(app.address);
    let get_and_set = question(
        KEY_VALUE,
        &[
            json!(["open", "default"]),
            json!(["get", 0, "a"]),
            json!(["set", 0, "a", "1"]),
        ],
    );
    let create = question(
        SQLITE,
        &[
            json!(["open", "default"]),
            json!([
                "execute",
                0,
                "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, note TEXT)",
                []
            ]),
        ],
    );
    let insert = question(
        SQLITE,
        &[
            json!(["open", "default"]),
            json!(["execute", 0, "INSERT INTO t (note) VALUES (?)", [{"text": "a note of some words"}]]),
        ],
    );
    let wal = question(
        SQLITE,
        &[
            json!(["open", "default"]),
            json!(["execute", 0, "PRAGMA journal_mode = WAL", []]),
        ],
    );
    generator::run(app.address, &create, 1, ONCE);
    measure(&app, "key_value", &get_and_set);
    measure(&app, "insert", &insert);
    // What a guest does that writes much: two flushes of the disk less for each insert.
    generator::run(app.address, &wal, 1, ONCE);
    measure(&app, "insert_wal", &insert);
    let time = Duration::from_secs(seconds());
    let mut load = Load::default();
    load.add(generator::run_paced(
        app.address,
        &insert,
        CONNECTIONS[1],
        INSERTS,
        time,
    ));
    print(&format!("state.insert_wal_at_{INSERTS}_a_second"), &load);
    growth(&daemon, &app, &get_and_set, time);
}

fn measure(app: &App, name: &str, question: &Question) {
    generator::run(app.address, question, 1, WARM_UP);
    for connections in CONNECTIONS {
        let mut load = Load::default();
        load.add(generator::run(app.address, question, connections, ROUND));
        print(&format!("state.{name}.{connections}"), &load);
    }
}

/// What is held after many requests more than before them.
fn growth(daemon: &Daemon, app: &App, question: &Question, time: Duration) {
    let before = (daemon.resident_kib(), daemon.descriptors(), daemon.threads());
    let mut load = Load::default();
    load.add(generator::run(app.address, question, CONNECTIONS[1], time));
    print("state.growth", &load);
    println!("state.growth.requests: {}", load.answered());
    println!(
        "state.growth.resident_kib: {}",
        daemon.resident_kib() as i64 - before.0 as i64
    );
    println!(
        "state.growth.descriptors: {}",
        daemon.descriptors() as i64 - before.1 as i64
    );
    println!(
        "state.growth.threads: {}",
        daemon.threads() as i64 - before.2 as i64
    );
}

fn print(name: &str, load: &Load) {
    println!("{name}.per_second: {:.0}", load.median_rate());
    for (label, quantile) in [("p50", 0.5), ("p99", 0.99), ("p99_9", 0.999)] {
        println!("{name}.{label}_us: {}", load.microseconds(quantile));
    }
    println!("{name}.failed: {}", load.failed);
}

fn seconds() -> u64 {
    match std::env::var("STATE_SECONDS") {
        Ok(seconds) => seconds.parse().expect("STATE_SECONDS is a number"),
        Err(_) => SECONDS,
    }
}

fn question(path: &'static str, calls: &[Value]) -> Question {
    let lines: Vec<String> = calls.iter().map(Value::to_string).collect();
    Question {
        path,
        body: Bytes::from(lines.join("\n")),
    }
}

/// The guest in an image layout, with leave to use both.
fn app(daemon: &Daemon) -> App {
    let layout = daemon.directory("layout");
    let wasm = std::fs::read(GUEST).expect("tests/guests/build makes it");
    let wasm = blob(&layout, WASM, &wasm);
    let locked = json!({
        "spin_lock_version": 0,
        "metadata": {"name": "state", "triggers": {}},
        "triggers": [{"id": "http", "trigger_type": "http", "trigger_config": {"component": "state", "route": "/..."}}],
        "components": [{
            "id": "state",
            "metadata": {"key_value_stores": ["default"], "databases": ["default"]},
            "source": {"content_type": "application/wasm", "digest": wasm["digest"]},
        }],
    });
    let locked = blob(&layout, LOCKED_APP, locked.to_string().as_bytes());
    let config =
        json!({"architecture": "wasm", "os": "wasip1", "rootfs": {"type": "layers", "diff_ids": []}});
    let config = blob(
        &layout,
        "application/vnd.oci.image.config.v1+json",
        config.to_string().as_bytes(),
    );
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [locked, wasm]});
    let mut manifest = blob(&layout, MANIFEST, manifest.to_string().as_bytes());
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": "v1"});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    write(&layout.join("index.json"), index.to_string().as_bytes());
    write(&layout.join("oci-layout"), br#"{"imageLayoutVersion": "1.0.0"}"#);
    let address = free_address();
    let reference = format!("oci:{}:v1", layout.display());
    App {
        json: json!({"reference": reference, "address": address.to_string()}).to_string(),
        address,
    }
}

fn blob(layout: &Path, media_type: &str, content: &[u8]) -> Value {
    let hash = hex::encode(Sha256::digest(content));
    let directory = layout.join("blobs/sha256");
    std::fs::create_dir_all(&directory).expect("a writable directory");
    write(&directory.join(&hash), content);
    json!({"mediaType": media_type, "digest": format!("sha256:{hash}"), "size": content.len()})
}

fn write(path: &Path, content: &[u8]) {
    std::fs::write(path, content).expect("a writable directory");
}
