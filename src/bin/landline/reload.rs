//! SIGHUP: reads the settings again and gives a running server what can be changed.
//!
//! The new settings are read and checked whole, files that they name included, before anything is
//! changed: what is refused changes nothing. What needs a restart stays as it was and is named.

use std::net::SocketAddr;

use landline::Handle;

use crate::admin::AdminPage;
use crate::exit::Failure;
use crate::pages::Files;
use crate::publish::Publishing;
use crate::ready::Ready;
use crate::settings::{Flags, Reload, Setting, Stated, all};
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
        let Ready { settings, pages, login, secure } = ready;
        self.handle.reload_config(settings.config);
        self.handle.reload_origins(settings.origins);
        self.handle.reload_allowed_hosts(settings.allowed_hosts);
        self.handle.reload_auth(login.auth);
        self.handle.reload_group_signer(login.group_signer);
        settings.proxies.reload(&self.handle);
        self.handle.reload_templates(pages.templates);
        self.files.reload(&pages.files);
        self.publishing.reload(&settings.publishing);
        self.admin.reload(&settings.admin);
        match (&self.secure, &secure) {
            (Some(running), Some(new)) => running.reload(new),
            (None, None) => {}
            _ => log::warn!("a restart is needed to listen with TLS, or without"),
        }
    }
}

/// What has changed, in words.
fn changes(running: &Stated, new: &Stated) -> String {
    let has_changed = |setting: &&Setting| running.in_force(setting) != new.in_force(setting);
    let (mut live, mut later) = (Vec::new(), Vec::new());
    for setting in all().filter(has_changed) {
        match setting.reload {
            Reload::Live => live.push(setting.key),
            Reload::Restart => later.push(setting.key),
        }
    }
    let live = match &*live {
        [] => "no value has changed".to_owned(),
        keys => format!("changed {}", keys.join(", ")),
    };
    match &*later {
        [] => live,
        keys => format!("{live}; a restart is needed for {}", keys.join(", ")),
    }
}
