use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use clap::Parser;

use super::*;
use crate::cli::Tauon;

/// Options of every kind.
#[derive(Debug, Parser, PartialEq, Default)]
#[command(name = "sample")]
struct Sample {
    #[arg(default_value = "here")]
    directory: PathBuf,
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    wait_time: Duration,
    #[arg(long)]
    network: Vec<String>,
    #[arg(long)]
    flag: bool,
    #[arg(long)]
    log: Option<PathBuf>,
    #[arg(long)]
    number: Option<u16>,
    #[arg(long, requires = "number")]
    beside: Option<String>,
    #[arg(long)]
    config: Option<PathBuf>,
}

struct Case {
    dir: tempfile::TempDir,
    variables: HashMap<String, String>,
}

impl Case {
    fn new(file: &str, variables: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("sample.toml"), file).unwrap();
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Self {
            dir,
            variables: variables.collect(),
        }
    }

    fn parse(&self, arguments: &[&str]) -> Result<Sample, String> {
        let file = self.dir.path().join("sample.toml").into_os_string();
        let first = ["sample".into(), "--config".into(), file];
        let all = first.into_iter().chain(arguments.iter().map(OsString::from));
        let variable = |name: &str| self.variables.get(name).map(OsString::from);
        layered(all.collect(), variable).map_err(|error| error.to_string())
    }
}

#[test]
fn the_command_line_goes_before_the_environment_and_that_before_the_file() {
    let file =
        "wait-time = '2s'\nnetwork = ['a', 'b']\nflag = true\nnumber = 2\ndirectory = 'apps'\nlog = '-'\n";
    let case = Case::new(file, &[]);
    let base = case.dir.path();
    let from_file = case.parse(&[]).unwrap();
    assert_eq!(from_file.directory, base.join("apps"));
    assert_eq!(from_file.wait_time.as_secs(), 2);
    assert_eq!(from_file.network, ["a", "b"]);
    assert_eq!(from_file.log.as_deref(), Some(Path::new("-")));
    assert!(from_file.flag && from_file.number == Some(2));

    let variables = [
        ("SAMPLE_WAIT_TIME", "3s"),
        ("SAMPLE_NETWORK", "c d"),
        ("SAMPLE_FLAG", "0"),
        ("SAMPLE_NUMBER", ""),
        ("SAMPLE_LOG", "log"),
    ];
    let case = Case::new(file, &variables);
    let from_environment = case.parse(&[]).unwrap();
    assert_eq!(from_environment.wait_time.as_secs(), 3);
    assert_eq!(from_environment.network, ["c", "d"]);
    assert_eq!(from_environment.log.as_deref(), Some(Path::new("log")));
    assert!(!from_environment.flag && from_environment.number == Some(2));

    let given = case
        .parse(&["--wait-time", "4s", "--network", "e", "--flag", "x"])
        .unwrap();
    assert_eq!(given.wait_time.as_secs(), 4);
    assert_eq!(given.network, ["e"]);
    assert_eq!(given.directory, Path::new("x"));
    assert!(given.flag);
}

#[test]
fn an_error_names_where_the_value_stands() {
    let file = Case::new("flag = false\nnumber = 70000\n", &[]);
    let error = file.parse(&[]).unwrap_err();
    assert!(
        error.contains("sample.toml:2:10: invalid value '70000' for '--number"),
        "{error}"
    );
    // Also where something goes before it.
    assert!(file.parse(&["--number", "1"]).unwrap_err().contains(":2:10:"));

    for (text, reason) in [
        ("number = [1, 2]", "number has one value"),
        ("flag = 'perhaps'", "flag is true or false"),
        ("config = 'other'", "unknown option \"config\""),
        ("help = true", "unknown option \"help\""),
        ("sleep-time = '1s'", "the file may have directory, wait-time"),
    ] {
        let error = Case::new(text, &[]).parse(&[]).unwrap_err();
        assert!(error.contains(reason), "{text}: {error}");
    }
    let variable = Case::new("", &[("SAMPLE_NUMBER", "many")]);
    let error = variable.parse(&[]).unwrap_err();
    assert!(
        error.contains("SAMPLE_NUMBER: invalid value 'many' for '--number"),
        "{error}"
    );
}

#[test]
fn what_an_option_needs_may_be_set_elsewhere_but_has_to_be() {
    let number = Case::new("number = 1\n", &[]);
    assert_eq!(number.parse(&["--beside=b"]).unwrap().number, Some(1));
    let both = Case::new("beside = 'b'\nnumber = 1\n", &[]);
    assert_eq!(both.parse(&[]).unwrap().beside.as_deref(), Some("b"));
    let alone = Case::new("beside = 'b'\n", &[]).parse(&[]).unwrap_err();
    assert!(alone.contains("--number"), "{alone}");
}

fn public_key() -> String {
    let pair = rcgen::KeyPair::generate().unwrap();
    pair.public_key_pem()
}

#[test]
fn every_option_of_the_example_is_one_and_every_option_is_in_it() {
    let example = include_str!("../../packaging/tauon.toml");
    // Lines of prose begin with `# `, options that are left as they are with `#`.
    let options_only: String = example
        .lines()
        .map(|line| {
            line.strip_prefix('#')
                .filter(|rest| !rest.starts_with(' '))
                .unwrap_or(line)
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tauon.toml");
    fs::write(&file, &options_only).unwrap();
    // Keys are read with the options.
    fs::write(dir.path().join("release.pub"), public_key()).unwrap();
    let arguments = ["tauon".into(), "--config".into(), file.clone().into_os_string()];
    layered::<Tauon>(arguments.to_vec(), |_| None).unwrap();

    use clap::CommandFactory as _;
    let mut command = Tauon::command();
    command.build();
    let known: Vec<&str> = options(&command).map(key).filter(|key| *key != CONFIG).collect();
    let told: Vec<String> = config_file::read(&file, &known)
        .unwrap()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let missing: Vec<_> = known
        .iter()
        .filter(|name| !told.contains(&(**name).to_owned()))
        .collect();
    assert!(missing.is_empty(), "packaging/tauon.toml lacks {missing:?}");
}
