use std::time::Duration;

use super::*;

const FILE: &str = "/apps/shop.json";

fn app(text: &str) -> Result<AppSpec, ManifestError> {
    parse_app(text, Path::new(FILE))
}

fn refusal(text: &str) -> String {
    app(text).unwrap_err().to_string()
}

fn with(members: &str) -> String {
    format!("{{\n  \"reference\": \"ghcr.io/a/b:v1\",\n  \"address\": \"127.0.0.1:80\",\n  {members}\n}}")
}

#[test]
fn the_three_members_of_the_demo_are_enough() {
    let text = r#"{ "reference": "ghcr.io/itowlson/dioxus-test:v1", "address": "127.0.0.1:4001", "state_dir": "dioxus1" }"#;
    let spec = app(text).unwrap();
    assert_eq!(spec.reference.to_string(), "ghcr.io/itowlson/dioxus-test:v1");
    assert_eq!(spec.address.to_string(), "127.0.0.1:4001");
    assert_eq!(spec.state_dir, Path::new("dioxus1"));
    assert!(spec.enabled);
    assert_eq!(spec.pull, PullPolicy::Always);
    assert_eq!(spec.drain_timeout, None);
}

#[test]
fn every_optional_member_is_read() {
    let spec = app(&with(
        r#""$schema": {"any": 1}, "variables": {"a": "x", "b": {"file": "secrets/b"}},
           "environment": {"E": "1"}, "enabled": false, "drain_timeout": "5m", "pull": "10s""#,
    ))
    .unwrap();
    assert_eq!(spec.state_dir, Path::new("shop"));
    assert_eq!(spec.variables["a"], VariableValue::Literal(Secret::new("x")));
    assert_eq!(spec.variables["b"], VariableValue::File("/apps/secrets/b".into()));
    assert_eq!(spec.environment["E"], "1");
    assert!(!spec.enabled);
    assert_eq!(spec.drain_timeout, Some(Duration::from_secs(300)));
    assert_eq!(spec.pull, PullPolicy::Every(Duration::from_secs(10)));
}

#[test]
fn hosts_and_a_path_say_where_at_the_address_the_app_is() {
    let sites = |members: &str| {
        let site = app(&with(members)).unwrap().site;
        let locations = site.locations().map(|location| location.to_string());
        (locations.collect::<Vec<_>>(), site.strip_path)
    };
    assert_eq!(sites("\"pull\": \"always\""), (vec![String::new()], false));
    let one = r#""host": "Shop.example", "path": "/cart", "strip_path": true"#;
    assert_eq!(sites(one), (vec!["shop.example/cart".to_owned()], true));
    let two = r#""host": ["a.example", "*.a.example"]"#;
    assert_eq!(sites(two).0, ["a.example", "*.a.example"]);
}

