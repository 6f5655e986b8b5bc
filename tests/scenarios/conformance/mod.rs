//! Every function of every interface, called by real guests against real servers; `docs/conformance.md` is the table of
//! what came back.

mod apps;
mod case;
mod coverage;
mod databases;
mod http;
mod key_value;
mod llm;
mod mqtt;
mod otel;
mod redis;
mod refused;
mod sqlite;
mod table;
mod triggers;
mod variables;
mod wasi;

use crate::support::guests::repository;

use self::apps::Apps;
use self::table::Table;

/// Set, the run writes the table instead of comparing it.
const WRITE: &str = "LEPTON_WRITE_CONFORMANCE";

#[tokio::test(flavor = "multi_thread")]
async fn every_function_of_every_interface_does_what_the_table_says() {
    let apps = Apps::start().await;
    let mut table = Table::default();
    for (heading, sections) in [
        ("Key-value stores", key_value::sections()),
        ("Variables and configuration", variables::sections()),
        ("SQLite", sqlite::sections()),
        ("Redis", redis::sections(&apps)),
        ("PostgreSQL", databases::postgres(&apps)),
        ("MySQL", databases::mysql(&apps)),
        ("MQTT", mqtt::sections(&apps)),
        ("Language models", llm::sections()),
        ("HTTP", http::sections(&apps)),
        ("OpenTelemetry", otel::sections()),
        ("WASI", wasi::sections(&apps)),
    ] {
        table.heading(heading);
        for section in sections {
            let failures = apps.run(&section).await;
            table.section(&section, failures);
        }
    }
    wasi::trailers_and_continue(&apps, &mut table).await;
    otel::exported(&apps).await;
    table.heading("Triggers");
    triggers::run(&apps, &mut table).await;
    table.heading("Not provided");
    refused::run(&apps, &mut table).await;
    coverage::check(&mut table);

    let failures = table.failures();
    assert!(failures.is_empty(), "{}\n\n{}", failures.join("\n"), apps.logs());
    let file = repository().join("docs/conformance.md");
    if std::env::var_os(WRITE).is_some() {
        #[cfg(not(feature = "aws"))]
        panic!("without `--features aws` rows are missing");
        std::fs::write(&file, table.text()).expect("docs/ is there");
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        table::of_this_build(&kept) == table.text(),
        "docs/conformance.md is not what this run found: {WRITE}=1 tests/run conformance writes it"
    );
}
