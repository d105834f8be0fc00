//! The layer of the settings file: TOML, flat, strict.
//!
//! Whatever is wrong is reported with its line, all of it at once: an unknown key, a wrong type, a
//! wrong value, a key given twice, a section.

use std::io;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::exit::{Exit, Failure};
use crate::settings::form::Kind;
use crate::settings::layers::{Layer, Source};
use crate::settings::said::{all, find};
use crate::settings::setting::Setting;
use crate::whole_file;

/// How alike two keys have to be for "did you mean", from 0 to 1.
const ALIKE: f64 = 0.8;

/// The parser's words for a key that is given twice.
const DOUBLE: &str = "duplicate key";

/// Reads a settings file.
///
/// # Errors
/// It cannot be read, or something in it is wrong: a sentence for each, with its line.
pub(crate) fn read(path: &Path) -> Result<Layer, Failure> {
    let failed = |error: io::Error| {
        let place = path.display();
        let what = format!("cannot read the settings file {place}");
        match error.kind() {
            io::ErrorKind::NotFound => {
                let text = format!("{what}: there is none; \"landline init {place}\" writes one");
                Failure::new(Exit::Config, text)
            }
            io::ErrorKind::PermissionDenied => {
                let text = format!(
                    "{what}: this user may not, for it holds secrets; put sudo before the command, \
                     and for a service give it to its group: chown root:landline {place}; chmod \
                     0640 {place}"
                );
                Failure::new(Exit::Config, text)
            }
            _ => Failure::io(Exit::Config, &what, &error),
        }
    };
    let bytes = whole_file::read(path).map_err(failed)?;
    let text = String::from_utf8(bytes).map_err(|_| {
        Failure::new(Exit::Config, format!("the settings file {} is not UTF-8", path.display()))
    })?;
    parse(&text, path.parent().unwrap_or(Path::new(""))).map_err(|findings| {
        let place = path.display();
        let line = |finding: &Finding| format!("{place} line {}: {}", finding.line, finding.text);
        Failure::many(Exit::Config, findings.iter().map(line).collect())
    })
}

/// What is wrong, and on which line.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    line: usize,
    text: String,
}

/// Reads the text of a settings file that lies in `directory`.
fn parse(text: &str, directory: &Path) -> Result<Layer, Vec<Finding>> {
    let before = |span: &Range<usize>| text.get(..span.start).unwrap_or(text);
    let line = |span: Range<usize>| 1 + before(&span).matches('\n').count();
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut findings: Vec<Finding> = errors
        .iter()
        .map(|error| {
            let span = error.span().unwrap_or_default();
            let text = syntax(error.message(), text.get(span.clone()).unwrap_or_default());
            Finding { line: line(span), text }
        })
        .collect();
    if errors.iter().any(|error| !is_double(error)) {
        // What else there is may be half of something: the first line that is broken is enough.
        findings.sort();
        findings.truncate(1);
        return Err(findings);
    }
    let mut layer = Layer::default();
    for (key, value) in table.get_ref() {
        match texts(key.get_ref(), value.get_ref(), directory) {
            Ok((setting, texts)) => {
                layer.say(setting.key, texts, Source::File(line(key.span())));
            }
            Err(text) => findings.push(Finding { line: line(key.span()), text }),
        }
    }
    findings.sort();
    if findings.is_empty() { Ok(layer) } else { Err(findings) }
}

/// True if a key is given twice, and nothing else is wrong with the line.
fn is_double(error: &toml::de::Error) -> bool {
    error.message().contains(DOUBLE)
}

/// The words for an error of syntax; nothing of a value is shown, for it may be a secret.
fn syntax(message: &str, place: &str) -> String {
    if message.contains(DOUBLE) {
        return format!("{} stands here for the second time; leave one of them", place.trim());
    }
    format!("this is no TOML: {message}")
}

/// The setting of a key, and its value as texts.
fn texts(
    key: &str,
    value: &DeValue<'_>,
    directory: &Path,
) -> Result<(&'static Setting, Vec<String>), String> {
    if let DeValue::Table(_) = value {
        return Err(format!("a settings file has no sections: write key = value, not [{key}]"));
    }
    let Some(setting) = find(key) else { return Err(unknown(key)) };
    let wrong_type = || {
        let example = setting.line(&[example(setting)]);
        format!("{key} is {}, as in {example}", type_name(setting))
    };
    let texts: Option<Vec<String>> = match value {
        DeValue::Array(values) if setting.is_list => {
            values.iter().map(|value| text(value, setting, directory)).collect()
        }
        _ if setting.is_list => None,
        value => one_text(value, setting, directory).map(|text| vec![text]),
    };
    let texts = texts.ok_or_else(wrong_type)?;
    for text in &texts {
        (setting.check)(text).map_err(|why| format!("wrong value {text:?} for {key}: {why}"))?;
    }
    Ok((setting, texts))
}

fn text(value: &Spanned<DeValue<'_>>, setting: &Setting, directory: &Path) -> Option<String> {
    one_text(value.get_ref(), setting, directory)
}

/// A value as a flag would give it; `None` if its type is wrong.
fn one_text(value: &DeValue<'_>, setting: &Setting, directory: &Path) -> Option<String> {
    match (setting.kind, value) {
        (Kind::Text, DeValue::String(text)) => Some(text.to_string()),
        // Nothing stays nothing, which its reader refuses, and is not the directory.
        (Kind::Path, DeValue::String(text)) if text.is_empty() => Some(String::new()),
        (Kind::Path, DeValue::String(text)) => directory.join(&**text).to_str().map(str::to_owned),
        (Kind::Whole | Kind::Number, DeValue::Integer(number)) => {
            let read = i128::from_str_radix(number.as_str(), number.radix());
            Some(read.map_or_else(|_| number.to_string(), |number| number.to_string()))
        }
        (Kind::Number, DeValue::Float(number)) => Some(number.as_str().to_owned()),
        (Kind::Switch, DeValue::Boolean(is_on)) => Some(is_on.to_string()),
        _ => None,
    }
}

fn type_name(setting: &Setting) -> &'static str {
    match (setting.is_list, setting.kind) {
        (true, Kind::Text | Kind::Path) => "a list of texts in quotes",
        (true, _) => "a list",
        (false, Kind::Text | Kind::Path) => "a text in quotes",
        (false, Kind::Whole) => "a whole number without quotes",
        (false, Kind::Number) => "a number without quotes",
        (false, Kind::Switch) => "true or false without quotes",
    }
}

/// A value to show in an error.
fn example(setting: &Setting) -> &'static str {
    match setting.kind {
        Kind::Whole => "1000",
        Kind::Number => "2.5",
        Kind::Switch => "true",
        Kind::Text | Kind::Path => "...",
    }
}

fn unknown(key: &str) -> String {
    let wanted = key.trim_start_matches('-').replace('-', "_").to_ascii_lowercase();
    let alike = |setting: &&Setting| strsim::jaro_winkler(setting.key, &wanted);
    let best = all().max_by(|one, other| alike(one).total_cmp(&alike(other)));
    match best.filter(|setting| alike(setting) >= ALIKE) {
        Some(setting) => format!("no setting is called {key}; did you mean {}?", setting.key),
        None => format!("no setting is called {key}; \"landline --help\" lists them all"),
    }
}

#[cfg(test)]
mod tests;
