//! As a service: the file of options, what systemd gives, and what it is told.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::process::Signal;

use crate::support::prelude::*;
use crate::support::service_manager::ServiceManager;
use crate::support::wait::until;

#[tokio::test]
async fn options_come_from_a_file_below_the_environment_and_the_command_line() {
    let builder = Daemon::builder().without_directory();
    let etc = builder.root().join("etc");
    fs::create_dir(&etc).unwrap();
    let config = etc.join("tauon.toml");
    let options = r#"
        directory = "../watch-dir"
        access-log = "requests.log"
        access-log-format = "json"
        shared-variables = true
        trusted-proxy = ["127.0.0.1", "unix"]
        [limits]
        requests = 7
        body = 4
    "#;
    fs::write(&config, options).unwrap();
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = builder
        .arg("--config")
        .arg(&config)
        .env("TAUON_ACCESS_LOG_FORMAT", "common")
        .env("TAUON_DRAIN_TIMEOUT", "5s")
        .start()
        .await;
    let address = daemon.serve("app", &layout.file("v1")).await;
    let mut connection = Connection::open(address).await.unwrap();
    assert_eq!(connection.get("/version").await.unwrap().text(), "1");
    // The table of limits is the option's JSON.
    assert_eq!(connection.post("/echo", "12345").await.unwrap().status, 413);
    let log = etc.join("requests.log");
    let line = until("a line in the log beside the file", async || {
        let text = fs::read_to_string(&log).unwrap_or_default();
        text.lines().next().map(String::from).ok_or(text)
    })
    .await;
    assert!(line.contains("\"GET /version HTTP/1.1\" 200"), "{line}");
}

