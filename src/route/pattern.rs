//! Route patterns: which paths a route answers, and the parameters in them.
//!
//! ```text
//! /chat/<room>/            one segment of any text (short for <str:room>)
//! /user-<int:id>.json      digits, with fixed text around them
//! /p/<slug:name>           letters, digits, - and _
//! /j/<uuid:job>            8-4-4-4-12 hexadecimal digits
//! /files/<path:name>       the rest of the path, slashes included
//! ```
//! The words are Django's. A path is compared segment by segment in one pass, so no path makes
//! matching slow. Whether the path or the pattern ends with a slash does not matter.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};

/// A pattern such as `/chat/<room>/`.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    source: Box<str>,
    segments: Box<[Segment]>,
    /// The pattern ends with a slash; only then a `path` parameter leaves a last slash out.
    has_slash: bool,
}

/// Fixed text with at most one parameter in it.
#[derive(Clone, Debug)]
struct Segment {
    prefix: Box<str>,
    parameter: Option<Parameter>,
    /// Empty without a parameter.
    suffix: Box<str>,
}

#[derive(Clone, Debug)]
struct Parameter {
    name: Arc<str>,
    kind: Kind,
}

/// Which texts a parameter takes; never an empty one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Str,
    Int,
    Slug,
    Uuid,
    Path,
}

/// The values of a pattern's parameters in one path, in the order of the pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Params {
    values: Vec<(Arc<str>, Box<str>)>,
}

impl Params {
    /// The value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|pair| pair.0 == name).map(|pair| pair.1)
    }

    /// All parameters as name and value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// `Config`: the pattern can match no path or is not understood; the text names the pattern,
    /// the segment and what is wrong with it.
    pub(crate) fn parse(source: &str) -> Result<Self> {
        let wrong =
            |why: String| Error::new(ErrorKind::Config, format!("route pattern {source:?}: {why}"));
        let Some(rest) = source.strip_prefix('/') else {
            return Err(wrong("it must start with a slash".to_owned()));
        };
        let has_slash = source.ends_with('/');
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let texts: Vec<_> = if source == "/" { Vec::new() } else { rest.split('/').collect() };
        let mut segments: Vec<Segment> = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let segment = Segment::parse(text)
                .and_then(|segment| segment.fits_after(&segments, index + 1 == texts.len()))
                .map_err(|why| wrong(format!("segment {} ({text:?}): {why}", index + 1)))?;
            segments.push(segment);
        }
        Ok(Self { source: source.into(), segments: segments.into_boxed_slice(), has_slash })
    }

    /// The parameters, if the path fits. The path is a decoded one and starts with a slash.
    pub(crate) fn matches(&self, path: &str) -> Option<Params> {
        let mut rest = path.strip_prefix('/')?;
        let mut params = Params::default();
        for (index, segment) in self.segments.iter().enumerate() {
            // Between two segments there is a slash; after the last there may be one.
            if index > 0 {
                rest = rest.strip_prefix('/')?;
            }
            let end = match segment.kind() {
                Some(Kind::Path) if self.has_slash => rest.strip_suffix('/').unwrap_or(rest).len(),
                Some(Kind::Path) => rest.len(),
                // Segments are short: a search for one byte among many takes longer to set out.
                _ => rest.bytes().position(|byte| byte == b'/').unwrap_or(rest.len()),
            };
            let (text, after) = rest.split_at(end);
            params.values.extend(segment.matches(text)?);
            rest = after;
        }
        (rest.is_empty() || (rest == "/" && !self.segments.is_empty())).then_some(params)
    }

    /// True if both fit exactly the same paths, whatever their parameters are called.
    pub(crate) fn same_shape(&self, other: &Self) -> bool {
        let same = |(a, b): (&Segment, &Segment)| {
            a.prefix == b.prefix && a.suffix == b.suffix && a.kind() == b.kind()
        };
        self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(same)
    }

    /// The pattern as it was written.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, String> {
        let Some((prefix, rest)) = text.split_once('<') else {
            return Ok(Self { prefix: literal(text)?, parameter: None, suffix: "".into() });
        };
        let Some((inner, suffix)) = rest.split_once('>') else {
            return Err("a parameter is not closed by '>'".to_owned());
        };
        if suffix.contains('<') {
            return Err("only one parameter is possible in a segment".to_owned());
        }
        let parameter = Parameter::parse(inner)?;
        if parameter.kind == Kind::Path && !(prefix.is_empty() && suffix.is_empty()) {
            return Err("a path parameter must be the whole segment".to_owned());
        }
        let (prefix, suffix) = (around(prefix)?, around(suffix)?);
        Ok(Self { prefix, parameter: Some(parameter), suffix })
    }

    /// The checks that need the segments before this one and its place.
    fn fits_after(self, before: &[Self], is_last: bool) -> Result<Self, String> {
        let Some(parameter) = &self.parameter else { return Ok(self) };
        if parameter.kind == Kind::Path && !is_last {
            return Err("a path parameter must be at the end".to_owned());
        }
        let mut names = before.iter().filter_map(|other| other.parameter.as_ref());
        if names.any(|other| other.name == parameter.name) {
            return Err(format!("the name {:?} is there twice", parameter.name));
        }
        Ok(self)
    }

    fn kind(&self) -> Option<Kind> {
        self.parameter.as_ref().map(|parameter| parameter.kind)
    }

    /// For a text that fits: the parameter's name and value, if there is one.
    fn matches(&self, text: &str) -> Option<Option<(Arc<str>, Box<str>)>> {
        let Some(parameter) = &self.parameter else {
            return (text == &*self.prefix).then_some(None);
        };
        let value = text.strip_prefix(&*self.prefix)?.strip_suffix(&*self.suffix)?;
        parameter.kind.takes(value).then(|| Some((parameter.name.clone(), value.into())))
    }
}

