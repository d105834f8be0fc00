//! Doors: what strangers must not find open.
//!
//! A setting that lets anybody do something is fine on a machine that nobody else reaches. Where
//! others can reach the server it is refused, at the start, by `landline check` and at a reload,
//! unless a flag that says what it does was given too. This is the only place that knows those rules.
//!
//! # To add a door
//! Declare its flag in `said/groups/insecure.rs`, and add the door to [`Doors::of`]. It is open as
//! long as nothing guards it, wherever the server listens; who can reach it is asked here.

use std::net::SocketAddr;

use crate::exit::{Exit, Failure};
use crate::proxies::{Proxies, has_everybody};
use crate::settings::is_any_origin;
use crate::settings::values::Host;
use crate::settings::{Said, find};

/// Something that anybody may do.
#[derive(Clone, Debug)]
struct Door {
    /// What strangers could do, as in "anybody may publish".
    open: &'static str,
    /// How it is guarded.
    remedy: &'static str,
    /// The key of the setting that says that it is meant so.
    permit: &'static str,
}

/// The doors that are open and not meant to be.
#[derive(Clone, Debug)]
pub(crate) struct Doors {
    /// Of the server itself.
    open: Vec<Door>,
    /// Of the admin page on a listener of its own.
    admin: Option<Door>,
}

impl Doors {
    /// Finds the doors that these settings leave open.
    pub(crate) fn of(said: &Said) -> Self {
        let origins = said.access.origin.as_deref().unwrap_or_default();
        let permits = &said.insecure;
        let doors = [
            (
                origins.iter().any(|origin| is_any_origin(origin)),
                permits.insecure_any_origin,
                Door {
                    open: "pages of any site may open WebSockets with the cookies of their readers",
                    remedy: "name the sites with --origin",
                    permit: "insecure_any_origin",
                },
            ),
            (
                // Without a permit it is closed as soon as `reachable` knows of others.
                said.access.publish_key.is_none() && !others_are_meant(said),
                permits.insecure_publish_without_key,
                Door {
                    open: "anybody may publish",
                    remedy: "give a key with --publish-key (or LANDLINE_PUBLISH_KEY)",
                    permit: "insecure_publish_without_key",
                },
            ),
            (
                Proxies::trust_everybody(said),
                permits.insecure_trust_any_proxy,
                Door {
                    open: "anybody may say to be any client",
                    remedy: "name your proxies with --forwarded-allow-ips",
                    permit: "insecure_trust_any_proxy",
                },
            ),
            (
                said.login.auth_trusted_header.is_some()
                    && has_everybody(said.login.auth_trusted_proxy.as_deref()),
                permits.insecure_trust_any_proxy,
                Door {
                    open: "anybody may say to be any user",
                    remedy: "name your proxies with --auth-trusted-proxy",
                    permit: "insecure_trust_any_proxy",
                },
            ),
        ];
        let open =
            doors.into_iter().filter(|(is_open, is_meant, _)| *is_open && *is_meant != Some(true));
        let is_guarded = said.admin.admin_key.is_some();
        let is_meant = permits.insecure_admin_without_key == Some(true);
        let admin = (!is_guarded && !is_meant).then_some(Door {
            open: "anybody may see on the admin page who is connected",
            remedy: "give a key with --admin-key (or LANDLINE_ADMIN_KEY)",
            permit: "insecure_admin_without_key",
        });
        Self { open: open.map(|(_, _, door)| door).collect(), admin }
    }

    /// Refuses open doors where others are meant to come in: before anything is bound.
    ///
    /// # Errors
    /// A sentence for each door.
    pub(crate) fn check_said(&self, said: &Said) -> Result<(), Failure> {
        let own = reachable(said).map_or(Ok(()), |how| refuse(&self.open, &how));
        let host = said.admin.admin_host.as_ref().filter(|host| host.is_public());
        let admin = host.map_or(Ok(()), |host| self.refuse_admin(&host.to_string()));
        match (own, admin) {
            (Err(failure), Err(other)) => Err(failure.with(other)),
            (own, admin) => own.and(admin),
        }
    }

    /// Refuses open doors on addresses that others can reach: a name may stand for any address.
    ///
    /// # Errors
    /// A sentence for each door.
    pub(crate) fn check_bound(&self, addresses: &[SocketAddr]) -> Result<(), Failure> {
        match addresses.iter().find(|address| !address.ip().is_loopback()) {
            Some(address) => refuse(&self.open, &format!("other machines can reach {address}")),
            None => Ok(()),
        }
    }

    /// Refuses an open admin page on addresses that others can reach.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn check_admin_bound(&self, addresses: &[SocketAddr]) -> Result<(), Failure> {
        match addresses.iter().find(|address| !address.ip().is_loopback()) {
            Some(address) => self.refuse_admin(&address.to_string()),
            None => Ok(()),
        }
    }

    fn refuse_admin(&self, place: &str) -> Result<(), Failure> {
        refuse(self.admin.as_slice(), &format!("other machines can reach {place}"))
    }
}

/// A sentence for each door.
fn refuse(doors: &[Door], how: &str) -> Result<(), Failure> {
    let sentence = |door: &Door| {
        let Door { open, remedy, permit } = door;
        let permit = find(permit).map(|setting| setting.flag()).unwrap_or_default();
        format!("{how}, and {open}; {remedy}, listen on 127.0.0.1, or say {permit}")
    };
    let texts: Vec<String> = doors.iter().map(sentence).collect();
    if texts.is_empty() { Ok(()) } else { Err(Failure::many(Exit::Config, texts)) }
}

