//! Users with their passwords, as `htpasswd -B` writes them.
//!
//! ```text
//! # comment
//! anna:$2y$12$...
//! ben:$2b$12$...:editors,staff
//! ```

use std::collections::HashMap;

use bcrypt::HashParts;

use super::claims::is_name;
use super::secret_file::wrong;
use crate::error::{Error, ErrorKind, Result};
use crate::route::identity::Identity;

/// How long a password's hash takes: 2 to the power of this many rounds, a quarter of a second.
const COST: u32 = 12;

/// Beyond this, one login takes seconds.
const MOST_COST: u32 = 15;

/// What bcrypt looks at of a password.
const PASSWORD_BYTES: usize = 72;

/// Behind version and cost of a hash that no password has: a salt and nothing that fits to it.
const NOBODY: &str = ".....................................................";

/// Who may come in with which password.
pub(super) struct Users {
    by_name: HashMap<String, User>,
    /// For names that are not there: as costly as the dearest of those that are.
    decoy: String,
}

struct User {
    hash: String,
    groups: Vec<String>,
}

impl Users {
    /// Reads a file of users.
    ///
    /// # Errors
    /// `Config`: a line is wrong, with its number; the text does not show it. Or there is none.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut by_name = HashMap::new();
        let mut cost = 0;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let in_line = |why: &str| wrong(format!("line {}: {why}", index + 1));
            let (name, user, its_cost) = parse_line(line).map_err(in_line)?;
            cost = cost.max(its_cost);
            if by_name.insert(name.to_owned(), user).is_some() {
                return Err(in_line(&format!("the user {name:?} is there twice")));
            }
        }
        if by_name.is_empty() {
            return Err(wrong("there is no user in it; add one with `landline passwd`"));
        }
        Ok(Self { by_name, decoy: format!("$2b${cost:02}${NOBODY}") })
    }

    /// Who it is, if name and password are right. It takes as long for a name that is not there.
    ///
    /// # Blocking
    /// For the time of the hash, a quarter of a second, of computing.
    pub(super) fn check(&self, name: &str, password: &str) -> Option<Identity> {
        let user = self.by_name.get(name);
        let hash = user.map_or(self.decoy.as_str(), |user| user.hash.as_str());
        let is_right = fits(password, hash);
        let user = user.filter(|_| is_right)?;
        Some(Identity::default().user(name).groups(&user.groups))
    }
}

/// True if it is the password of a hash.
fn fits(password: &str, hash: &str) -> bool {
    #[cfg(test)]
    tests::HASHED.set(tests::HASHED.get() + 1);
    // Every hash was read before, so this does not fail.
    bcrypt::verify(password, hash).unwrap_or(false)
}

fn parse_line(line: &str) -> Result<(&str, User, u32), &'static str> {
    let mut fields = line.splitn(3, ':');
    let (Some(name), Some(hash)) = (fields.next(), fields.next()) else {
        return Err("write user:hash, as `landline passwd` or `htpasswd -B` does");
    };
    if !is_name(name) {
        return Err("the user has no name that can be used");
    }
    let parts: HashParts = match hash.parse() {
        Ok(parts) if hash.starts_with("$2") => parts,
        _ => {
            return Err(
                "the password is not hashed with bcrypt; use `landline passwd` or `htpasswd -B`",
            );
        }
    };
    let cost = parts.get_cost();
    if cost > MOST_COST {
        return Err("the hash costs more than 15, so that a login takes seconds");
    }
    let groups = fields.next().unwrap_or_default().split(',').map(str::trim);
    let groups: Vec<String> = groups.filter(|group| !group.is_empty()).map(str::to_owned).collect();
    Ok((name, User { hash: hash.to_owned(), groups }, cost))
}

/// The line of a user for such a file.
///
/// # Errors
/// `Config`: a name or password that cannot be used; the text does not show the password.
pub(super) fn line(name: &str, password: &str) -> Result<String> {
    if !is_name(name) || name.contains(':') || name.starts_with('#') || name.trim() != name {
        return Err(wrong(format!(
            "{name:?} is no name for a user: no colon, blanks or # around it"
        )));
    }
    if password.is_empty() || password.chars().any(char::is_control) {
        return Err(wrong("a password has at least one character and no control characters"));
    }
    if password.len() > PASSWORD_BYTES {
        return Err(wrong(format!("a password has at most {PASSWORD_BYTES} bytes")));
    }
    let hash = bcrypt::hash(password, COST).map_err(|error| {
        Error::new(ErrorKind::Io, "the password cannot be hashed").with_source(error)
    })?;
    Ok(format!("{name}:{hash}"))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Of "secret", as htpasswd writes it, with the least cost.
    fn of_secret(prefix: &str) -> String {
        let hash = bcrypt::hash_with_result("secret", 4).unwrap();
        hash.to_string().replacen("$2b$", prefix, 1)
    }

    #[test]
    fn users_are_known_by_name_and_password() {
        let text = format!(
            "# people\n\nanna:{}\r\n  ben:{}:editors, staff\nÄnne:{}\n",
            of_secret("$2y$"),
            of_secret("$2b$"),
            of_secret("$2a$")
        );
        let users = Users::parse(&text).unwrap();
        let ben = users.check("ben", "secret").unwrap();
        assert_eq!(
            (ben.name(), ben.group_names()),
            (Some("ben"), &["editors".into(), "staff".into()][..])
        );
        assert!(users.check("anna", "secret").is_some() && users.check("Änne", "secret").is_some());
        for (name, password) in
            [("anna", "Secret"), ("anna", ""), ("Anna", "secret"), ("", "secret")]
        {
            assert!(users.check(name, password).is_none(), "{name} {password}");
        }
    }

    thread_local! {
        /// How many hashes this thread has computed.
        pub(super) static HASHED: Cell<u32> = const { Cell::new(0) };
    }

    #[test]
    fn whom_nobody_knows_costs_a_hash_too() {
        let users = Users::parse(&format!("anna:{}", of_secret("$2b$"))).unwrap();
        for name in ["anna", "nobody", ""] {
            HASHED.set(0);
            assert!(users.check(name, "wrong").is_none());
            assert_eq!(HASHED.get(), 1, "{name:?}");
        }
        assert_eq!(users.decoy.parse::<HashParts>().unwrap().get_cost(), 4);
        assert!(!bcrypt::verify("", &users.decoy).unwrap());
    }

    #[test]
    fn a_wrong_line_is_named_and_not_shown() {
        let twice = format!("a:{0}\na:{0}", of_secret("$2b$"));
        for (text, what) in [
            ("", "no user"),
            ("# only\n", "no user"),
            ("\nanna", "line 2"),
            ("anna:secret", "bcrypt"),
            ("anna:$apr1$x$y", "bcrypt"),
            ("anna:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "bcrypt"),
            (":x", "no name"),
            (&twice, "line 2: the user \"a\" is there twice"),
            (&of_secret("$2b$").replacen("$04$", "$16$", 1).replacen("$2b", "a:$2b", 1), "15"),
        ] {
            let error = Users::parse(text).map(drop).unwrap_err();
            assert!(error.chain().contains(what), "{text}: {error}");
            assert!(!error.chain().contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_line_that_was_written_can_be_read() {
        assert!(line("a:b", "x").is_err() && line("#a", "x").is_err() && line("", "x").is_err());
        assert!(line("a", "").is_err() && line("a", &"x".repeat(73)).is_err());
        let users = Users::parse(&line("anna", "correct horse").unwrap()).unwrap();
        assert!(users.check("anna", "correct horse").is_some());
    }
}
