//! All layers, one over the other: what was said in the end, and where.

use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failure};
use crate::settings::layers::Flags;
use crate::settings::layers::{Layer, Source};
use crate::settings::layers::{file, variables};
use crate::settings::said::{Said, find};
use crate::settings::setting::Setting;

/// What was said in the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stated {
    pub(crate) said: Said,
    pub(crate) layer: Layer,
    /// The settings file that was read.
    pub(crate) file: Option<PathBuf>,
}

impl Stated {
    /// Reads variables and file below the flags.
    ///
    /// # Blocking
    /// Reads a file.
    ///
    /// # Errors
    /// A variable is wrong; the file cannot be read, or something in it is wrong.
    pub(crate) fn gather(flags: &Flags) -> Result<Self, Failure> {
        let file = flags.file.clone().or_else(variables::file);
        let layer = flags.layer.clone();
        let above = variables::read(&layer)?;
        let layer = layer.over(above);
        let layer = match &file {
            Some(path) => layer.over(file::read(path)?),
            None => layer,
        };
        Self::new(layer, file)
    }

    /// Reads a settings file alone.
    ///
    /// # Blocking
    /// Reads a file.
    ///
    /// # Errors
    /// As [`gather`](Self::gather) for the file.
    pub(crate) fn of_file(path: &Path) -> Result<Self, Failure> {
        Self::new(file::read(path)?, Some(path.to_owned()))
    }

    /// Takes what a layer says.
    pub(crate) fn new(layer: Layer, file: Option<PathBuf>) -> Result<Self, Failure> {
        let stated = Self { said: Said::default(), layer, file };
        match Said::read(&stated.layer) {
            Ok(said) => Ok(Self { said, ..stated }),
            // Every layer has checked its values, so this is about none of them alone.
            Err((key, why)) => {
                let text = format!("wrong value for {}: {why}", stated.place(key));
                Err(Failure::new(Exit::Config, text))
            }
        }
    }

    /// The texts in force, the default's included; `None` if there are none.
    pub(crate) fn in_force(&self, setting: &Setting) -> Option<Vec<String>> {
        let said = self.layer.texts(setting.key).map(<[String]>::to_vec);
        said.or_else(|| setting.default_texts())
    }

    /// True if a server that runs with `running` can take what is said here of a setting.
    pub(crate) fn counts(&self, setting: &Setting, running: &Self) -> bool {
        setting.reload.counts(&running.said, &self.said)
    }

    /// These settings, as far as a running server can take them, and the others as they are in
    /// `running`.
    ///
    /// # Errors
    /// As [`gather`](Self::gather) for values.
    pub(crate) fn on_top_of(&self, running: &Self) -> Result<Self, Failure> {
        let taken = self.layer.only(|setting| self.counts(setting, running));
        let kept = running.layer.only(|setting| !self.counts(setting, running));
        Self::new(taken.over(kept), self.file.clone())
    }

    /// Where a setting was said, in words: a flag, a variable, a line of the file; or "the default".
    pub(crate) fn place(&self, key: &str) -> String {
        let Some(setting) = find(key) else { return key.to_owned() };
        match self.layer.source(key) {
            Some(Source::Flag) => setting.flag(),
            Some(Source::Variable) => setting.variable(),
            Some(Source::File(line)) => {
                let path = self.file.clone().unwrap_or_default();
                format!("{} line {line}", path.display())
            }
            None => "the default".into(),
        }
    }
}