/// True if the settings name others than the programs of this machine as those who come.
pub(crate) fn others_are_meant(said: &Said) -> bool {
    reachable(said).is_some()
}

/// Why others can reach the server, as far as the settings tell; a Unix socket is local.
fn reachable(said: &Said) -> Option<String> {
    let hosts = said.listening.host.as_deref().unwrap_or_default();
    if let Some(host) = hosts.iter().find(|host| host.is_public()) {
        return Some(format!("other machines can reach {host}"));
    }
    // A proxy on this machine brings everybody in; the name that it serves is known from here.
    let names = said.access.allowed_host.as_deref().unwrap_or_default();
    let name = names.iter().find(|name| is_public_name(name))?;
    Some(format!("the allowed host {name} lets others in through a proxy"))
}

fn is_public_name(name: &str) -> bool {
    let name = name.trim_matches(['.', '[', ']']);
    let is_local = name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || name.parse().is_ok_and(|address| !Host::Address(address).is_public());
    !is_local
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Layer, Source};

    /// What the settings are refused for, before anything is bound.
    fn refused(said: &[(&'static str, &str)]) -> Vec<String> {
        let mut layer = Layer::default();
        for (key, text) in said {
            layer.say(key, vec![(*text).to_owned()], Source::Flag);
        }
        let said = Said::read(&layer).unwrap();
        let failure = Doors::of(&said).check_said(&said).err();
        failure.map(|failure| failure.texts().to_vec()).unwrap_or_default()
    }

    #[test]
    fn any_origin_is_for_loopback_or_said_aloud() {
        let any = ("origin", "any");
        assert!(refused(&[any]).is_empty());
        for public in [("host", "0.0.0.0"), ("host", "::"), ("allowed_host", "chat.example")] {
            let texts = refused(&[any, public]);
            assert_eq!(texts.len(), 1, "{public:?}");
            assert!(texts[0].contains("--insecure-any-origin"), "{texts:?}");
            assert!(refused(&[any, public, ("insecure_any_origin", "true")]).is_empty());
            assert!(refused(&[("origin", "a.example"), public]).is_empty());
        }
        for local in [("host", "::1"), ("allowed_host", "app.localhost"), ("host", "127.0.0.9")] {
            assert!(refused(&[any, local]).is_empty(), "{local:?}");
        }
    }

    #[test]
    fn everybody_is_believed_on_loopback_or_said_aloud() {
        let public = ("host", "0.0.0.0");
        for all in ["*", "0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96"] {
            let all = ("forwarded_allow_ips", all);
            for used in [("proxy_headers", "true"), ("proxy_protocol", "true")] {
                assert!(refused(&[all, used]).is_empty());
                let texts = refused(&[all, used, public]);
                assert!(texts.len() == 1 && texts[0].contains("--insecure-trust-any-proxy"));
                let permit = ("insecure_trust_any_proxy", "true");
                assert!(refused(&[all, used, public, permit]).is_empty());
                let proxy = ("forwarded_allow_ips", "192.0.2.1");
                assert!(refused(&[proxy, used, public]).is_empty());
            }
            assert!(refused(&[all, public]).is_empty(), "nothing is read of anybody");
        }
    }

    #[test]
    fn everybody_is_whoever_one_says_on_loopback_or_said_aloud() {
        let (header, public) = (("auth_trusted_header", "X-Remote-User"), ("host", "0.0.0.0"));
        for all in ["*", "0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96"] {
            let all = ("auth_trusted_proxy", all);
            assert!(refused(&[header, all]).is_empty());
            let texts = refused(&[header, all, public]);
            assert!(texts.len() == 1 && texts[0].contains("--auth-trusted-proxy"), "{texts:?}");
            assert!(
                refused(&[header, all, public, ("insecure_trust_any_proxy", "true")]).is_empty()
            );
        }
        assert!(refused(&[header, ("auth_trusted_proxy", "192.0.2.1"), public]).is_empty());
        assert!(refused(&[header, public]).is_empty());
    }

    #[test]
    fn the_admin_page_has_a_key_where_others_reach_it() {
        for public in ["0.0.0.0", "::", "192.0.2.1", "a.example"] {
            let host = ("admin_host", public);
            let texts = refused(&[host]);
            assert!(texts.len() == 1 && texts[0].contains("--admin-key"), "{texts:?}");
            assert!(refused(&[host, ("admin_key", "0123456789abcdef")]).is_empty());
            assert!(refused(&[host, ("insecure_admin_without_key", "true")]).is_empty());
        }
        assert!(refused(&[("admin_host", "127.0.0.1")]).is_empty());
        let both = refused(&[("admin_host", "::"), ("host", "::"), ("origin", "any")]);
        assert_eq!(both.len(), 2, "{both:?}");
        let doors = Doors::of(&Said::default());
        assert!(doors.check_admin_bound(&["127.0.0.1:80".parse().unwrap()]).is_ok());
        assert!(doors.check_admin_bound(&["192.0.2.1:80".parse().unwrap()]).is_err());
    }

    #[test]
    fn what_is_open_is_not_open_on_an_address_of_others() {
        let said = Said::default();
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let doors = Doors::of(&said);
        assert!(doors.check_bound(&[address("127.0.0.1:80"), address("[::1]:80")]).is_ok());
        let failure = doors.check_bound(&[address("127.0.0.1:80"), address("192.0.2.1:80")]);
        assert!(failure.unwrap_err().texts()[0].contains("anybody may publish"));
    }
}
