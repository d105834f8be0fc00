//! `GroupSigner`, names of groups that only the application can give out.
//!
//! ```text
//! g1.<name>.<seconds>.<user>.<signature>      name, user and signature in base64url
//! ```

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use super::secret_file::{in_file, read_text, wrong};
use crate::error::{Error, ErrorKind, Result};
use crate::http::refusal::Refusal;
use crate::route::identity::Identity;
use crate::sync::Mutex;

/// What every signed name starts with: the kind of thing that is signed, and its version.
const KIND: &str = "g1";

/// Shortest key in bytes.
const KEY_BYTES: usize = 32;

/// Most keys at a time.
const MOST_KEYS: usize = 8;

/// Longest signed name.
const TOKEN_BYTES: usize = 2048;

/// Signs names of groups, and knows its signatures again: a page that the application has given a
/// signed name can join that group without anybody being asked.
///
/// A signed name says which group, until when it may be joined with it, and perhaps by whom only.
/// It is short text that fits into an address, a header or a message. It is no secret to its user
/// and a key to the group for everybody else: let it expire soon. A member stays one after that.
///
/// Given to the server with [`Builder::group_signer`](crate::Builder::group_signer), it is used by
/// [`Request::signed_group`](crate::Request::signed_group),
/// [`Context::join_signed`](crate::Context::join_signed), and the query `?group=` of a
/// [`facility`](crate::facility).
///
/// Django or any other program signs the same way, HMAC-SHA256 over the text before the last dot:
///
/// ```python
/// import base64, hashlib, hmac, time
/// b64 = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()
/// def signed_group(key, name, seconds=60, user=""):
///     text = f"g1.{b64(name.encode())}.{int(time.time()) + seconds}.{b64(user.encode())}"
///     return f"{text}.{b64(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest())}"
/// ```
///
/// Cheap to clone; clones share their keys.
///
/// # Example
/// ```
/// use std::time::{Duration, SystemTime};
/// use landline::GroupSigner;
///
/// # fn main() -> landline::Result<()> {
/// # let key = "x".repeat(32);
/// let signer = GroupSigner::with_key(&key)?;
/// let token = signer.sign("private:board", SystemTime::now() + Duration::from_secs(60), None);
/// assert_eq!(signer.verify(&token, None)?, "private:board");
/// # Ok(())
/// # }
/// ```
///
/// # Source
/// The signed streams of AnyCable and the private channels of Pusher.
#[derive(Clone)]
pub struct GroupSigner {
    file: Option<PathBuf>,
    /// The first signs, all are known again.
    keys: Arc<Mutex<Arc<[hmac::Key]>>>,
}

/// Why a signed name is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    Malformed,
    Signature,
    Expired,
    OfAnother,
}

impl Flaw {
    fn text(self) -> &'static str {
        match self {
            Self::Malformed => "The signed name of the group is malformed.",
            Self::Signature => "The name of the group is not signed by a key that is known here.",
            Self::Expired => "The signed name of the group has expired.",
            Self::OfAnother => "The signed name of the group is for somebody else.",
        }
    }
}

impl GroupSigner {
    /// Signs with a key, and knows what it signed.
    ///
    /// # Units
    /// `key`: at least 32 bytes, random ones.
    ///
    /// # Errors
    /// `Config`: it is too short. The text does not show it.
    pub fn with_key(key: impl AsRef<[u8]>) -> Result<Self> {
        let keys = [hmac_key(key.as_ref())?];
        Ok(Self { file: None, keys: Arc::new(Mutex::new(Arc::new(keys))) })
    }

    /// Signs with the first key of a file, and knows what any of them signed: so a key can be
    /// replaced while its signatures are still about. A line for each, empty lines and those that
    /// start with `#` do not count.
    ///
    /// # Blocking
    /// For the disk: the file is read whole, 4 MiB at most.
    ///
    /// # Errors
    /// `Config`: it cannot be read, has no key or one that is too short, with its name.
    pub fn key_file(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let keys = in_file(&path, read_keys(&read_text(&path)?))?;
        Ok(Self { file: Some(path), keys: Arc::new(Mutex::new(keys)) })
    }

