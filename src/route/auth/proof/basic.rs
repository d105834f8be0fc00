//! `BasicAuth`, names and passwords.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::aside::Aside;
use super::cache::{Answers, Found, Hasher};
use super::password::{Users, line};
use super::realm::{REALM, checked_realm};
use super::secret_file::{in_file, read_text};
use crate::error::Result;
use crate::route::auth::verdict::{Authenticator, Denial, Verdict};
use crate::route::identity::Identity;
use crate::route::request::Request;
use crate::sync::Mutex;

/// How long a right password is known without hashing it again.
const KEEP: Duration = Duration::from_secs(60);

/// How long a wrong one is: so that a program that tries it again and again costs little.
const KEEP_WRONG: Duration = Duration::from_secs(2);

/// Most answers that are kept of each kind.
const MOST_ANSWERS: usize = 10_000;

/// How long somebody waits while all processors are busy with passwords.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest name and password together, in base64.
const CREDENTIALS_BYTES: usize = 1024;

const WRONG: &str = "Name or password is wrong.";

/// Lets in who brings a name and a password that stand in a file, as `htpasswd -B` writes it.
///
/// A line of the file is `user:hash` or `user:hash:group,group`; hashes are bcrypt's. A right
/// password is known for a minute, so that not every request costs a hash; a name that is not in the
/// file costs as much as one that is. There are never more passwords in work than
/// processors, and clients wait in turn by their addresses, so that one that guesses keeps nobody out.
///
/// Passwords travel readable: use TLS, or a proxy that speaks it.
///
/// Cheap to clone; clones share their users.
///
/// # Blocking
/// For the time of a hash (a quarter of a second with cost 12), and while others have their turn,
/// 10 s at most.
///
/// # Example
/// ```
/// use landline::{Auth, BasicAuth};
///
/// # fn main() -> landline::Result<()> {
/// let line = BasicAuth::line("anna", "correct horse battery staple")?;
/// let auth = Auth::new(BasicAuth::with_users(&line)?);
/// # let _ = auth;
/// # Ok(())
/// # }
/// ```
///
/// # Source
/// RFC 7617
#[derive(Clone)]
pub struct BasicAuth {
    book: Arc<Book>,
    realm: String,
}

/// The users that are good now, and where they come from.
struct Book {
    file: Option<PathBuf>,
    current: Mutex<Arc<Page>>,
    /// Where passwords are hashed.
    aside: Aside,
}

/// Users with the answers about them; others have other answers.
struct Page {
    users: Users,
    hasher: Hasher,
    answers: Answers<Outcome>,
}

#[derive(Clone)]
enum Outcome {
    Known(Identity),
    Wrong,
    /// There was no turn, or no thread.
    Unclear,
}

impl Page {
    fn new(users: Users) -> Result<Arc<Self>> {
        Ok(Arc::new(Self { users, hasher: Hasher::new()?, answers: Answers::new(MOST_ANSWERS) }))
    }
}

impl BasicAuth {
    /// Knows the users of a text, a line for each.
    ///
    /// # Errors
    /// `Config`: a line is wrong, with its number; the text does not show it.
    pub fn with_users(lines: impl AsRef<str>) -> Result<Self> {
        Self::new(None, Users::parse(lines.as_ref())?)
    }

    /// Knows the users of a file.
    ///
    /// # Blocking
    /// For the disk: the file is read whole, 4 MiB at most.
    ///
    /// # Errors
    /// `Config`: it cannot be read or a line is wrong, with the name of the file.
    pub fn users_file(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let users = in_file(&path, Users::parse(&read_text(&path)?))?;
        Self::new(Some(path), users)
    }

    fn new(file: Option<PathBuf>, users: Users) -> Result<Self> {
        let current = Mutex::new(Page::new(users)?);
        let book = Book { file, current, aside: Aside::of_processors() };
        Ok(Self { book: Arc::new(book), realm: REALM.into() })
    }

    /// The line of a user for such a file. A file with it belongs to whoever runs the server, and
    /// nobody else should read it.
    ///
    /// # Blocking
    /// For the time of a hash.
    ///
    /// # Units
    /// `password`: at most 72 bytes, the rest would not count.
    ///
    /// # Errors
    /// `Config`: a name or password that cannot be used.
    pub fn line(user: &str, password: &str) -> Result<String> {
        line(user, password)
    }

