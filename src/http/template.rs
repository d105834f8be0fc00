//! Pages filled with values, on minijinja (the syntax of Jinja and Django's templates).
//!
//! Templates are part of the program; a directory may override them by name. Everything is
//! compiled when it is added, so a mistake shows at the start and not in a visitor's browser.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::file;

/// Directories inside directories that are followed; ends loops of symbolic links.
const MAX_DEPTH: usize = 16;

/// How deep templates may include each other or macros call themselves, in minijinja's measure
/// (an include counts 10). Its own default does not fit the stack of a connection's thread.
const RECURSION_LIMIT: usize = 60;

/// A set of templates; cheap to clone and to share between threads.
///
/// In `.html` templates values are escaped for HTML. A value that is missing is an error where
/// it is printed, not where it is tested.
///
/// # Blocking
/// Only [`with_directory`](Self::with_directory), which reads files.
///
/// # Example
/// ```
/// use landline::Templates;
/// let templates = Templates::new().with_source("hello.html", "<p>Hello {{ name }}</p>")?;
/// let page = templates.render("hello.html", serde_json::json!({ "name": "<b>" }))?;
/// assert_eq!(page, "<p>Hello &lt;b&gt;</p>");
/// # Ok::<(), landline::Error>(())
/// ```
#[derive(Clone)]
pub struct Templates {
    set: Arc<Set>,
}

#[derive(Clone)]
struct Set {
    environment: Environment<'static>,
    /// Names that came from a directory, which no source of the program may replace.
    overridden: BTreeSet<String>,
}

impl Templates {
    /// A set without templates.
    pub fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_keep_trailing_newline(true);
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_recursion_limit(RECURSION_LIMIT);
        Self { set: Arc::new(Set { environment, overridden: BTreeSet::new() }) }
    }

    /// Adds a template that is part of the program, usually by `include_str!`. A file of the same
    /// name in a directory wins, whichever was added first.
    ///
    /// # Errors
    /// `Config`: a syntax error, with name and line.
    pub fn with_source(mut self, name: &'static str, source: &'static str) -> Result<Self> {
        let set = Arc::make_mut(&mut self.set);
        if !set.overridden.contains(name) {
            set.environment.add_template(name, source).map_err(|error| explain(name, &error))?;
        }
        Ok(self)
    }

    /// Adds every `.html` and `.txt` file below a directory, by its path with slashes, such as
    /// `chat/room.html`. Files and directories whose name starts with a dot are left out.
    ///
    /// # Blocking
    /// Reads all files at once; they are not read again later.
    ///
    /// # Errors
    /// `Config`: a directory or file that cannot be read or is not UTF-8, or a syntax error, with
    /// file and line.
    pub fn with_directory(mut self, path: impl AsRef<Path>) -> Result<Self> {
        add_directory(Arc::make_mut(&mut self.set), path.as_ref(), "", 0)?;
        Ok(self)
    }

    /// Fills a template with values: a map or a struct, or `()` for none.
    ///
    /// # Errors
    /// `Config`: no template of this name, with the names there are; or what went wrong while
    /// it was filled, with template and line.
    pub fn render(&self, name: &str, values: impl Serialize) -> Result<String> {
        let template = self.set.environment.get_template(name).map_err(|_| self.unknown(name))?;
        template.render(values).map_err(|error| explain(name, &error))
    }

    fn unknown(&self, name: &str) -> Error {
        let known = self.names().join(", ");
        let known = if known.is_empty() { "none" } else { &known };
        Error::new(ErrorKind::Config, format!("no template {name:?}; there are: {known}"))
    }

    fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.set.environment.templates().map(|(name, _)| name).collect();
        names.sort_unstable();
        names
    }
}

impl Default for Templates {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

fn add_directory(set: &mut Set, directory: &Path, prefix: &str, depth: usize) -> Result<()> {
    if depth > MAX_DEPTH {
        let text = format!("template directory {}: too many levels", directory.display());
        return Err(Error::new(ErrorKind::Config, text));
    }
    let mut entries = fs::read_dir(directory)
        .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
        .map_err(|error| unreadable("template directory", directory, error))?;
    // Always the same file is named first, if several are wrong.
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let Some(name) = path.file_name().and_then(OsStr::to_str) else { continue };
        if name.starts_with('.') {
            continue;
        }
        let name = format!("{prefix}{name}");
        if path.is_dir() {
            add_directory(set, &path, &format!("{name}/"), depth + 1)?;
        } else if path.extension().is_some_and(|kind| kind == "html" || kind == "txt") {
            add_file(set, &path, name)?;
        }
    }
    Ok(())
}

fn add_file(set: &mut Set, path: &Path, name: String) -> Result<()> {
    let failed = |error| unreadable("template", path, error);
    let source = file::read(path).and_then(|bytes| {
        String::from_utf8(bytes).map_err(|_| std::io::Error::other("it is not text in UTF-8"))
    });
    let source = source.map_err(failed)?;
    set.environment
        .add_template_owned(name.clone(), source)
        .map_err(|error| explain(&path.display().to_string(), &error))?;
    set.overridden.insert(name);
    Ok(())
}

fn unreadable(what: &str, path: &Path, error: std::io::Error) -> Error {
    let text = format!("cannot read {what} {}", path.display());
    Error::new(ErrorKind::Config, text).with_source(error)
}

/// Names the place and what is wrong there; of a chain of includes the last cause is kept.
fn explain(place: &str, error: &minijinja::Error) -> Error {
    let line = error.line().map(|line| format!(" line {line}")).unwrap_or_default();
    let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    let text = format!("template {place}{line}: {}{detail}", error.kind());
    let explained = Error::new(ErrorKind::Config, text);
    let mut last = error.source();
    while let Some(deeper) = last.and_then(|cause| cause.source()) {
        last = Some(deeper);
    }
    match last {
        Some(cause) => explained.with_source(cause.to_string()),
        None => explained,
    }
}

#[cfg(test)]
mod tests;
