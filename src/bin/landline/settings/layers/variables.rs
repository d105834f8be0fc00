//! The layer of the environment.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::exit::{Exit, Failure};
use crate::settings::layers::{Layer, Source};
use crate::settings::said::all;
use crate::settings::setting::Setting;

/// The variable that names the settings file.
pub(crate) const FILE: &str = "LANDLINE_CONFIG";

/// The settings file, if the environment names one.
pub(crate) fn file() -> Option<PathBuf> {
    env::var_os(FILE).filter(|name| !name.is_empty()).map(PathBuf::from)
}

/// Reads the variables of what `above` leaves open.
///
/// A variable that is set to nothing is not set: compose files and unit files write that. Only a
/// secret that is nothing is kept, and refused where it is used, for whoever sets one wants the
/// door closed.
///
/// # Errors
/// A value that is wrong; the text names the variable.
pub(crate) fn read(above: &Layer) -> Result<Layer, Failure> {
    read_from(above, |name| env::var_os(name))
}

fn read_from(above: &Layer, value: impl Fn(&str) -> Option<OsString>) -> Result<Layer, Failure> {
    let mut layer = Layer::default();
    let mut wrong = Vec::new();
    for setting in all().filter(|setting| !above.has(setting.key)) {
        let name = setting.variable();
        let Some(value) = value(&name) else { continue };
        if value.is_empty() && !setting.is_secret {
            continue;
        }
        match texts(setting, value) {
            Ok(texts) => layer.say(setting.key, texts, Source::Variable),
            Err(why) => wrong.push(format!("{why}; it comes from the environment variable {name}")),
        }
    }
    if wrong.is_empty() { Ok(layer) } else { Err(Failure::many(Exit::Usage, wrong)) }
}

fn texts(setting: &Setting, value: OsString) -> Result<Vec<String>, String> {
    let text = value.into_string().map_err(|_| "the value is not UTF-8".to_owned())?;
    let texts: Vec<String> = match setting.is_list {
        true => text.split(',').map(str::to_owned).collect(),
        false => vec![text],
    };
    for text in &texts {
        (setting.check)(text).map_err(|why| format!("wrong value {text:?}: {why}"))?;
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(above: &Layer, variables: &[(&str, &str)]) -> Result<Layer, Failure> {
        read_from(above, |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.into())
        })
    }

    #[test]
    fn what_a_flag_says_is_not_looked_at() {
        let mut above = Layer::default();
        above.say("port", vec!["1".into()], Source::Flag);
        let variables = [("LANDLINE_PORT", "x"), ("LANDLINE_HOST", "a,b")];
        let layer = read(&above, &variables).unwrap();
        assert!(!layer.has("port"));
        assert_eq!(layer.texts("host").unwrap(), ["a", "b"]);
        assert!(read(&Layer::default(), &variables).is_err());
    }

    #[test]
    fn only_a_secret_that_is_nothing_is_kept() {
        let variables = [("LANDLINE_PORT", ""), ("LANDLINE_PUBLISH_KEY", "")];
        let layer = read(&Layer::default(), &variables).unwrap();
        assert!(!layer.has("port"));
        assert_eq!(layer.texts("publish_key").unwrap(), [""]);
    }
}
