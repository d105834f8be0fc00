//! Everything that a start needs of the settings, read and checked, with nothing bound yet.
//!
//! A start, `landline check` and a reload go through the same door, so what one of them takes, all
//! take. Whoever reads a file that a setting names (a certificate, a key) reads it here.

use crate::exit::Failure;
use crate::login::Login;
use crate::pages::Pages;
use crate::settings::Settings;
use crate::settings::Stated;
use crate::tls::secure::Secure;

/// Settings that a server can start with.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) settings: Settings,
    pub(crate) pages: Pages,
    pub(crate) login: Login,
    pub(crate) secure: Option<Secure>,
}

impl Ready {
    /// Fills in defaults, and reads the files that the settings name.
    ///
    /// # Blocking
    /// Reads files.
    ///
    /// # Errors
    /// A value is wrong, a door is open to strangers, a file cannot be read or is wrong: all of
    /// those that can be told apart at once.
    pub(crate) fn prepare(stated: &Stated) -> Result<Self, Failure> {
        let settings = Settings::new(stated);
        let pages = Pages::load(stated.said.pages.templates.as_deref())
            .map_err(|failure| failure.set_by(stated, "templates"));
        match (settings, pages, Login::prepare(stated), Secure::prepare(stated)) {
            (Ok(settings), Ok(pages), Ok(login), Ok(secure)) => {
                Ok(Self { settings, pages, login, secure })
            }
            (settings, pages, login, secure) => {
                let failures = [settings.err(), pages.err(), login.err(), secure.err()];
                let failures = failures.into_iter().flatten();
                // Proof: one of them is an error.
                Err(failures.reduce(Failure::with).expect("something has failed"))
            }
        }
    }
}
