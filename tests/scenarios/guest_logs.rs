//! What guests print: files in Spin's layout (docs/contract/runtime-config.md §2), and `tauon logs`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::support::prelude::*;
use crate::support::wait::until;

async fn print(address: SocketAddr, text: &str) {
    let path = format!("/print?text={text}&error=e-{text}");
    assert_eq!(get(address, &path).await.unwrap().status, 200);
}

fn stdout(output: &Output) -> &str {
    assert!(output.status.success(), "{}", stderr(output));
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn file(daemon: &Daemon, name: &str) -> PathBuf {
    daemon.root().join("state/app/logs").join(name)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

async fn has(path: &Path, text: &str) -> String {
    until(&format!("{text:?} in {}", path.display()), async || {
        let content = read(path);
        match content.contains(text) {
            true => Ok(content),
            false => Err(content),
        }
    })
    .await
}

#[tokio::test]
async fn each_component_has_a_file_for_each_stream_and_a_redeploy_goes_on_in_it() {
    let mut layout = Layout::with(&App::of("probe", "1"));
    let second = layout.add("v2", &App::of("probe", "2"));
    let mut daemon = Daemon::start().await;
    let address = daemon.serve("app", &layout.file("v1")).await;
    // An app that says nothing has no files.
    assert!(!daemon.root().join("state/app/logs").exists());
    print(address, "first").await;
    daemon.write_app("app", &layout.file("v2"));
    let address = daemon.wait_digest("app", &second).await.address();
    print(address, "second").await;
    daemon.wait_log("e-second").await;
    daemon.stop().await;
    daemon.start_again().await;
    let address = daemon.address("app").await;
    print(address, "third").await;

    let path = file(&daemon, "probe_stdout.txt");
    assert_eq!(has(&path, "third").await, "first\nsecond\nthird\n");
    let errors = has(&file(&daemon, "probe_stderr.txt"), "third").await;
    assert_eq!(errors, "e-first\ne-second\ne-third\n");

    // What another program has renamed is left alone after a signal.
    fs::rename(&path, path.with_extension("old")).unwrap();
    daemon.signal(rustix::process::Signal::HUP);
    until("a new file", async || {
        print(address, "fourth").await;
        read(&path)
            .contains("fourth")
            .then_some(())
            .ok_or_else(|| read(&path))
    })
    .await;

    let shown = daemon.command(&["logs", "app", "-n", "2", "--stdout"]).await;
    assert!(stdout(&shown).ends_with("probe | fourth\n"), "{shown:?}");
    assert_eq!(stderr(&shown), "");
    let shown = daemon
        .command(&["logs", "app", "-n", "1", "--stderr", "--json"])
        .await;
    let line: Value = serde_json::from_str(stdout(&shown)).unwrap();
    assert_eq!(
        line,
        json!({"component": "probe", "stream": "stderr", "line": "e-fourth"})
    );
}

#[tokio::test]
async fn a_reader_who_follows_misses_nothing_while_files_are_renamed() {
    const LINES: usize = 400;
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::builder()
        .arg("--log-size=8KiB")
        .arg("--guest-log=files")
        .start()
        .await;
    let address = daemon.serve("app", &layout.file("v1")).await;
    print(address, "before").await;
    let mut following = daemon
        .asking(&["logs", "app", "--follow", "--component", "probe", "--json"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut next =
        async || -> Value { serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap() };
    // Of the files, one after another.
    assert_eq!(next().await["line"], "e-before");
    let line = next().await;
    assert_eq!((&line["line"], line.get("time")), (&json!("before"), None));

    let padding = "x".repeat(100);
    for number in 0..LINES {
        print(address, &format!("{number}-{padding}")).await;
    }
    for number in 0..LINES {
        for (stream, begin) in [("stdout", ""), ("stderr", "e-")] {
            let line = next().await;
            assert_eq!(
                (&line["stream"], &line["line"]),
                (&json!(stream), &json!(format!("{begin}{number}-{padding}"))),
                "{line}"
            );
            assert!(line["time"].as_str().unwrap().ends_with('Z'));
        }
    }
    let newest = read(&file(&daemon, "probe_stdout.txt"));
    let older = read(&file(&daemon, "probe_stdout.txt.1"));
    for content in [&newest, &older] {
        assert!(
            !content.is_empty() && content.len() <= 8 << 10,
            "{} bytes",
            content.len()
        );
    }
    assert!(newest.ends_with(&format!("{}-{padding}\n", LINES - 1)));
    assert_eq!(fs::read_dir(file(&daemon, "")).unwrap().count(), 4);
    // Older lines come from the older file.
    let more = newest.lines().count() + 2;
    let shown = daemon
        .command(&["logs", "app", "--stdout", "-n", &more.to_string()])
        .await;
    assert_eq!(stdout(&shown).lines().count(), more);
    assert_eq!(daemon.log_lines(&padding), [""; 0]);
}

#[tokio::test]
async fn lines_have_times_in_the_files_where_an_operator_wants_them() {
    const LINES: usize = 200;
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::builder()
        .arg("--log-times")
        .arg("--log-size=8KiB")
        .arg("--guest-log=files");
    let mut daemon = daemon.start().await;
    let address = daemon.serve("app", &layout.file("v1")).await;
    let began = SystemTime::now();
    for number in 0..LINES {
        print(address, &format!("{number}-{}", "x".repeat(40))).await;
    }
    // A time that a guest prints itself is its own.
    let own = "2001-02-03T04:05:06.789Z";
    print(address, &format!("{own}%20own")).await;
    let content = has(&file(&daemon, "probe_stdout.txt"), own).await;
    assert!(content.len() <= 8 << 10, "{} bytes", content.len());
    let older = read(&file(&daemon, "probe_stdout.txt.1"));
    let mut last = began - Duration::from_millis(1);
    for line in older.lines().chain(content.lines()) {
        let (time, _) = line.split_once(' ').unwrap();
        let time = humantime::parse_rfc3339(time).unwrap();
        assert!(time >= last && time <= SystemTime::now(), "{line}");
        last = time;
    }

    daemon.stop().await;
    daemon.start_again().await;
    daemon.address("app").await;
    let shown = daemon
        .command(&["logs", "app", "--stdout", "--json", "-n", "2"])
        .await;
    let lines: Vec<Value> = stdout(&shown)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let texts = [format!("{}-{}", LINES - 1, "x".repeat(40)), format!("{own} own")];
    for (line, text) in lines.iter().zip(&texts) {
        assert_eq!(line["line"], **text, "{line}");
        assert!(content.contains(&format!("{} {text}\n", line["time"].as_str().unwrap())));
    }
    let shown = daemon
        .command(&["logs", "app", "--stdout", "--times", "-n", "1"])
        .await;
    let expected = format!("{} probe | {own} own\n", lines[1]["time"].as_str().unwrap());
    assert_eq!(stdout(&shown), expected);
    let shown = daemon.command(&["logs", "app", "--stdout", "-n", "1"]).await;
    assert_eq!(stdout(&shown), format!("probe | {own} own\n"));

    // Without the option lines are what they are, and new ones have no times.
    let daemon = Daemon::start().await;
    let address = daemon.serve("app", &layout.file("v1")).await;
    print(address, &format!("{own}%20own")).await;
    let path = file(&daemon, "probe_stdout.txt");
    assert_eq!(has(&path, own).await, format!("{own} own\n"));
    let shown = daemon.command(&["logs", "app", "--stdout", "--times"]).await;
    assert_eq!(stdout(&shown), format!("probe | {own} own\n"));
}

#[tokio::test]
async fn what_is_asked_of_logs_has_clear_answers() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::builder().arg("--guest-log=none").start().await;
    let address = daemon.serve("app", &layout.file("v1")).await;
    let shown = daemon.command(&["logs", "app"]).await;
    assert_eq!((stdout(&shown), stderr(&shown)), ("", ""));
    let shown = daemon.command(&["logs", "apo"]).await;
    assert!(!shown.status.success());
    assert_eq!(
        stderr(&shown),
        "error: the daemon has no app `apo`: `status` lists them\n"
    );

    // Who follows sees what is kept nowhere.
    let mut following = daemon
        .asking(&["logs", "app", "-f", "--stderr"])
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stderr.take().unwrap()).lines();
    let printing = async {
        loop {
            print(address, "live").await;
        }
    };
    tokio::select! {
        line = lines.next_line() => assert_eq!(line.unwrap().unwrap(), "probe | e-live"),
        () = printing => {}
    }
    assert!(!daemon.root().join("state/app/logs").exists());
    assert_eq!(daemon.log_lines("live"), [""; 0]);
}

#[tokio::test]
async fn a_log_directory_for_all_apps_has_one_for_each() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::builder().home_file("runtime.toml", "log_dir = \"logs\"");
    let config = daemon.watched().with_file_name("home/runtime.toml");
    let daemon = daemon.arg("--runtime-config").arg(config).start().await;
    let own = daemon.root().join("own");
    let mut with_own = layout.file("v1");
    with_own["runtime_config"] = json!({"log_dir": own});
    for (id, app, directory) in [
        ("app", layout.file("v1"), daemon.root().join("home/logs/app")),
        ("other", with_own, own.clone()),
    ] {
        let address = daemon.serve(id, &app).await;
        print(address, id).await;
        has(&directory.join("probe_stdout.txt"), id).await;
        let shown = daemon.command(&["logs", id, "--stdout"]).await;
        assert_eq!(stdout(&shown), format!("probe | {id}\n"));
    }
    assert!(!file(&daemon, "").exists());
}

#[tokio::test]
async fn logs_are_bounded_by_their_rate_and_do_not_count_as_state() {
    let component = Component::new("apis5", guest("apis5")).grant("key_value_stores", "default");
    let probe = Component::new("probe", guest("probe"));
    let app = App::new("both").component(component).component(probe);
    let layout = Layout::with(&app.route("/...", "apis5").route("/print", "probe"));
    let daemon = Daemon::start().await;
    let mut app = layout.file("v1");
    app["limits"] = json!({"state_size": "128KiB", "log_rate": "100KiB"});
    let address = daemon.serve("app", &app).await;
    let text = "x".repeat(30_000);
    let mut connection = Connection::open(address).await.unwrap();
    let (mut printed, mut written) = (0, 0);
    let file = file(&daemon, "probe_stdout.txt");
    while written < 200 << 10 || daemon.log_lines("limit=\"log_rate\"").is_empty() {
        let reply = connection.get(&format!("/print?text={text}")).await.unwrap();
        assert_eq!(reply.status, 200);
        printed += text.len() as u64;
        written = fs::metadata(&file).map_or(0, |file| file.len());
    }
    assert!(written < printed, "{written} of {printed} bytes");

    let value = "v".repeat(40_000);
    let script = [
        json!(["open", "default"]),
        json!(["set", 0, "key", value]),
        json!(["get", 0, "key"]),
    ];
    let script: String = script.iter().map(|call| format!("{call}\n")).collect();
    let reply = connection
        .post("/fermyon:spin/key-value@2.0.0", script)
        .await
        .unwrap();
    let kept = format!(r#"{{"function":"get","result":{{"ok":"{value}"}}}}"#);
    assert!(reply.text().contains(&kept), "{}", reply.text());
}

#[tokio::test]
async fn a_disk_that_does_not_keep_up_slows_no_guest() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::start().await;
    let pipe = file(&daemon, "probe_stdout.txt");
    fs::create_dir_all(pipe.parent().unwrap()).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    // Both ends, so that neither waits for the other to be opened; nobody reads.
    let _reader = fs::File::options().read(true).write(true).open(&pipe).unwrap();
    let address = daemon.serve("app", &layout.file("v1")).await;
    let mut connection = Connection::open(address).await.unwrap();
    let path = format!("/print?text={}", "x".repeat(60_000));
    while daemon.log_lines("are missing in the app's files").is_empty() {
        assert_eq!(connection.get(&path).await.unwrap().status, 200);
    }
    assert_eq!(connection.get("/version").await.unwrap().text(), "1");
}
