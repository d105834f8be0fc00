//! From the settings of TLS to certificates that are read.

use landline::{ClientAuth, Tls, TlsSettings};

use crate::exit::{Exit, Failure};
use crate::settings::values::ClientCertificates;
use crate::settings::{Said, Stated};

/// The files that are named; `None` without TLS.
///
/// # Errors
/// A file without its partner, or a setting that counts for nothing without them.
pub(crate) fn named(said: &Said) -> Result<Option<TlsSettings>, (&'static str, String)> {
    let said = &said.tls;
    let chains = said.ssl_certfile.clone().unwrap_or_default();
    let keys = said.ssl_keyfile.clone().unwrap_or_default();
    if chains.len() != keys.len() {
        let (chains, keys) = (chains.len(), keys.len());
        let text =
            format!("{chains} --ssl-certfile and {keys} --ssl-keyfile: give as many of each");
        return Err(("ssl_certfile", text));
    }
    let mut pairs = chains.into_iter().zip(keys);
    let Some((chain, key)) = pairs.next() else {
        let orphan =
            [("ssl_port", said.ssl_port.is_some()), ("ssl_ca_certs", said.ssl_ca_certs.is_some())];
        return match orphan.iter().find(|(_, is_said)| *is_said) {
            Some((setting, _)) => {
                Err((setting, "there is no TLS without --ssl-certfile and --ssl-keyfile".into()))
            }
            None => Ok(None),
        };
    };
    let first = TlsSettings::new(chain, key);
    let settings = pairs.fold(first, |settings, (chain, key)| settings.certificate(chain, key));
    let asked = said.ssl_client_auth.unwrap_or(match said.ssl_ca_certs {
        Some(_) => ClientCertificates::Required,
        None => ClientCertificates::None,
    });
    let auth = match asked {
        ClientCertificates::None => return Ok(Some(settings)),
        ClientCertificates::Optional => ClientAuth::Optional,
        ClientCertificates::Required => ClientAuth::Required,
    };
    let Some(authorities) = said.ssl_ca_certs.clone() else {
        let text = "name with --ssl-ca-certs who vouches for clients";
        return Err(("ssl_client_auth", text.into()));
    };
    Ok(Some(settings.client_certificates(authorities, auth)))
}

/// TLS in force, and the files it was read from.
#[derive(Clone, Debug)]
pub(crate) struct Secure {
    pub(crate) tls: Tls,
    settings: TlsSettings,
}

impl Secure {
    /// Reads the files that the settings name; `None` without TLS.
    ///
    /// # Blocking
    /// Reads files.
    ///
    /// # Errors
    /// A file is missing, cannot be read or is wrong, with its name and the setting that names it.
    pub(crate) fn prepare(stated: &Stated) -> Result<Option<Self>, Failure> {
        let named = named(&stated.said)
            .map_err(|(key, text)| Failure::new(Exit::Config, text).set_by(stated, key))?;
        let Some(settings) = named else { return Ok(None) };
        let tls = Tls::load(settings.clone())
            .map_err(|error| Failure::from(error).set_by(stated, "ssl_certfile"))?;
        Ok(Some(Self { tls, settings }))
    }

    /// Gives the listeners of a running server other files, which have been checked.
    pub(crate) fn reload(&self, new: &Self) {
        if let Err(error) = self.tls.reload_with(new.settings.clone()) {
            // They have changed since they were checked.
            log::error!("certificates refused, the old ones stay: {}", error.chain());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Layer, Source};

    fn named_by(said: &[(&'static str, &[&str])]) -> Result<bool, (&'static str, String)> {
        let mut layer = Layer::default();
        for (key, texts) in said {
            let texts = texts.iter().map(|text| (*text).to_owned()).collect();
            layer.say(key, texts, Source::Flag);
        }
        named(&Said::read(&layer).unwrap()).map(|settings| settings.is_some())
    }

    #[test]
    fn files_come_in_pairs() {
        assert_eq!(named_by(&[]), Ok(false));
        let (one, two) = (&["a"][..], &["a", "b"][..]);
        assert_eq!(named_by(&[("ssl_certfile", one), ("ssl_keyfile", one)]), Ok(true));
        assert_eq!(named_by(&[("ssl_certfile", two), ("ssl_keyfile", two)]), Ok(true));
        for wrong in [
            &[("ssl_certfile", one)][..],
            &[("ssl_keyfile", one)],
            &[("ssl_certfile", two), ("ssl_keyfile", one)],
            &[("ssl_port", &["1"][..])],
            &[("ssl_ca_certs", one)],
        ] {
            assert!(named_by(wrong).is_err(), "{wrong:?}");
        }
        let pair = [("ssl_certfile", one), ("ssl_keyfile", one)];
        let with = |more| named_by(&[pair[0], pair[1], ("ssl_client_auth", more)]);
        assert_eq!(with(&["none"]), Ok(true));
        assert_eq!(with(&["required"]).unwrap_err().0, "ssl_client_auth");
    }
}