    /// Reads the file again, for this one and its clones. If that fails, the old keys stay. Without
    /// a file it does nothing.
    ///
    /// # Blocking
    /// For the disk: the file is read whole, 4 MiB at most.
    ///
    /// # Errors
    /// As [`key_file`](Self::key_file).
    pub fn reload(&self) -> Result<()> {
        if let Some(path) = &self.file {
            let keys = in_file(path, read_keys(&read_text(path)?))?;
            *self.keys.lock() = keys;
        }
        Ok(())
    }

    /// The signed name of a group, which is good until a moment, for everybody or for one user.
    ///
    /// # Units
    /// `until`: whole seconds count.
    pub fn sign(&self, group: &str, until: SystemTime, user: Option<&str>) -> String {
        let seconds = until.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let user = encoded(user.unwrap_or_default());
        let text = format!("{KIND}.{}.{seconds}.{user}", encoded(group));
        let keys = Arc::clone(&self.keys.lock());
        // There is always a first one.
        let signature = keys.first().map(|key| hmac::sign(key, text.as_bytes()));
        let signature = signature.as_ref().map_or(&[][..], |signature| signature.as_ref());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The name of the group, if the signature is good now and for whoever has this identity.
    ///
    /// # Errors
    /// `Protocol`: it is not, with the reason; a handler that passes it on with `?` before the
    /// handshake answers 403.
    pub fn verify(&self, token: &str, identity: Option<&Identity>) -> Result<String> {
        let user = identity.and_then(Identity::name);
        self.examine(token, user, SystemTime::now()).map_err(|flaw| {
            Error::new(ErrorKind::Protocol, flaw.text())
                .with_returned(Refusal::forbidden(flaw.text()))
        })
    }

    fn examine(&self, token: &str, who: Option<&str>, now: SystemTime) -> Result<String, Flaw> {
        if token.len() > TOKEN_BYTES {
            return Err(Flaw::Malformed);
        }
        let (text, signature) = token.rsplit_once('.').ok_or(Flaw::Malformed)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Flaw::Malformed)?;
        let keys = Arc::clone(&self.keys.lock());
        if !keys.iter().any(|key| hmac::verify(key, text.as_bytes(), &signature).is_ok()) {
            return Err(Flaw::Signature);
        }
        let parts: Vec<&str> = text.split('.').collect();
        let [KIND, group, seconds, user] = parts[..] else { return Err(Flaw::Malformed) };
        let (group, user) = (decoded(group)?, decoded(user)?);
        let seconds: u64 = seconds.parse().map_err(|_| Flaw::Malformed)?;
        let until = UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        if until.is_some_and(|until| until <= now) {
            return Err(Flaw::Expired);
        }
        if !user.is_empty() && who != Some(user.as_str()) {
            return Err(Flaw::OfAnother);
        }
        Ok(group)
    }
}

fn decoded(part: &str) -> Result<String, Flaw> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Flaw::Malformed)?;
    String::from_utf8(bytes).map_err(|_| Flaw::Malformed)
}

fn hmac_key(bytes: &[u8]) -> Result<hmac::Key> {
    if bytes.len() < KEY_BYTES {
        let text = format!(
            "a key for signed groups has at least {KEY_BYTES} bytes, this one has {}",
            bytes.len()
        );
        return Err(wrong(text));
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, bytes))
}

fn read_keys(text: &str) -> Result<Arc<[hmac::Key]>> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys = lines.map(|line| hmac_key(line.as_bytes())).collect::<Result<Vec<_>>>()?;
    match keys.len() {
        0 => Err(wrong("there is no key in it")),
        1..=MOST_KEYS => Ok(keys.into()),
        _ => Err(wrong(format!("there are more than {MOST_KEYS} keys in it"))),
    }
}