impl Parameter {
    /// Parses what stands between the angle brackets.
    fn parse(inner: &str) -> Result<Self, String> {
        let (kind, name) = inner.split_once(':').unwrap_or(("str", inner));
        let kind = match kind {
            "str" => Kind::Str,
            "int" => Kind::Int,
            "slug" => Kind::Slug,
            "uuid" => Kind::Uuid,
            "path" => Kind::Path,
            _ => {
                return Err(format!(
                    "the kind {kind:?} is unknown; there are str, int, slug, uuid and path"
                ));
            }
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let starts_well = !name.starts_with(|first: char| first.is_ascii_digit());
        if name.is_empty() || !starts_well || !name.bytes().all(is_name) {
            return Err(format!(
                "the parameter name {name:?} must be letters, digits and '_', no digit first"
            ));
        }
        Ok(Self { name: name.into(), kind })
    }
}

impl Kind {
    fn takes(self, value: &str) -> bool {
        let all = |allowed: fn(u8) -> bool| value.bytes().all(allowed);
        let fits = match self {
            Self::Str | Self::Path => true,
            Self::Int => all(|byte| byte.is_ascii_digit()) && value.parse::<u64>().is_ok(),
            Self::Slug => all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)),
            Self::Uuid => is_uuid(value),
        };
        fits && !value.is_empty()
    }
}

fn is_uuid(value: &str) -> bool {
    let lengths = value.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12])
        && value.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// Text that stands for itself and is a whole segment.
fn literal(text: &str) -> Result<Box<str>, String> {
    match text {
        "" => Err("it is empty".to_owned()),
        "." | ".." => Err("no path has a dot segment".to_owned()),
        _ => around(text),
    }
}

/// Text that stands for itself before or after a parameter.
fn around(text: &str) -> Result<Box<str>, String> {
    if text.contains('>') {
        return Err("there is a '>' without '<'".to_owned());
    }
    if text.contains(['?', '#']) {
        return Err("a pattern is for the path only, without query and fragment".to_owned());
    }
    if text.contains(|char: char| char.is_control() || char == '\\') {
        return Err("no path has a backslash or control character".to_owned());
    }
    let mut codes = text.split('%');
    codes.next();
    if codes.any(|code| code.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2) {
        return Err("it must be written decoded, without percent codes".to_owned());
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests;