/// What the program says of a mistake; it has to be one.
async fn refused(daemon: &Daemon, config: &Path, variable: (&str, &str)) -> String {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_tauon"))
        .arg("--config")
        .arg(config)
        .env(variable.0, variable.1)
        .current_dir(daemon.root())
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn a_mistake_in_the_file_or_the_environment_is_told_with_its_place() {
    let daemon = Daemon::start().await;
    let config = daemon.root().join("tauon.toml");
    let nothing = ("LC_ALL", "C");
    for (text, complaint) in [
        (
            "\ndrain_timeout = '1m'\n",
            "tauon.toml:2:1: unknown option \"drain_timeout\"; did you mean \"drain-timeout\"?",
        ),
        (
            "drain-timeout = 'soon'",
            "tauon.toml:1:17: invalid value 'soon' for '--drain-timeout <DURATION>'",
        ),
        (
            "cache-size = ['1GiB', '2GiB']",
            "tauon.toml:1:14: cache-size has one value",
        ),
        ("limits = {memory = 'much'}", "tauon.toml:1:10: invalid value"),
        ("lame-duck = ", "tauon.toml:1:"),
    ] {
        fs::write(&config, text).unwrap();
        let said = refused(&daemon, &config, nothing).await;
        assert!(said.starts_with("error: "), "{said}");
        assert!(said.contains(complaint), "{said}");
    }
    fs::write(&config, "").unwrap();
    let said = refused(&daemon, &config, ("TAUON_LAME_DUCK", "long")).await;
    assert!(said.contains("TAUON_LAME_DUCK: invalid value 'long'"), "{said}");
    let said = refused(&daemon, Path::new("absent.toml"), nothing).await;
    assert!(
        said.contains("the configuration absent.toml can't be read"),
        "{said}"
    );
}

#[tokio::test]
async fn the_directories_and_credentials_of_a_service_are_used() {
    let builder = Daemon::builder().own_cache();
    let directories = builder.root().join("service");
    let credentials = builder.root().join("credentials");
    for directory in [&directories, &credentials] {
        fs::create_dir(directory).unwrap();
    }
    fs::write(credentials.join("greeting"), "from a credential\n").unwrap();
    let mut app = App::of("probe", "1");
    app.variables.insert("greeting".into(), json!({"required": true}));
    let layout = Layout::with(&app);
    let mut file = layout.file("v1");
    file["variables"] = json!({"greeting": {"file": "credential:greeting"}});
    let daemon = builder.env("CREDENTIALS_DIRECTORY", &credentials).start().await;
    daemon.serve("app", &file).await;
    file["variables"] = json!({"greeting": {"file": "credential:absent"}});
    daemon.write_app("app", &file);
    daemon.wait_error("app", "absent").await;

    // The harness names every directory: without its options, the service's are taken.
    let watched = daemon.root().join("others");
    fs::create_dir(&watched).unwrap();
    let other = Layout::with(&App::of("probe", "2"));
    fs::write(watched.join("two.json"), other.file("v1").to_string()).unwrap();
    let mut service = tokio::process::Command::new(env!("CARGO_BIN_EXE_tauon"))
        .arg(&watched)
        .env_clear()
        .env("STATE_DIRECTORY", directories.join("state"))
        .env("CACHE_DIRECTORY", daemon.cache())
        .env("RUNTIME_DIRECTORY", directories.join("run"))
        .current_dir(daemon.root())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let socket = directories.join("run/admin.sock");
    until("an app with the service's directories", async || {
        let status = crate::support::status::read(&socket).await?;
        let app = crate::support::status::app(&status, "two").ok_or("none")?;
        (app.state() == "running").then_some(()).ok_or(format!("{app:?}"))
    })
    .await;
    assert!(directories.join("state/apps/two").is_dir());
    assert!(directories.join("state/data").is_dir());
    service.kill().await.unwrap();
}

#[tokio::test]
async fn the_service_manager_is_told_what_goes_on() {
    let builder = Daemon::builder();
    let manager = ServiceManager::new(&builder.root().join("run"));
    let layout = Layout::with(&App::of("probe", "1"));
    let mut broken = layout.file("v1");
    broken["reference"] = "oci:nowhere:v1".into();
    let mut daemon = builder
        .app("app", &layout.file("v1"))
        .app("broken", &broken)
        .env("NOTIFY_SOCKET", manager.socket())
        .env("WATCHDOG_USEC", "200000")
        .start()
        .await;
    let heard = manager.hear("READY=1", 1).await;
    let status = heard.iter().find(|line| line.starts_with("STATUS=")).unwrap();
    assert_eq!(status, "STATUS=2 apps: 1 failed, 1 running");
    // Whoever is told that it is ready can be served.
    let address = daemon.app("app").await.unwrap().address();
    assert_eq!(get(address, "/version").await.unwrap().text(), "1");
    manager.hear("WATCHDOG=1", 3).await;

    daemon.remove_app("broken");
    manager.hear("STATUS=1 app: 1 running", 1).await;

    daemon.signal(Signal::HUP);
    let heard = manager.hear("READY=1", 2).await;
    let reloading = heard.iter().position(|line| line == "RELOADING=1").unwrap();
    assert!(heard[reloading + 1].starts_with("MONOTONIC_USEC="), "{heard:?}");

    assert!(daemon.stop().await.success());
    assert!(manager.heard().contains(&"STOPPING=1".to_owned()));
}

#[tokio::test]
async fn sockets_of_the_service_manager_are_used_by_the_apps_with_their_addresses() {
    let builder = Daemon::builder();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    let path = builder.root().join("run/app.sock");
    let unix = UnixListener::bind(&path).unwrap();
    let layout = Layout::with(&App::of("probe", "1"));
    let mut over_tcp = layout.file("v1");
    over_tcp["address"] = address.to_string().into();
    // Before there is an app, a client can connect, and waits.
    let mut early = Connection::open(address).await.unwrap();
    let daemon = builder
        .app("tcp", &over_tcp)
        .activated_by(tcp.try_clone().unwrap())
        .activated_by(unix)
        .start()
        .await;
    assert_eq!(early.get("/version").await.unwrap().text(), "1");
    daemon
        .wait_log("opened a socket at an address that no app has")
        .await;

    let mut over_unix = layout.file("v1");
    over_unix["address"] = format!("unix:{}", path.display()).into();
    daemon.write_app("unix", &over_unix);
    daemon.wait_state("unix", "running").await;
    let mut connection = Connection::open_unix(&path).await.unwrap();
    assert_eq!(connection.get("/version").await.unwrap().text(), "1");

    // The manager has the socket open still: whoever comes back finds it, and its file is the manager's.
    daemon.remove_app("unix");
    daemon.remove_app("tcp");
    daemon.wait_gone("unix").await;
    daemon.wait_gone("tcp").await;
    assert!(path.exists());
    let mut late = Connection::open(address).await.unwrap();
    daemon.write_app("tcp", &over_tcp);
    assert_eq!(late.get("/version").await.unwrap().text(), "1");
    drop(tcp);
}

/// `$NAME` is replaced where it is a word of its own; within one it has to be `${NAME}`.
#[test]
fn variables_in_the_unit_are_written_as_systemd_reads_them() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/tauon.service");
    let unit = fs::read_to_string(unit).unwrap();
    let words = unit
        .lines()
        .filter(|line| line.starts_with("Exec"))
        .flat_map(str::split_whitespace);
    let within: Vec<&str> = words
        .filter(|word| word.find('$').is_some_and(|at| at > 0))
        .collect();
    assert_eq!(within, ["--pid=${MAINPID}"]);
}