impl fmt::Debug for GroupSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupSigner").field("file", &self.file).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn signer() -> GroupSigner {
        GroupSigner::with_key(KEY).unwrap()
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_name_is_signed_as_python_does_it() {
        // signed_group of the documentation above, at the second 2_000_000_000.
        let by_python = "g1.Ym9hcmQ6w6Q.2000000000.YW5uYQ.\
            gOWqya72hO_2hKa0577bbDmJyvoedOaGnsEOQsEqqKA";
        let ours = signer().sign("board:ä", at(2_000_000_000), Some("anna"));
        assert_eq!(ours, by_python);
        assert_eq!(signer().examine(by_python, Some("anna"), at(1)), Ok("board:ä".into()));
    }

    #[test]
    fn it_is_good_for_a_while_and_for_whom_it_says() {
        let token = signer().sign("a", at(100), Some("anna"));
        let examine = |who, now| signer().examine(&token, who, at(now));
        assert_eq!(examine(Some("anna"), 99), Ok("a".into()));
        assert_eq!(examine(Some("anna"), 100), Err(Flaw::Expired));
        assert_eq!(examine(Some("ben"), 99), Err(Flaw::OfAnother));
        assert_eq!(examine(None, 99), Err(Flaw::OfAnother));
        let for_all = signer().sign("a", at(100), None);
        assert_eq!(signer().examine(&for_all, None, at(99)), Ok("a".into()));
        assert_eq!(signer().examine(&for_all, Some("ben"), at(99)), Ok("a".into()));
    }

    #[test]
    fn what_is_signed_for_something_else_is_no_group() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, KEY.as_bytes());
        for text in ["g2.YQ.100.", "g1.YQ.100", "g1.YQ.100..", "g1.YQ.x.", "g1.!.100.", "g1", ""] {
            let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, text.as_bytes()));
            let token = format!("{text}.{signature}");
            assert_eq!(signer().examine(&token, None, at(1)), Err(Flaw::Malformed), "{text}");
        }
        assert_eq!(signer().examine(&"a".repeat(2049), None, at(1)), Err(Flaw::Malformed));
    }

    #[test]
    fn the_first_key_signs_and_all_are_known() {
        let other = "f".repeat(32);
        let keys = read_keys(&format!("# new\n{other}\n\n{KEY}\n")).unwrap();
        let both = GroupSigner { file: None, keys: Arc::new(Mutex::new(keys)) };
        let old = signer().sign("a", at(100), None);
        assert_eq!(both.examine(&old, None, at(1)), Ok("a".into()));
        let new = both.sign("a", at(100), None);
        assert_eq!(new, GroupSigner::with_key(&other).unwrap().sign("a", at(100), None));
        assert_eq!(signer().examine(&new, None, at(1)), Err(Flaw::Signature));
        for wrong in ["", "# x", "short", &format!("{KEY}\n").repeat(9)] {
            assert!(read_keys(wrong).is_err(), "{wrong}");
        }
        assert!(!format!("{both:?}").contains(KEY));
    }

    proptest! {
        #[test]
        fn what_was_signed_comes_back(
            group in "\\PC{0,100}", user in "\\PC{1,40}", seconds in 2..u64::from(u32::MAX)
        ) {
            let token = signer().sign(&group, at(seconds), Some(&user));
            prop_assert!(token.bytes().all(crate::http::token::is_token_byte));
            prop_assert_eq!(signer().examine(&token, Some(&user), at(1)), Ok(group));
        }

        #[test]
        fn what_was_changed_is_refused(
            group in "\\PC{0,40}", place in any::<prop::sample::Index>(), byte in b' '..=b'~'
        ) {
            let token = signer().sign(&group, at(2000), Some("anna"));
            let mut changed = token.clone().into_bytes();
            let place = place.index(changed.len());
            prop_assume!(changed[place] != byte);
            changed[place] = byte;
            let changed = String::from_utf8(changed).unwrap();
            prop_assert!(signer().examine(&changed, Some("anna"), at(1)).is_err());
        }

        #[test]
        fn noise_is_refused(token in "\\PC{0,200}") {
            prop_assert!(signer().examine(&token, None, at(1)).is_err());
        }
    }
}
