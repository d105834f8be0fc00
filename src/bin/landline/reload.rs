//! SIGHUP: reads the settings again and gives a running server what can be changed.
//!
//! The new settings are read and checked whole, files that they name included, before anything is
//! changed: what is refused changes nothing. What needs a restart stays as it was and is named.

use std::net::SocketAddr;

use landline::Handle;

use crate::admin::AdminPage;
use crate::exit::Failure;
use crate::logging;
use crate::pages::Files;
use crate::publish::Publishing;
use crate::ready::Ready;
use crate::settings::{Flags, Setting, Settings, Stated, all};
use crate::tls::secure::Secure;

/// What a reload needs to know of the server, and what it changes there.
#[derive(Debug)]
pub(crate) struct Reloader {
    pub(crate) flags: Flags,
    /// The settings in force.
    pub(crate) running: Stated,
    pub(crate) handle: Handle,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) publishing: Publishing,
    pub(crate) admin: AdminPage,
    /// What the listeners have, if they speak TLS.
    pub(crate) secure: Option<Secure>,
    pub(crate) files: Files,
}

impl Reloader {
    /// Reads the settings again, and says in the log and in short what became of it.
    ///
    /// # Blocking
    /// Reads files.
    pub(crate) fn reload(&mut self) -> String {
        match self.try_reload() {
            Ok(changes) => {
                log::info!("settings read again: {changes}");
                format!("serving; settings read again: {changes}")
            }
            Err(failure) => {
                log::error!("settings refused, those in force stay as they are");
                for text in failure.texts() {
                    log::error!("settings refused: {text}");
                }
                "serving with the old settings; the new ones were refused".into()
            }
        }
    }

    fn try_reload(&mut self) -> Result<String, Failure> {
        let new = Stated::gather(&self.flags)?;
        // Checked as a restart would take it, and again as far as it counts without one.
        Ready::prepare(&new)?;
        let next = new.on_top_of(&self.running)?;
        let ready = Ready::prepare(&next)?;
        ready.settings.doors.check_bound(&self.addresses)?;
        let changes = changes(&self.running, &new);
        self.apply(ready);
        self.running = next;
        Ok(changes)
    }

    /// Changes what can be changed; nothing of it fails.
    fn apply(&self, ready: Ready) {
        // By name, so that what is added has to be handed on as well, or said to need a restart.
        let Ready { settings, pages, login, secure } = ready;
        let Settings {
            config,
            origins,
            allowed_hosts,
            publishing,
            proxies,
            admin,
            log_level,
            log_format,
            access_log,
            hosts: _,
            port: _,
            ssl_port: _,
            uds: _,
            doors: _,
        } = settings;
        logging::reload(log_level, log_format, access_log);
        self.handle.reload_config(config);
        self.handle.reload_origins(origins);
        self.handle.reload_allowed_hosts(allowed_hosts);
        self.handle.reload_auth(login.auth);
        self.handle.reload_group_signer(login.group_signer);
        proxies.reload(&self.handle);
        self.admin.reload(&admin, &pages.templates);
        self.handle.reload_templates(pages.templates);
        self.files.reload(&pages.files);
        self.publishing.reload(&publishing);
        // To begin with TLS, or to end it, needs a restart.
        if let (Some(running), Some(new)) = (&self.secure, &secure) {
            running.reload(new);
        }
    }
}