#[test]
fn a_duration_may_be_a_number_of_seconds() {
    let spec = app(&with(r#""drain_timeout": 1.5, "pull": 60"#)).unwrap();
    assert_eq!(spec.drain_timeout, Some(Duration::from_millis(1500)));
    assert_eq!(spec.pull, PullPolicy::Every(Duration::from_secs(60)));
}

#[test]
fn an_unknown_member_names_the_one_that_was_meant_at_its_place() {
    let text = "{\n  \"refrence\": \"ghcr.io/a/b:v1\",\n  \"address\": \"127.0.0.1:80\"\n}";
    let message = refusal(text);
    assert!(message.starts_with("/apps/shop.json:2:12: "), "{message}");
    assert!(
        message.ends_with("unknown member \"refrence\"; did you mean \"reference\"?"),
        "{message}"
    );
    assert!(refusal(&with("\"drain-timeout\": 1")).contains("did you mean \"drain_timeout\"?"));
    assert!(refusal(&with("\"zzz\": 1")).contains("an app may have reference, address"));
}

#[test]
fn each_mistake_is_told_with_line_and_reason() {
    let cases = [
        (
            "{\"address\": \"127.0.0.1:80\"}",
            ":1:",
            "member \"reference\" is missing",
        ),
        (
            &with("\"enabled\": \"yes\""),
            ":4:",
            "expected true or false for \"enabled\"",
        ),
        (
            &with("\"state_dir\": 7"),
            ":4:",
            "expected a string for \"state_dir\"",
        ),
        (&with("\"state_dir\": \"\""), ":4:", "\"state_dir\" is empty"),
        (&with("\"pull\": \"allways\""), ":4:", "did you mean \"always\"?"),
        (&with("\"pull\": \"0s\""), ":4:", "never rest"),
        (&with("\"drain_timeout\": \"soon\""), ":4:", "not a duration"),
        (&with("\"drain_timeout\": -1"), ":4:", "drain_timeout"),
        (&with("\"address\": \"127.0.0.1:81\""), ":4:", "twice"),
        (
            &with("\"variables\": {\"a\": \"1\", \"a\": \"2\"}"),
            ":4:",
            "twice",
        ),
        (
            &with("\"variables\": {\"a\": {\"path\": \"x\"}}"),
            ":4:",
            "{\"file\": PATH}",
        ),
        (
            &with("\"environment\": {\"a=b\": \"x\"}"),
            ":4:",
            "can't be the name",
        ),
        (
            &with("\"environment\": []"),
            ":4:",
            "an object of names and values",
        ),
        (&with("\"host\": 7"), ":4:", "a host name or a list of them"),
        (&with("\"host\": []"), ":4:", "leave it out for every host"),
        (&with("\"host\": [\"a\", 7]"), ":4:", "in the list of \"host\""),
        (&with("\"host\": [\"a\", \"A\"]"), ":4:", "twice"),
        (&with("\"host\": \"a:80\""), ":4:", "\"host\" \"a:80\" has a port"),
        (&with("\"path\": \"shop\""), ":4:", "write \"/shop\""),
        (&with("\"strip_path\": true"), ":5:", "needs a path"),
        (
            "{\"reference\": \"a/b\", \"host\": \"a\"}",
            ":1:",
            "add for instance \"address\"",
        ),
        ("[]", ":1:", "expected an object with"),
    ];
    for (text, place, reason) in cases {
        let message = refusal(text);
        assert!(message.contains(&format!("{FILE}{place}")), "{message}");
        assert!(message.contains(reason), "{message} should say {reason}");
        assert!(!app(text).unwrap_err().is_unfinished(), "{text} is whole");
    }
}

#[test]
fn a_bad_address_or_reference_is_told_where_it_stands() {
    let address = refusal("{\n\"reference\": \"a/b\",\n\n\"address\": \"localhost\" }");
    assert!(address.starts_with("/apps/shop.json:4:"), "{address}");
    assert!(address.contains("has no port"), "{address}");
    let reference = refusal("{\n\"reference\": \"https://a/b\",\n\"address\": \"localhost:1\" }");
    assert!(reference.starts_with("/apps/shop.json:2:"), "{reference}");
    assert!(reference.contains("does not belong there"), "{reference}");
}

#[test]
fn half_a_file_is_known_as_unfinished_even_behind_a_mistake() {
    let whole = with("\"enabled\": true");
    for end in 0..whole.len() {
        assert!(
            app(&whole[..end]).unwrap_err().is_unfinished(),
            "{}",
            &whole[..end]
        );
    }
    assert!(app("{\"refrence\": \"x\",").unwrap_err().is_unfinished());
    assert!(refusal("").contains("the file is empty"));
}

#[test]
fn a_secret_does_not_show_in_the_debug_form() {
    let spec = app(&with("\"variables\": {\"k\": \"hunter2\"}")).unwrap();
    assert!(!format!("{spec:?}").contains("hunter2"));
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    assert!(app(&format!("\u{feff}{}", with("\"enabled\": true"))).is_ok());
}

fn list(text: &str) -> Vec<ListEntry> {
    parse_list(text, Path::new("/apps/lepton.json")).unwrap()
}

#[test]
fn one_bad_entry_of_a_list_leaves_the_others_and_is_told_at_its_place_in_the_file() {
    let entries = list(
        "{\"apps\": [\n  {\"reference\": \"a/b\", \"address\": \"127.0.0.1:1\"},\n  {\"reference\": \"a/b\",\n   \
         \"adress\": 1},\n {\"reference\": \"a/b\", \"address\": \"127.0.0.1:3\"}]}",
    );
    assert!(entries[0].spec.is_ok() && entries[2].spec.is_ok());
    let message = entries[1].spec.clone().unwrap_err().to_string();
    assert!(message.starts_with("/apps/lepton.json:4:11: "), "{message}");
    let one_line = list("{\"apps\": [{\"refrence\": 1}]}");
    let message = one_line[0].spec.clone().unwrap_err().to_string();
    assert!(message.starts_with("/apps/lepton.json:1:21: "), "{message}");
}

#[test]
fn entries_are_named_by_their_state_directory_or_number_and_never_twice() {
    let entries = list(
        r#"{"$schema": "x", "apps": [
            {"reference": "a/b", "address": "127.0.0.1:1", "state_dir": "state/one"},
            {"reference": "a/b", "address": "127.0.0.1:2"},
            {"oops": 1, "state_dir": "state/one/"},
            {"reference": "a/b", "address": "127.0.0.1:4", "state_dir": "one"}]}"#,
    );
    let ids: Vec<_> = entries.iter().map(|e| e.id.as_str()).collect();
    assert_eq!(ids, ["one", "lepton-2", "one-2", "one-3"]);
    assert_eq!(entries[1].spec.as_ref().unwrap().state_dir, Path::new("lepton-2"));
    assert_eq!(
        entries[0].spec.as_ref().unwrap().state_dir,
        Path::new("state/one")
    );
}

