//! All groups together.

use crate::settings::groups::{
    Access, Admin, Insecure, Limits, Listening, Log, Login, Pages, Proxies, Tls, WebSocket,
};
use crate::settings::layers::Layer;
use crate::settings::setting::Setting;

macro_rules! groups {
    ($( $(#[doc = $doc:literal])* $name:ident: $group:ident; )*) => {
        /// What was said, typed; what is `None` was not said.
        #[derive(Clone, Debug, Default)]
        pub(crate) struct Said {
            $( $(#[doc = $doc])* pub(crate) $name: $group, )*
        }

        const GROUPS: &[&[Setting]] = &[ $( $group::SETTINGS, )* ];

        impl Said {
            /// Takes the values of a layer.
            ///
            /// # Errors
            /// The key of a value that is wrong, and why.
            pub(crate) fn read(layer: &Layer) -> Result<Self, (&'static str, String)> {
                Ok(Self { $( $name: $group::read(layer)?, )* })
            }
        }
    };
}

// In the order of the help.
groups! {
    listening: Listening;
    tls: Tls;
    websocket: WebSocket;
    access: Access;
    login: Login;
    limits: Limits;
    proxies: Proxies;
    pages: Pages;
    admin: Admin;
    log: Log;
    insecure: Insecure;
}

/// Every setting, in the order of the help.
pub(crate) fn all() -> impl Iterator<Item = &'static Setting> {
    GROUPS.iter().flat_map(|group| group.iter())
}

/// The setting with this key.
pub(crate) fn find(key: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.key == key)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_key_is_there_once_and_has_help() {
        let mut keys = BTreeSet::new();
        for setting in all() {
            let key = setting.key;
            assert!(keys.insert(key), "{key} twice");
            let help = setting.help();
            assert!(!help.is_empty() && !help.ends_with('.'), "{key}: {help}");
            assert!(key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
        }
    }

    #[test]
    fn every_default_and_example_is_a_right_value() {
        for setting in all() {
            let preset = (setting.preset)();
            for text in preset.example().split(',').filter(|_| !preset.example().is_empty()) {
                let text = if setting.is_list { text.trim() } else { preset.example() };
                assert_eq!((setting.check)(text), Ok(()), "{}: {text}", setting.key);
            }
        }
    }
}
