//! One setting, as its declaration says, and the macro that declares a group of them.

use std::fmt::Display;

use crate::settings::Said;
use crate::settings::form::{Form, Kind};

/// What is known of a setting apart from its type.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The key in a settings file; flag and variable follow from it.
    pub(crate) key: &'static str,
    /// The group's name in the help.
    pub(crate) heading: &'static str,
    help: &'static str,
    /// What stands for the value in the help.
    pub(crate) word: &'static str,
    pub(crate) kind: Kind,
    pub(crate) is_list: bool,
    pub(crate) is_secret: bool,
    /// "landline init" makes one up.
    pub(crate) is_fresh: bool,
    /// The flag alone means true.
    pub(crate) stands_alone: bool,
    /// Reads a text, to find out whether it is right.
    pub(crate) check: fn(&str) -> Result<(), String>,
    /// The default, for people.
    pub(crate) preset: fn() -> Preset,
    pub(crate) reload: Reload,
}

/// The default of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Preset {
    /// A value, as a flag would give it.
    Value(String),
    /// What happens without a value, and an example of one.
    Words(&'static str, &'static str),
}

/// What SIGHUP does with a new value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reload {
    /// It counts from the next request or connection on.
    Live,
    /// So it does where the listeners speak TLS and are to go on so; to begin with TLS, or to end
    /// it, needs a restart.
    WithTls,
    /// So it does where there is a page for operators; to have one needs a restart.
    WithPage,
    /// It needs a restart.
    Restart,
}

impl Reload {
    /// True if a new value counts in a server that runs.
    pub(crate) fn counts(self, running: &Said, new: &Said) -> bool {
        match self {
            Self::Live => true,
            Self::WithTls => running.tls.is_wanted() == new.tls.is_wanted(),
            Self::WithPage => running.admin.is_wanted(),
            Self::Restart => false,
        }
    }

    /// What a settings file says of it, behind the help.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Live => "",
            Self::WithTls => " (restart to begin with TLS, or to end it)",
            Self::WithPage => " (restart to have the page at all)",
            Self::Restart => " (restart)",
        }
    }
}

impl Preset {
    pub(crate) fn of(value: impl Display) -> Self {
        Self::Value(value.to_string())
    }

    pub(crate) fn seconds(time: impl Into<Option<std::time::Duration>>) -> Self {
        Self::of(time.into().map_or(0.0, |time| time.as_secs_f64()))
    }

    pub(crate) fn words(words: &'static str, example: &'static str) -> Self {
        Self::Words(words, example)
    }

    /// For the help and the table of values.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Value(text) => text,
            Self::Words(words, _) => words,
        }
    }

    /// A value that can be written into a settings file.
    pub(crate) fn example(&self) -> &str {
        match self {
            Self::Value(text) => text,
            Self::Words(_, example) => example,
        }
    }
}

impl Setting {
    #[allow(clippy::too_many_arguments, reason = "called by the macro of this file alone")]
    pub(crate) const fn new<T>(
        key: &'static str,
        heading: &'static str,
        help: &'static str,
        form: &Form<T>,
        is_list: bool,
        check: fn(&str) -> Result<(), String>,
        preset: fn() -> Preset,
        reload: Reload,
    ) -> Self {
        let Form { word, kind, is_secret, is_fresh, stands_alone, .. } = *form;
        Self {
            key,
            heading,
            help,
            word,
            kind,
            is_list,
            is_secret,
            is_fresh,
            stands_alone,
            check,
            preset,
            reload,
        }
    }

    /// `ws_max_size` is `--ws-max-size`.
    pub(crate) fn flag(&self) -> String {
        format!("--{}", self.key.replace('_', "-"))
    }

    /// `ws_max_size` is `LANDLINE_WS_MAX_SIZE`.
    pub(crate) fn variable(&self) -> String {
        format!("LANDLINE_{}", self.key.to_ascii_uppercase())
    }

    pub(crate) fn help(&self) -> &'static str {
        self.help.trim_start()
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self.kind, Kind::Text | Kind::Path)
    }

    /// The default as texts; `None` if it is no value.
    pub(crate) fn default_texts(&self) -> Option<Vec<String>> {
        match (self.preset)() {
            Preset::Value(text) if self.is_list => {
                Some(text.split(',').filter(|text| !text.is_empty()).map(str::to_owned).collect())
            }
            Preset::Value(text) => Some(vec![text]),
            Preset::Words(..) => None,
        }
    }

    /// Values as a line of a settings file.
    pub(crate) fn line(&self, texts: &[&str]) -> String {
        let written: Vec<String> = texts.iter().map(|text| self.written(text)).collect();
        let written = written.join(", ");
        let key = self.key;
        if self.is_list { format!("{key} = [{written}]") } else { format!("{key} = {written}") }
    }

    fn written(&self, text: &str) -> String {
        if self.is_text() { quoted(text) } else { text.to_owned() }
    }
}

/// A text as a basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            char if char.is_control() => quoted += &format!("\\u{:04X}", u32::from(char)),
            char => quoted.push(char),
        }
    }
    quoted + "\""
}

/// One value or none.
pub(crate) type One<T> = Option<T>;

/// Several values; an empty list is not the same as none.
pub(crate) type Many<T> = Option<Vec<T>>;

/// [`One`] or [`Many`].
pub(crate) trait Shape<T>: Sized {
    const IS_LIST: bool;

    /// Takes what a layer says.
    ///
    /// # Errors
    /// What is wrong with a text.
    fn read(texts: Option<&[String]>, form: &Form<T>) -> Result<Self, String>;
}

impl<T> Shape<T> for One<T> {
    const IS_LIST: bool = false;

    fn read(texts: Option<&[String]>, form: &Form<T>) -> Result<Self, String> {
        texts.and_then(<[String]>::last).map(|text| (form.read)(text)).transpose()
    }
}

impl<T> Shape<T> for Many<T> {
    const IS_LIST: bool = true;

    fn read(texts: Option<&[String]>, form: &Form<T>) -> Result<Self, String> {
        let read = |texts: &[String]| texts.iter().map(|text| (form.read)(text)).collect();
        texts.map(read).transpose()
    }
}

/// Declares a group of settings, see `settings`: a struct with a field for each, the list of
/// them, and their reader.
macro_rules! declare {
    (
        $(#[doc = $doc:literal])*
        $group:ident in $heading:literal;
        $(
            $(#[doc = $help:literal])+
            $key:ident: $shape:ident<$type:ty> = $form:expr, $preset:expr, $reload:ident;
        )*
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, Default)]
        pub(crate) struct $group {
            $( $(#[doc = $help])+ pub(crate) $key: $shape<$type>, )*
        }

        impl $group {
            pub(crate) const SETTINGS: &[$crate::settings::Setting] = &[ $(
                $crate::settings::Setting::new(
                    stringify!($key),
                    $heading,
                    concat!($($help),+),
                    &$form,
                    <$shape<$type> as $crate::settings::setting::Shape<$type>>::IS_LIST,
                    |text| ($form.read)(text).map(drop),
                    || $preset,
                    $crate::settings::Reload::$reload,
                ),
            )* ];

            /// Takes the values of a layer.
            ///
            /// # Errors
            /// The key of a value that is wrong, and why.
            pub(crate) fn read(
                layer: &$crate::settings::Layer,
            ) -> Result<Self, (&'static str, String)> {
                use $crate::settings::setting::Shape as _;
                Ok(Self { $(
                    $key: <$shape<$type>>::read(layer.texts(stringify!($key)), &$form)
                        .map_err(|why| (stringify!($key), why))?,
                )* })
            }
        }
    };
}

pub(crate) use declare;
