//! `landline config`: the values in force, and where each comes from.

use std::io::{self, Write as _};

use serde_json::{Map, Value, json};

use crate::exit::Failure;
use crate::settings::{Flags, Preset, Setting, Source, Stated, all};

/// How secrets are shown.
const SET: &str = "(set)";

/// How the table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Table,
    Json,
}

/// Prints the values in force.
///
/// # Errors
/// A layer that cannot be read.
pub(crate) fn show(flags: &Flags, form: Form) -> Result<(), Failure> {
    let stated = Stated::gather(flags)?;
    let text = match form {
        Form::Table => table(&stated),
        Form::Json => format!("{:#}\n", document(&stated)),
    };
    // Where nobody listens, there is nobody to tell.
    let _ = io::stdout().write_all(text.as_bytes());
    Ok(())
}

fn table(stated: &Stated) -> String {
    let rows: Vec<[String; 3]> = all()
        .map(|setting| [setting.key.to_owned(), shown(setting, stated), stated.place(setting.key)])
        .collect();
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1).min(40));
    let mut text = match &stated.file {
        Some(file) => format!("Settings file: {}\n\n", file.display()),
        None => "Settings file: none (name one with --config or LANDLINE_CONFIG)\n\n".to_owned(),
    };
    for [key, value, place] in &rows {
        text += &format!("{key:<first$}  {value:<second$}  {place}\n");
    }
    text
}

/// The value in force for people.
fn shown(setting: &Setting, stated: &Stated) -> String {
    match (stated.layer.texts(setting.key), (setting.preset)()) {
        (Some(_), _) if setting.is_secret => SET.to_owned(),
        (Some(texts), _) => {
            let texts: Vec<String> = texts.iter().map(|text| without_secrets(text)).collect();
            one_line(&texts.join(", "))
        }
        (None, Preset::Value(text)) => text,
        (None, Preset::Words(words, _)) => format!("({words})"),
    }
}

/// An address without what may open a door there: a password, and the query, where people put keys.
fn without_secrets(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (rest, query) = rest.split_once('?').map_or((rest, ""), |(rest, _)| (rest, "?..."));
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://...{}{query}", &rest[at..]),
        None => format!("{scheme}://{rest}{query}"),
    }
}

/// Text without control characters, so that no value draws its own rows.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char })
        .collect()
}

fn document(stated: &Stated) -> Value {
    let settings: Map<String, Value> = all()
        .map(|setting| {
            let (kind, line) = match stated.layer.source(setting.key) {
                Some(Source::Flag) => ("flag", None),
                Some(Source::Variable) => ("variable", None),
                Some(Source::File(line)) => ("file", Some(line)),
                None => ("default", None),
            };
            let mut entry = json!({
                "value": value(setting, stated),
                "source": kind,
                "where": stated.place(setting.key),
            });
            if let Some(line) = line {
                entry["line"] = json!(line);
            }
            if let Preset::Words(words, _) = (setting.preset)() {
                entry["default"] = json!(words);
            }
            (setting.key.to_owned(), entry)
        })
        .collect();
    json!({ "file": stated.file.as_ref().map(|file| file.display().to_string()), "settings": settings })
}

/// The value in force for programs; `null` if there is none.
fn value(setting: &Setting, stated: &Stated) -> Value {
    let Some(texts) = stated.in_force(setting) else { return Value::Null };
    if setting.is_secret {
        return json!(SET);
    }
    let value = |text: &String| match setting.is_text() {
        true => json!(without_secrets(text)),
        false => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
    };
    match setting.is_list {
        true => texts.iter().map(value).collect(),
        false => texts.last().map_or(Value::Null, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_neither_password_nor_query_is_shown() {
        for (text, shown) in [
            ("http://127.0.0.1:8000/who?key=hush&x", "http://127.0.0.1:8000/who?..."),
            ("http://anna:hu@sh@host:1/who@/?hush", "http://...@host:1/who@/?..."),
            ("https://host", "https://host"),
            ("https://*.example.org", "https://*.example.org"),
            ("/path/with?mark", "/path/with?mark"),
        ] {
            assert_eq!(without_secrets(text), shown);
        }
    }
}
