//! Where an option's value comes from: the command line, then the environment, then the file of `--config`, then its
//! default.
//!
//! Options are defined once, for clap. What the environment and the file say becomes arguments in front of the real ones,
//! for those options that the command line does not give. Each is first parsed alone, so that an error names its place.

use std::any::TypeId;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::BoolishValueParser;
use clap::builder::TypedValueParser as _;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, Parser};

use super::config_file;
use crate::credentials;

/// The option that names the file; it can't stand in there.
pub(super) const CONFIG: &str = "config";
/// What stands for standard output or input in place of a file.
const STANDARD: &str = "-";

/// Parses what the process was given, and ends the process where that is wrong, or asks for help.
pub fn parse<T: Parser>() -> T {
    let arguments = std::env::args_os().collect();
    layered(arguments, |name| std::env::var_os(name)).unwrap_or_else(|error| error.exit())
}

/// What an option is to be, said elsewhere than on the command line.
pub(super) struct Setting {
    /// Where it is said, for messages.
    pub(super) place: String,
    pub(super) values: Vec<Text>,
}

/// One value as text.
pub(super) struct Text {
    pub(super) text: OsString,
    /// What a relative path is relative to, if not to the working directory.
    pub(super) base: Option<PathBuf>,
}

fn layered<T: Parser>(
    arguments: Vec<OsString>,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<T, clap::Error> {
    let mut command = T::command();
    let given = match command.try_get_matches_from_mut(&arguments) {
        // What is missing may stand in the environment or the file: all of it is read together in the end.
        Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => {
            let lenient = command.clone().ignore_errors(true);
            lenient.try_get_matches_from(&arguments)?
        }
        given => given?,
    };
    if given.subcommand_name().is_some() {
        return T::try_parse_from(arguments);
    }
    let layers = Layers {
        program: arguments.first().cloned().unwrap_or_default(),
        command: &command,
        given: &given,
    };
    let mut inserted = Vec::new();
    let mut from_file = Vec::new();
    let mut config = given.get_one::<PathBuf>(CONFIG).cloned();
    for option in layers.open() {
        let variable = variable(&command, option);
        // Set to nothing is how some environments say "not set".
        let Some(value) = environment(&variable).filter(|value| !value.is_empty()) else {
            from_file.push(option);
            continue;
        };
        if option.get_id() == CONFIG {
            config = Some(value.clone().into());
        }
        let setting = Setting {
            place: variable,
            values: split(option, value),
        };
        inserted.extend(layers.arguments(option, setting)?);
    }
    if let Some(file) = config {
        let known: Vec<&str> = options(&command).map(key).filter(|key| *key != CONFIG).collect();
        for (name, setting) in config_file::read(&file, &known).map_err(invalid)? {
            if let Some(option) = from_file.iter().find(|option| key(option) == name) {
                inserted.extend(layers.arguments(option, setting)?);
            } else if let Some(option) = options(&command).find(|option| key(option) == name) {
                // It is not used, and wrong all the same.
                layers.arguments(option, setting)?;
            }
        }
    }
    let mut all = arguments;
    let behind_program = all.len().min(1);
    all.splice(behind_program..behind_program, inserted);
    T::try_parse_from(all)
}

struct Layers<'a> {
    program: OsString,
    command: &'a Command,
    given: &'a ArgMatches,
}

