//! The layer of the command line: a flag for each setting, and the one that names the file.

use std::path::PathBuf;

use clap::builder::{ArgAction, ValueParser};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use crate::settings::layers::{Layer, Source};
use crate::settings::said::all;
use crate::settings::setting::Setting;

/// The name of the flag for the settings file.
const FILE: &str = "config";

/// What the flags of a command say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags {
    /// The settings file.
    pub(crate) file: Option<PathBuf>,
    pub(crate) layer: Layer,
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        command.arg(file_flag()).args(all().map(flag)).next_line_help(true)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.file = matches.get_one::<PathBuf>(FILE).cloned();
        for setting in all() {
            let is_said = matches.value_source(setting.key) == Some(ValueSource::CommandLine);
            if let Some(texts) = matches.get_many::<String>(setting.key).filter(|_| is_said) {
                self.layer.say(setting.key, texts.cloned().collect(), Source::Flag);
            }
        }
        Ok(())
    }
}

fn file_flag() -> Arg {
    Arg::new(FILE)
        .long(FILE)
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help_heading("Settings")
        .help("Settings file to read; \"landline init\" writes one\n[env: LANDLINE_CONFIG]")
}

fn flag(setting: &'static Setting) -> Arg {
    let check = setting.check;
    let reader = move |text: &str| check(text).map(|()| text.to_owned());
    let default = (setting.preset)();
    let help =
        format!("{}\n[env: {}] [default: {}]", setting.help(), setting.variable(), default.text());
    let arg = Arg::new(setting.key)
        .long(setting.key.replace('_', "-"))
        .help(help)
        .help_heading(setting.heading)
        .value_name(setting.word)
        .value_parser(ValueParser::new(reader))
        // A negative number gets the words of its value's reader, not those for an unknown flag.
        .allow_negative_numbers(true);
    match setting {
        Setting { is_list: true, .. } => arg.action(ArgAction::Append).value_delimiter(','),
        Setting { stands_alone: true, .. } => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .hide_possible_values(true),
        _ => arg,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(line: &str) -> Layer {
        let command = Flags::augment_args(Command::new("test").args_override_self(true));
        let matches = command.try_get_matches_from(line.split(' ')).unwrap();
        Flags::from_arg_matches(&matches).unwrap().layer
    }

    #[test]
    fn of_a_flag_given_twice_the_last_counts_and_lists_add_up() {
        let layer = layer("test --port 1 --host a,b --port 2 --host c");
        assert_eq!(layer.texts("port").unwrap(), ["2"]);
        assert_eq!(layer.texts("host").unwrap(), ["a", "b", "c"]);
        assert_eq!(layer.source("port"), Some(Source::Flag));
        assert!(!layer.has("held_bytes"));
    }

    #[test]
    fn a_flag_that_stands_alone_can_be_taken_back() {
        assert_eq!(layer("test --no-access-log").texts("no_access_log").unwrap(), ["true"]);
        assert_eq!(layer("test --no-access-log=false").texts("no_access_log").unwrap(), ["false"]);
    }
}
