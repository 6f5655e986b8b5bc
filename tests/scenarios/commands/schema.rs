//! `schema`, `init`, `completions` and `man`: what is made from the definitions.

use std::collections::BTreeSet;
use std::fs;

use crate::support::guests::{cache, repository};
use crate::support::prelude::*;
use crate::support::tool::{Ran, Tool};

/// Prints a line for each file that does not fit a schema, with the reason. It comes with moto.
const VALIDATE: &str = "
import json, sys
from jsonschema import Draft202012Validator
schema = json.load(open(sys.argv[1]))
Draft202012Validator.check_schema(schema)
for name in sys.argv[2:]:
    errors = sorted(Draft202012Validator(schema).iter_errors(json.load(open(name))), key=str)
    if errors: print(name, errors[0].message.replace('\\n', ' '))
";

/// The files that a schema refuses, with the reasons.
async fn refused(tool: &Tool, schema: &str, files: &[String]) -> Ran {
    let python = cache().join("servers/bin/python");
    let mut arguments = vec!["-c", VALIDATE, schema];
    arguments.extend(files.iter().map(String::as_str));
    let ran = tool.any(&python, "", &arguments).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    ran
}

/// What the parser accepts of these files.
async fn accepted(tool: &Tool, files: &[String]) -> BTreeSet<String> {
    let mut arguments = vec!["check", "--json"];
    arguments.extend(files.iter().map(String::as_str));
    let report = tool.run(&arguments).await.json();
    // What is wrong only beside others, or on this machine, is not in the file.
    let elsewhere = ["held by app", "can't be read", "can't be spoken"];
    let good = |file: &&serde_json::Value| {
        let problems = file["problems"].as_array().expect("an array").iter();
        let mut messages = problems.map(|problem| problem["message"].as_str().unwrap_or_default());
        messages.all(|message| elsewhere.iter().any(|words| message.contains(words)))
    };
    let files = report.as_array().expect("an array").iter().filter(good);
    files
        .map(|file| file["file"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn the_schema_agrees_with_the_parser_about_every_file_in_test_configs() {
    let tool = Tool::new();
    let schema = tool.run(&["schema"]).await;
    assert_eq!(
        schema.json()["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    tool.write("schema.json", &schema.stdout);
    let list = tool.run(&["schema", "--list"]).await;
    tool.write("list.json", &list.stdout);

    let directory = fs::read_dir(repository().join("test-configs")).unwrap().flatten();
    let paths = directory.map(|entry| entry.path().to_str().unwrap().to_owned());
    let mut files: Vec<String> = paths
        .filter(|path| path.ends_with(".json") && !path.ends_with("mistake-bad-json.json"))
        .collect();
    files.sort();
    // Each member in each of its forms, and mistakes of all kinds.
    let base =
        |more: &str| format!("{{\"reference\": \"ghcr.io/a/b:v1\", \"address\": \"127.0.0.1:0\"{more}}}");
    for (number, (good, more)) in MEMBERS.into_iter().enumerate() {
        let verdict = if good { "good" } else { "bad" };
        let path = tool.write(&format!("members/{verdict}-{number}.json"), &base(more));
        files.push(path.to_str().unwrap().to_owned());
    }
    let accepted = accepted(&tool, &files).await;
    let refused = refused(&tool, "schema.json", &files).await;
    for file in &files {
        let reason = refused.lines(file);
        match accepted.contains(file) {
            true => assert!(reason.is_empty() && !file.contains("/bad-"), "{file}: {reason:?}"),
            false => assert!(!file.contains("/good-"), "{file} is refused by the parser"),
        }
        // All that these have can be seen without knowing more than the file.
        if file.contains("/bad-") || (file.contains("mistake-") && !accepted.contains(file)) {
            assert!(
                !reason.is_empty(),
                "{file} fits the schema: {}",
                fs::read_to_string(file).unwrap()
            );
        }
    }

    let lepton = repository().join("lepton.json").to_str().unwrap().to_owned();
    let as_list = self::refused(&tool, "list.json", &[lepton, files[0].clone()]).await;
    assert_eq!(as_list.stdout.lines().count(), 1, "{as_list:?}");
    assert!(as_list.stdout.starts_with(&files[0]), "{as_list:?}");
}

/// Members after `reference` and `address`, and whether they are right.
const MEMBERS: [(bool, &str); 38] = [
    (true, ", \"$schema\": \".schema.json\""),
    (
        true,
        ", \"host\": \"a.example\", \"path\": \"/a\", \"strip_path\": true",
    ),
    (true, ", \"host\": [\"a.example\", \"*.a.example\"]"),
    (true, ", \"health\": {\"path\": \"/up\", \"timeout\": 2.5}"),
    (true, ", \"variables\": {\"a\": \"b\", \"c\": {\"file\": \"d\"}}"),
    (true, ", \"environment\": {\"A\": \"b\"}"),
    (
        true,
        ", \"enabled\": false, \"drain_timeout\": \"1m 30s\", \"pull\": \"if-not-present\"",
    ),
    (true, ", \"drain_timeout\": 3, \"pull\": 60"),
    (true, ", \"pull\": \"5m\", \"timezone\": \"Europe/Berlin\""),
    (
        true,
        ", \"runtime_config\": {\"key_value_store\": {\"a\": {\"type\": \"redis\", \"url\": \"redis://a\"}}}",
    ),
    (
        true,
        ", \"runtime_config\": {\"sqlite_database\": {\"a\": {\"type\": \"spin\", \"path\": \"a.db\"}}, \"outbound_http\": {\"connection_pooling\": true}}",
    ),
    (
        true,
        ", \"runtime_config\": {\"variables_provider\": [{\"type\": \"static\", \"values\": {\"a\": \"b\"}}], \"llm_compute\": {\"type\": \"spin\"}}",
    ),
    (
        true,
        ", \"limits\": {\"memory\": \"64MiB\", \"request_time\": 0.5, \"cpu_time\": null, \"requests\": 1, \"queue\": 0, \"queue_time\": \"1s\"}",
    ),
    (
        true,
        ", \"limits\": {\"rate\": \"30/m\", \"burst\": 2, \"body\": 0, \"headers\": \"4KiB\", \"outbound_connections\": 0}",
    ),
    (
        true,
        ", \"limits\": {\"rate\": 0.5, \"outbound_networks\": [\"10.0.0.0/8\", \"private\"], \"log_rate\": 1, \"state_size\": null}",
    ),
    (
        true,
        ", \"host\": \"a.example\", \"tls\": {\"acme\": true, \"redirect_from\": \"0.0.0.0:80\"}",
    ),
    (
        true,
        ", \"host\": \"a.example\", \"tls\": {\"acme\": {\"directory\": \"https://a.example/\", \"contact\": [\"a@b.example\"], \"challenge\": \"tls-alpn-01\"}}",
    ),
    (false, ", \"adress\": \"127.0.0.1:1\""),
    (false, ", \"host\": []"),
    (false, ", \"host\": \"http://a.example/\""),
    (false, ", \"path\": \"a\""),
    (false, ", \"strip_path\": \"yes\""),
    (false, ", \"health\": {\"timeout\": \"1s\"}"),
    (false, ", \"health\": \"up\""),
    (false, ", \"state_dir\": \"\""),
    (false, ", \"variables\": {\"a\": 1}"),
    (false, ", \"variables\": {\"a\": {\"path\": \"b\"}}"),
    (false, ", \"environment\": {\"A=B\": \"c\"}"),
    (false, ", \"enabled\": null"),
    (false, ", \"drain_timeout\": \"soon\""),
    (false, ", \"pull\": \"never\""),
    (false, ", \"pull\": 0"),
    (
        false,
        ", \"runtime_config\": {\"key_value_store\": {\"a\": {\"type\": \"etcd\"}}}",
    ),
    (false, ", \"limits\": {\"memry\": 1}"),
    (false, ", \"limits\": {\"requests\": 0}"),
    (false, ", \"limits\": {\"rate\": \"30/d\"}"),
    (false, ", \"tls\": {\"cert\": \"a.pem\"}"),
    (false, ", \"tls\": {}"),
];

#[tokio::test]
async fn a_new_directory_is_one_that_a_daemon_serves_and_an_editor_understands() {
    let tool = Tool::new();
    let ran = tool.run(&["init", "apps"]).await;
    assert_eq!(ran.lines("wrote ").len(), 3, "{ran:?}");
    assert_eq!(tool.run(&["check", "apps"]).await.code, 0);
    let fits = refused(&tool, "apps/.schema.json", &["apps/app.json".to_owned()]).await;
    assert_eq!(fits.stdout, "");
    let app: serde_json::Value =
        serde_json::from_slice(&fs::read(tool.path("apps/app.json")).unwrap()).unwrap();
    assert_eq!(app["$schema"], ".schema.json");

    let layout = Layout::with(&App::of("probe", "1"));
    let reference = layout.reference("v1");
    let ran = tool.run(&["init", "apps", "--reference", &reference]).await;
    assert_eq!(
        (ran.lines("wrote ").len(), ran.lines("kept ").len()),
        (1, 2),
        "{ran:?}"
    );
    let daemon = Daemon::start().await;
    for entry in fs::read_dir(tool.path("apps")).unwrap().flatten() {
        fs::copy(entry.path(), daemon.watched().join(entry.file_name())).unwrap();
    }
    daemon.wait_state("app", "disabled").await;
    assert_eq!(daemon.status().await["apps"].as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn every_command_has_a_page_of_the_manual_and_completions() {
    let tool = Tool::new();
    assert_eq!(tool.run(&["man", "pages"]).await.code, 0);
    let entries = fs::read_dir(tool.path("pages")).unwrap().flatten();
    let pages: BTreeSet<String> = entries
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    for command in [
        "status",
        "redeploy",
        "check",
        "diff",
        "init",
        "schema",
        "pull",
        "login",
        "logout",
        "cache",
        "cache-prune",
        "cache-verify",
        "completions",
        "man",
    ] {
        assert!(
            pages.contains(&format!("tauon-{command}.1")),
            "{command} in {pages:?}"
        );
        let help = tool
            .run(&[&command.split('-').collect::<Vec<_>>()[..], &["--help"]].concat())
            .await;
        assert!(
            help.code == 0 && help.stdout.contains("Usage:"),
            "{command}: {help:?}"
        );
    }
    assert!(
        pages.contains("tauon.1") && pages.contains("lepton.1"),
        "{pages:?}"
    );
    let page = fs::read_to_string(tool.path("pages/tauon-check.1")).unwrap();
    assert!(page.contains("\\-\\-pull"), "{page}");
    for shell in ["bash", "zsh", "fish"] {
        let script = tool.run(&["completions", shell]).await;
        assert!(script.stdout.contains("redeploy"), "{shell}");
        let script = tool.run(&["completions", shell, "--program", "lepton"]).await;
        assert!(script.stdout.contains("lame-duck"), "{shell}");
    }
}