/// What has changed, in words.
fn changes(running: &Stated, new: &Stated) -> String {
    let has_changed = |setting: &&Setting| running.in_force(setting) != new.in_force(setting);
    let changed = all().filter(has_changed);
    let (live, later): (Vec<_>, Vec<_>) = changed.partition(|setting| new.counts(setting, running));
    let keys = |settings: &[&Setting]| {
        settings.iter().map(|setting| setting.key).collect::<Vec<_>>().join(", ")
    };
    let live = match &*live {
        [] => "no value has changed".to_owned(),
        settings => format!("changed {}", keys(settings)),
    };
    match &*later {
        [] => live,
        settings => {
            format!("{live}; a restart is needed for {}: in force is what was", keys(settings))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Layer, Reload, Said, Source};

    /// Values of many kinds, one of which is a right one for any setting.
    const OTHERS: &[&str] = &[
        "true",
        "false",
        "4403",
        "7.5",
        "0600",
        "50:200",
        "none",
        "json",
        "debug",
        "forwarded",
        "127.0.0.9",
        "http://127.0.0.1:9/",
        "/elsewhere/",
        "5",
    ];

    const SECRET: &str = "fedcba9876543210fedcba9876543210";

    fn stated(said: &[(&'static str, &str)]) -> Stated {
        let mut layer = Layer::default();
        for (key, text) in said {
            layer.say(key, vec![(*text).to_owned()], Source::Flag);
        }
        Stated::new(layer, None).unwrap()
    }

    /// A value of a setting that is right and not its default.
    fn other(setting: &Setting) -> &'static str {
        if setting.is_secret {
            return SECRET;
        }
        let default = setting.default_texts().unwrap_or_default();
        let is_other =
            |text: &&&str| (setting.check)(text).is_ok() && default != [(**text).to_owned()];
        OTHERS.iter().find(is_other).unwrap_or_else(|| panic!("a value for {}", setting.key))
    }

    /// What a start makes of settings, as far as it reads no files.
    fn made(stated: &Stated) -> Option<String> {
        Settings::new(stated).ok().map(|settings| format!("{settings:?}"))
    }

    #[test]
    fn every_key_that_is_changed_counts_or_is_named_as_what_needs_a_restart() {
        let before = stated(&[]);
        for setting in all() {
            let key = setting.key;
            let after = stated(&[(key, other(setting))]);
            let counts = after.counts(setting, &before);
            let next = after.on_top_of(&before).unwrap();
            assert_eq!(next.layer.has(key), counts, "{key}");
            let said = changes(&before, &after);
            let expected = match counts {
                true => format!("changed {key}"),
                false => format!(
                    "no value has changed; a restart is needed for {key}: in force is what was"
                ),
            };
            assert_eq!(said, expected);
        }
    }

    /// With the list in [`Reloader::apply`], which the compiler holds complete: what is declared as
    /// taken over while running comes to where it is handed on. Of logins, certificates and pages
    /// this is seen from outside: `auth_binary`, `tls/program` and `hangup` in `tests/it`.
    #[test]
    fn what_counts_while_running_comes_to_where_it_is_handed_on() {
        let outside = ["templates"];
        let before = made(&stated(&[])).expect("the defaults are right");
        // What counts only beside another one.
        let beside = [("proxy_header_style", ("proxy_headers", "true"))];
        for setting in all().filter(|setting| setting.reload == Reload::Live) {
            let (key, text) = (setting.key, other(setting));
            // A permit is for the check alone, which comes before anything is handed on.
            let is_permit = key.starts_with("insecure_");
            if key.starts_with("auth_") || outside.contains(&key) || is_permit {
                continue;
            }
            let partner = beside.iter().find(|(name, _)| *name == key).map(|(_, partner)| *partner);
            let was = match partner {
                Some(partner) => made(&stated(&[partner])).unwrap(),
                None => before.clone(),
            };
            let both: Vec<_> = partner.into_iter().chain([(key, text)]).collect();
            let is = made(&stated(&both)).unwrap_or_else(|| panic!("{key} = {text}"));
            assert_ne!(is, was, "{key} = {text} changes nothing");
        }
    }

    #[test]
    fn tls_and_the_page_are_taken_over_where_they_are() {
        let said = |pairs: &[(&'static str, &str)]| stated(pairs).said;
        let (plain, other) = (Said::default(), said(&[("ssl_certfile", "a")]));
        assert!(!Reload::WithTls.counts(&plain, &other) && !Reload::WithTls.counts(&other, &plain));
        assert!(Reload::WithTls.counts(&other, &said(&[("ssl_certfile", "b")])));
        let page = said(&[("admin_port", "1")]);
        assert!(!Reload::WithPage.counts(&plain, &said(&[("admin_key", "0123456789abcdef")])));
        assert!(Reload::WithPage.counts(&page, &said(&[("admin_key", "0123456789abcdef")])));
    }
}
