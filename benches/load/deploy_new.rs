//! From the rename of an app file to the first 200, when a registry has content that nobody has seen before; beside
//! skopeo, which pulls the same, and `wasmtime compile` after it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::app::App;
use crate::artifact::{self, Hello};
use crate::client::{self, Question};
use crate::peers::wasmtime_program;
use crate::registry::Registry;
use crate::report;
use crate::stock::Stock;

const ROUNDS: usize = 3;
/// Pause between two questions: to ask as often as for cached content would take a fifth of a core from the compilation.
const PAUSE: Duration = Duration::from_millis(2);

/// What is deployed.
struct Guest {
    component: Vec<u8>,
    metadata: Value,
    /// Answered with 200.
    path: &'static str,
}

pub fn run(name: &str, stock: &Stock) {
    let Some(registry) = Registry::start() else {
        eprintln!("docker-registry is not installed: {name} is not measured");
        return;
    };
    let small = Guest {
        component: one_megabyte(),
        metadata: json!({}),
        path: "/",
    };
    measure(&format!("{name}.1_mb"), &small, &registry, stock);
    let Some(component) = artifact::large_guest("py-apis3") else {
        eprintln!("tests/setup makes the large guest: {name}.20_mb is not measured");
        return;
    };
    // See `tests/guests/py-apis3`.
    let large = Guest {
        component,
        metadata: json!({"key_value_stores": ["default"]}),
        path: "/kv/a",
    };
    measure(&format!("{name}.20_mb"), &large, &registry, stock);
}

/// Hello, and two guests of the tests within it, which have to be compiled with it.
fn one_megabyte() -> Vec<u8> {
    const COMPONENT_SECTION: u8 = 4;
    let mut component = Hello::Small.bytes();
    for guest in ["apis5", "wasi3"] {
        let inner = artifact::guest(guest);
        component.push(COMPONENT_SECTION);
        component.extend(artifact::leb128(inner.len()));
        component.extend(inner);
    }
    component
}

fn measure(name: &str, guest: &Guest, registry: &Registry, stock: &Stock) {
    println!("{name}.bytes: {}", guest.component.len());
    let daemon = stock.home().start();
    daemon.wait_until("it is there", |_| true);
    let (mut ours, mut pulls, mut compilations) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let component = stock.new_component(&guest.component);
        let layout = stock.directory(&format!("{name}-{round}"));
        let reference = artifact::pack(&layout, &component, guest.metadata.clone());
        let tag = format!("app:{name}-{round}");
        registry.push(&reference, &tag);

        let app = App::new(&registry.reference(&tag));
        let staged = daemon.home().stage("new", &app.json());
        let start = Instant::now();
        daemon.home().rename_into_place(&staged, "new");
        client::wait_for_good(&Question::get(app.address, guest.path), PAUSE);
        ours.push(start.elapsed().as_secs_f64());
        daemon.home().remove("new");
        client::wait_for_refusal(app.address);

        let start = Instant::now();
        registry.pull(&tag, &stock.directory(&format!("{name}-{round}-pulled")));
        pulls.push(start.elapsed().as_secs_f64());
        compilations.extend(compile(&component, stock).map(|time| time.as_secs_f64()));
    }
    println!("{name}.tauon_ms: {:.0}", report::median(&ours) * 1e3);
    println!("{name}.skopeo_ms: {:.0}", report::median(&pulls) * 1e3);
    if compilations.len() < ROUNDS {
        eprintln!("wasmtime is not installed: {name} is compared with nothing");
        return;
    }
    println!(
        "{name}.wasmtime_compile_ms: {:.0}",
        report::median(&compilations) * 1e3
    );
    let both: Vec<f64> = pulls
        .iter()
        .zip(&compilations)
        .map(|(pull, compile)| pull + compile)
        .collect();
    let ratio = report::median(&ours) / report::median(&both);
    println!("{name}.ratio.tauon_to_skopeo_and_wasmtime: {ratio:.3}");
}

/// `None` where wasmtime is not installed.
fn compile(component: &[u8], stock: &Stock) -> Option<Duration> {
    let directory = stock.directory("compiled");
    let file = directory.join("component.wasm");
    std::fs::write(&file, component).expect("a writable directory");
    let start = Instant::now();
    let status = Command::new(wasmtime_program())
        .args(["compile", "-Wcomponent-model-async", "-o"])
        .arg(directory.join("component.cwasm"))
        .arg(&file)
        .stderr(Stdio::null())
        .status()
        .ok()?;
    assert!(status.success(), "wasmtime compile: {status}");
    Some(start.elapsed())
}
