//! Databases and brokers as operators run them: behind TLS, behind passwords, and restarted while apps go on.

use std::net::SocketAddr;

use serde_json::Value;

use crate::support::mosquitto::Mosquitto;
use crate::support::mysql::Mysql;
use crate::support::postgres::Postgres;
use crate::support::prelude::*;
use crate::support::redis::Redis;
use crate::support::wait::until;

const REDIS: &str = "fermyon:spin/redis@2.0.0";
const MYSQL: &str = "fermyon:spin/mysql@2.0.0";
const POSTGRES: &str = "fermyon:spin/postgres@2.0.0";
const MQTT: &str = "fermyon:spin/mqtt@2.0.0";

/// An app that may reach every database and broker of this machine.
fn app() -> App {
    let mut component = Component::new("apis", guest("apis5"));
    for scheme in ["redis", "rediss", "mysql", "postgres", "mqtt", "mqtts"] {
        for host in ["127.0.0.1", "localhost"] {
            component = component.allow(&format!("{scheme}://{host}:*"));
        }
    }
    App::new("backends").component(component).route("/...", "apis")
}

/// Runs a script of calls in one instance; the results.
pub async fn run(address: SocketAddr, interface: &str, script: &[Value]) -> Vec<Value> {
    let script: Vec<String> = script.iter().map(Value::to_string).collect();
    let mut connection = Connection::open(address).await.expect("it listens");
    let reply = connection
        .post(&format!("/{interface}"), script.join("\n"))
        .await
        .expect("an answer");
    let text = reply.text();
    // What was not opened can't be used: then there is a sentence.
    let results = text
        .lines()
        .map(|line| match serde_json::from_str::<Value>(line) {
            Ok(line) => line["result"].clone(),
            Err(_) => json!({"err": line}),
        });
    results.collect()
}

fn all_ok(results: &[Value], calls: usize) -> bool {
    results.len() == calls && results.iter().all(|result| result.get("ok").is_some())
}

fn redis_calls(address: &str) -> Vec<Value> {
    vec![
        json!(["open", address]),
        json!(["set", 0, "colour", "blue"]),
        json!(["get", 0, "colour"]),
    ]
}

fn sql_calls(address: &str) -> Vec<Value> {
    vec![json!(["open", address]), json!(["query", 0, "SELECT 1", []])]
}

fn mqtt_calls(address: &str, user: &str, password: &str) -> Vec<Value> {
    vec![
        json!(["open", address, user, password, 30]),
        json!(["publish", 0, "weather", "sunny", "exactly-once"]),
    ]
}

#[tokio::test]
async fn tls_is_spoken_to_each_of_them_and_only_to_those_that_are_trusted() {
    let (redis, mysql, broker, postgres) = tokio::join!(
        Redis::with_tls(),
        Mysql::with_tls(),
        Mosquitto::with_tls(),
        Postgres::start()
    );
    let mut mysql_address = mysql.address();
    mysql_address.push_str("?ssl-mode=required");
    let backends = [
        (REDIS, redis_calls(&redis.address())),
        (MYSQL, sql_calls(&mysql_address)),
        (POSTGRES, sql_calls(&postgres.tls_address())),
        (MQTT, mqtt_calls(&broker.address("tls"), "", "")),
    ];
    let directory = tempfile::tempdir().unwrap();
    let roots = directory.path().join("roots.pem");
    let mut authorities = postgres.authority();
    for file in [redis.authority(), mysql.authority(), broker.authority()] {
        authorities.push_str(&std::fs::read_to_string(file).unwrap());
    }
    std::fs::write(&roots, authorities).unwrap();
    let layout = Layout::with(&app());

    let trusting = Daemon::builder().env("SSL_CERT_FILE", &roots).start().await;
    let address = trusting.serve("app", &layout.file("v1")).await;
    let mut weather = broker.subscribe("weather").await;
    for (interface, calls) in &backends {
        let results = run(address, interface, calls).await;
        assert!(all_ok(&results, calls.len()), "{interface}: {results:?}");
    }
    assert_eq!(redis.command(&["GET", "colour"]).await, "blue");
    assert!(weather.next().await.contains("weather"));

    let wary = Daemon::start().await;
    let address = wary.serve("app", &layout.file("v1")).await;
    for (interface, calls) in &backends {
        let results = run(address, interface, calls).await;
        assert!(
            results.iter().any(|result| result.get("err").is_some()),
            "{interface}: {results:?}"
        );
    }
}

#[tokio::test]
async fn a_broker_with_a_password_lets_in_who_has_it() {
    let broker = Mosquitto::with_password().await;
    let layout = Layout::with(&app());
    let daemon = Daemon::start().await;
    let address = daemon.serve("app", &layout.file("v1")).await;
    let (user, password) = (
        crate::support::mosquitto::USER,
        crate::support::mosquitto::PASSWORD,
    );
    let results = run(address, MQTT, &mqtt_calls(&broker.address("in"), user, password)).await;
    assert!(all_ok(&results, 2), "{results:?}");
    let results = run(address, MQTT, &mqtt_calls(&broker.address("out"), user, "wrong")).await;
    assert!(
        results.iter().any(|result| result.get("err").is_some()),
        "{results:?}"
    );
}

#[tokio::test]
async fn calls_fail_while_a_server_is_away_and_work_by_themselves_when_it_is_back() {
    let (mut redis, mut mysql, mut broker, mut postgres) = tokio::join!(
        Redis::plain(),
        Mysql::plain(),
        Mosquitto::plain(),
        Postgres::start()
    );
    let backends = [
        (REDIS, redis_calls(&redis.address())),
        (MYSQL, sql_calls(&mysql.address())),
        (POSTGRES, sql_calls(&postgres.address())),
        (MQTT, mqtt_calls(&broker.address("recovery"), "", "")),
    ];
    let layout = Layout::with(&app());
    let daemon = Daemon::start().await;
    let address = daemon.serve("app", &layout.file("v1")).await;
    for (interface, calls) in &backends {
        let results = run(address, interface, calls).await;
        assert!(all_ok(&results, calls.len()), "{interface}: {results:?}");
    }
    redis.stop();
    mysql.stop();
    broker.stop();
    postgres.stop();
    for (interface, calls) in &backends {
        let results = run(address, interface, calls).await;
        assert!(!all_ok(&results, calls.len()), "{interface}: {results:?}");
    }
    tokio::join!(redis.start(), mysql.start(), broker.start(), postgres.resume());
    for (interface, calls) in &backends {
        until(&format!("{interface} to work again"), async || {
            let results = run(address, interface, calls).await;
            match all_ok(&results, calls.len()) {
                true => Ok(()),
                false => Err(format!("{results:?}")),
            }
        })
        .await;
    }
    assert_eq!(mysql.run("SELECT 1 + 1").await.trim(), "2");
    assert_eq!(postgres.run("SELECT 1 + 1").await[0][0].as_deref(), Some("2"));
}