    /// Reads the file again, for this one and its clones, and forgets what was known of passwords.
    /// If that fails, the old users stay. Without a file it does nothing.
    ///
    /// # Blocking
    /// For the disk: the file is read whole, 4 MiB at most.
    ///
    /// # Errors
    /// As [`users_file`](Self::users_file).
    pub fn reload(&self) -> Result<()> {
        if let Some(path) = &self.book.file {
            let users = in_file(path, Users::parse(&read_text(path)?))?;
            *self.book.current.lock() = Page::new(users)?;
        }
        Ok(())
    }

    /// What a browser shows when it asks for the password. Default: `landline`.
    ///
    /// # Errors
    /// `Config`: a name that cannot stand in a header.
    pub fn realm(mut self, name: impl Into<String>) -> Result<Self> {
        self.realm = checked_realm(name.into())?;
        Ok(self)
    }

    #[inline(never)]
    fn check(&self, name: &str, password: &str, client: IpAddr) -> Outcome {
        let page = Arc::clone(&self.book.current.lock());
        let deadline = Instant::now() + PATIENCE;
        let key = page.hasher.key([name.as_bytes(), password.as_bytes()]);
        let find = || self.find(&page, name, password, (client, deadline));
        let found = page.answers.get(&key, deadline, find);
        found.unwrap_or(Outcome::Unclear)
    }

    // Inlined, its frame would be part of every look at what is known.
    #[inline(never)]
    fn find(
        &self,
        page: &Arc<Page>,
        name: &str,
        password: &str,
        (client, deadline): (IpAddr, Instant),
    ) -> Found<Outcome> {
        let (page, name, password) = (Arc::clone(page), name.to_owned(), password.to_owned());
        let check = move || page.users.check(&name, &password);
        let checked = self.book.aside.run(client, deadline, check);
        match checked {
            Ok(Some(identity)) => {
                Found { value: Outcome::Known(identity), keep: KEEP, is_good: true }
            }
            Ok(None) => Found { value: Outcome::Wrong, keep: KEEP_WRONG, is_good: false },
            Err(error) => {
                log::error!("a password cannot be checked: {}", error.chain());
                Found { value: Outcome::Unclear, keep: Duration::ZERO, is_good: false }
            }
        }
    }
}

impl Authenticator for BasicAuth {
    fn authenticate(&self, request: &Request) -> Result<Verdict> {
        let mut found = request.headers().get_all("authorization").filter_map(credentials);
        let Some(credentials) = found.next() else { return Ok(Verdict::NotMine) };
        let refused = |text| Ok(Verdict::Refused(Denial::unauthorized(text)));
        if found.next().is_some() {
            return refused("There are several names and passwords.");
        }
        let Some((name, password)) = decoded(credentials) else { return refused(WRONG) };
        match self.check(&name, &password, request.client()) {
            Outcome::Known(identity) => Ok(Verdict::Known(identity)),
            Outcome::Wrong => refused(WRONG),
            Outcome::Unclear => {
                let text = "Too many passwords are being checked, please try again soon.";
                Ok(Verdict::Refused(Denial::unavailable(text)))
            }
        }
    }

    fn challenge(&self) -> Option<String> {
        Some(format!("Basic realm=\"{}\", charset=\"UTF-8\"", self.realm))
    }
}

/// What follows the word `Basic`.
fn credentials(value: &str) -> Option<&str> {
    let (scheme, credentials) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("basic").then(|| credentials.trim())
}

/// Reads the value of `Authorization` as a name and a password.
#[cfg(any(test, feature = "internals"))]
pub(crate) fn read_basic(value: &str) -> Option<(String, String)> {
    credentials(value).and_then(decoded)
}

#[inline(never)]
fn decoded(credentials: &str) -> Option<(String, String)> {
    if credentials.len() > CREDENTIALS_BYTES {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

impl fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicAuth").field("realm", &self.realm).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_password_stand_behind_the_word() {
        let read = read_basic;
        let pair = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        assert_eq!(read("Basic YW5uYTpzZWNyZXQ="), pair("anna", "secret"));
        assert_eq!(read("basic  w4Q6YTpiIA=="), pair("Ä", "a:b "));
        for wrong in
            ["Basic", "Basic !", "Basic YW5uYQ==", "Basic /zpi", "Bearer YTpi", "BasicYTpi"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(read(&format!("Basic {}", "YTpi".repeat(257))), None);
    }
}