#[test]
fn a_file_that_is_no_list_is_refused_as_a_whole() {
    let message = parse_list("{\"app\": []}", Path::new("l.json"))
        .unwrap_err()
        .to_string();
    assert!(message.starts_with("l.json:1:"), "{message}");
    assert!(
        parse_list("{}", Path::new("l.json"))
            .unwrap_err()
            .to_string()
            .contains("apps")
    );
}

#[test]
fn an_app_may_have_no_address() {
    let spec = parse_app("{\"reference\": \"ghcr.io/a/b:v1\"}", Path::new("a.json")).unwrap();
    assert_eq!(spec.address, Address::Absent);
}

#[test]
fn a_runtime_configuration_is_a_file_or_its_content() {
    let read = |member: &str| {
        let text = format!("{{\"reference\": \"a/b\", \"runtime_config\": {member}}}");
        parse_app(&text, Path::new("/apps/a.json")).map(|spec| spec.runtime_config.unwrap())
    };
    assert_eq!(
        read("\"rc.toml\"").unwrap(),
        RuntimeConfigSource::File("/apps/rc.toml".into())
    );
    let inline =
        read("{\"key_value_store\": {\"cache\": {\"type\": \"redis\", \"url\": \"redis://h\"}}}").unwrap();
    let RuntimeConfigSource::Inline(config) = inline else {
        panic!("{inline:?}")
    };
    assert!(config.key_value_stores.contains_key("cache"));
    let error = read("{\"key_value_store\": {\"cache\": {\"type\": \"etcd\"}}}")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(":1:") && error.contains("`etcd`") && error.contains("`redis`"),
        "{error}"
    );
}

#[test]
fn a_time_zone_is_one_of_the_known_names() {
    let read = |zone: &str| {
        let text = format!("{{\"reference\": \"a/b\", \"timezone\": \"{zone}\"}}");
        parse_app(&text, Path::new("a.json"))
    };
    assert_eq!(
        read("Europe/Berlin").unwrap().timezone,
        Some(chrono_tz::Europe::Berlin)
    );
    let error = read("Berlin").unwrap_err().to_string();
    assert!(error.contains("Europe/Berlin"), "{error}");
}
