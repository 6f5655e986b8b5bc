//! What is done for each request, for each call of a guest, and for each app file: `cargo bench --bench hot`.
//!
//! A change is compared with the run before it; `-- --save-baseline NAME` and `-- --baseline NAME` compare with a certain one.

mod app;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use lepton::app::LockedApp;
use lepton::manifest::{self, Limits};
use lepton::net::{AllowedHosts, Destination, PathPrefix, wildcards_of};
use lepton::oci::Source;
use lepton::variables::{Declared, Template, Variables};

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");
/// A guest of each way to run one, by its file.
const GUESTS: [(&str, &str); 3] = [
    ("fresh_small", "tests/guests/prebuilt/wat-hello.wasm"),
    ("fresh_rust", "benches/guests/prebuilt/hello5.wasm"),
    ("reused", "benches/guests/prebuilt/hello7.wasm"),
];
const DIGEST: &str = "sha256:8da992c355f540f3b4ae21f9d5b3cd61bcd8f3bb7f5ff80c3e3c6a7e8f0f2d1c";

/// Routes, headers, an instance, its guest's call, the response: everything but the socket.
fn requests(criterion: &mut Criterion) {
    // Tasks of an app that is asked need no second thread.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    // Another one may have been installed.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cache = tempfile::TempDir::new().expect("a temporary directory");
    let mut group = criterion.benchmark_group("request");
    for (name, file) in GUESTS {
        let wasm = std::fs::read(Path::new(REPOSITORY).join(file)).expect("it is committed");
        let app = runtime.block_on(app::prepare(cache.path(), &wasm));
        group.bench_function(name, |bench| {
            bench.iter(|| runtime.block_on(app::ask(&app)));
        });
    }
    group.finish();
}

fn files(criterion: &mut Criterion) {
    let text = r#"{
        "reference": "ghcr.io/me/app:v1", "address": "127.0.0.1:4001", "state_dir": "app",
        "host": ["shop.example", "*.shop.example"], "path": "/cart", "health": {"path": "/healthz", "timeout": "5s"},
        "variables": {"greeting": "hi"}, "limits": {"memory": "128MiB", "request_time": "30s"}
    }"#;
    criterion.bench_function("file/app", |bench| {
        bench.iter(|| manifest::parse_app(black_box(text), Path::new("app.json")));
    });
    criterion.bench_function("file/reference", |bench| {
        bench.iter(|| Source::parse(black_box("ghcr.io/me/app:v1"), Path::new("/apps")));
    });
    let locked = app::locked(DIGEST).to_string();
    criterion.bench_function("file/locked_app", |bench| {
        bench.iter(|| LockedApp::parse(black_box(locked.as_bytes())));
    });
    let own = manifest::parse_app(text, Path::new("app.json")).expect("an app file");
    let built_in = Limits::built_in();
    criterion.bench_function("file/limits", |bench| {
        bench.iter(|| black_box(&own).limits_over(&built_in));
    });
}

fn calls(criterion: &mut Criterion) {
    let entries = [
        "https://api.example.com",
        "http://*.internal.example:8080",
        "postgres://db.example:5432",
        "redis://10.0.0.0/8:6379",
        "https://*.cdn.example",
    ];
    let allowed = AllowedHosts::parse(entries, &[]).expect("entries");
    let target = "https://images.cdn.example/logo.svg";
    criterion.bench_function("call/allowed_host", |bench| {
        bench.iter(|| {
            let destination = Destination::parse(black_box(target), "https").expect("a target");
            assert!(allowed.allows(&destination));
        });
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let declared = |value: &str| Declared {
        default: Some(value.to_owned().into()),
    };
    let declared = BTreeMap::from([
        ("host".to_owned(), declared("api.example")),
        ("port".to_owned(), declared("8080")),
    ]);
    let variables = Variables::new(declared, Vec::new());
    let template = Template::parse("https://{{ host }}:{{ port }}").expect("a template");
    criterion.bench_function("call/template", |bench| {
        bench.iter(|| runtime.block_on(variables.resolve(black_box(&template))));
    });
    criterion.bench_function("call/wildcards", |bench| {
        bench.iter(|| wildcards_of(black_box("images.eu.cdn.example")).count());
    });
    criterion.bench_function("call/path_prefix", |bench| {
        bench.iter(|| PathPrefix::parse(black_box("/shop/cart")));
    });
}

criterion_group!(hot, requests, files, calls);
criterion_main!(hot);