impl<'a> Layers<'a> {
    /// What the command line leaves open, and the variables that clap itself looks at.
    fn open(&self) -> impl Iterator<Item = &'a Arg> {
        let (command, given) = (self.command, self.given);
        options(command).filter(move |option| {
            let source = given.value_source(option.get_id().as_str());
            matches!(source, None | Some(ValueSource::DefaultValue))
        })
    }

    /// A setting as clap wants it, once it has said that it is a good one.
    fn arguments(&self, option: &Arg, setting: Setting) -> Result<Vec<OsString>, clap::Error> {
        let Setting { place, values } = setting;
        let wrong = |reason: String| invalid(format!("{place}: {reason}"));
        if values.len() > 1 && !is_list(option) {
            return Err(wrong(format!("{} has one value", key(option))));
        }
        let mut arguments = Vec::new();
        for value in values {
            let value = located(option, value).map_err(&wrong)?;
            match option.get_long() {
                Some(long) if is_flag(option) => {
                    let on = BoolishValueParser::new()
                        .parse_ref(self.command, None, &value)
                        .map_err(|_| wrong(format!("{long} is true or false")))?;
                    arguments.extend(on.then(|| OsString::from(format!("--{long}"))));
                }
                Some(long) => {
                    let mut argument = OsString::from(format!("--{long}="));
                    argument.push(value);
                    arguments.push(argument);
                }
                None => arguments.push(value),
            }
        }
        let alone = std::iter::once(&self.program).chain(&arguments);
        match self.command.clone().try_get_matches_from(alone) {
            // What it needs beside it may be set elsewhere.
            Err(error) if error.kind() != ErrorKind::MissingRequiredArgument => Err(wrong(reason(&error))),
            _ => Ok(arguments),
        }
    }
}

/// Whatever can be set, without what only prints something.
fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    command
        .get_arguments()
        .filter(|option| is_list(option) || is_flag(option) || matches!(option.get_action(), ArgAction::Set))
}

fn is_list(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Append)
}

fn is_flag(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::SetTrue)
}

/// The option's name in the file.
fn key(option: &Arg) -> &str {
    option.get_long().unwrap_or(option.get_id().as_str())
}

/// The option's name in the environment: `TAUON_DRAIN_TIMEOUT`.
fn variable(command: &Command, option: &Arg) -> String {
    let name = format!("{}_{}", command.get_name(), key(option));
    name.to_uppercase().replace('-', "_")
}

/// Several values of a list are separated by white space: commas are part of some.
fn split(option: &Arg, value: OsString) -> Vec<Text> {
    let text = |text| Text { text, base: None };
    match value.to_str() {
        Some(words) if is_list(option) => words.split_whitespace().map(|word| text(word.into())).collect(),
        _ => vec![text(value)],
    }
}

/// The value with its path where it really is.
fn located(option: &Arg, value: Text) -> Result<OsString, String> {
    let Text { text, base } = value;
    let at = |path: &str| -> Result<PathBuf, String> {
        match (credentials::find(path), &base) {
            (Some(found), _) => found.map_err(|error| error.to_string()),
            (None, Some(base)) => Ok(base.join(path)),
            (None, None) => Ok(path.into()),
        }
    };
    let Some(words) = text.to_str() else {
        return Ok(text);
    };
    if option.get_value_parser().type_id() == TypeId::of::<PathBuf>() {
        return match words {
            STANDARD => Ok(text),
            path => at(path).map(OsString::from),
        };
    }
    match option.get_id().as_str() {
        "limits" if !words.trim_start().starts_with('{') => at(words).map(OsString::from),
        "tls" => Ok(super::tls::located(words, at)?.into()),
        "admin_tls" => Ok(super::tls::located_pair(words, at)?.into()),
        "cosign_key" => Ok(super::trust::located(words, at)?.into()),
        _ => Ok(text),
    }
}

/// What clap says, without its hints about the command line.
fn reason(error: &clap::Error) -> String {
    let text = error.to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let lines: Vec<&str> = first.lines().map(str::trim).collect();
    let line = lines.join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}

fn invalid(message: String) -> clap::Error {
    clap::Error::raw(ErrorKind::InvalidValue, message + "\n")
}

/// The directory that paths in a file are relative to.
pub(super) fn base_of(file: &Path) -> PathBuf {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    absolute.parent().unwrap_or(Path::new("/")).to_owned()
}

#[cfg(test)]
#[path = "layers_tests.rs"]
mod tests;
