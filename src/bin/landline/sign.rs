//! `landline sign`: what the server knows again as its own.

use std::io::{self, Write as _};
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};

use crate::exit::{Exit, Failure};
use crate::login::group_signer;
use crate::settings::values::seconds;
use crate::settings::{Flags, Stated};

/// Longest name of a group in bytes.
const NAME_BYTES: usize = 255;

/// What is to be signed.
#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print the signed name of a group, by the key of --auth-group-key, for ?group= of a facility
    /// or of a private room of the chat
    #[command(max_term_width = 100, args_override_self = true)]
    Group(Box<GroupArgs>),
}

#[derive(Debug, Args)]
struct GroupArgs {
    /// The name of the group; the room private-board of the chat is the group chat:private-board
    #[arg(value_name = "NAME", value_parser = group_name)]
    name: String,
    /// How long it can be joined with it; who has joined stays
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds, default_value = "60")]
    time: Duration,
    /// The only user who may join with it, instead of everybody who has it
    #[arg(long, value_name = "USER", value_parser = user_name)]
    user: Option<String>,
    #[command(flatten)]
    flags: Flags,
}

/// Signs, and prints the signed name alone, for scripts.
///
/// # Blocking
/// Reads the settings file.
///
/// # Errors
/// The settings cannot be read, or have no key for groups.
pub(crate) fn sign(args: &SignArgs) -> Result<(), Failure> {
    let What::Group(asked) = &args.what;
    let stated = Stated::gather(&asked.flags)?;
    let signer = group_signer(&stated)?.ok_or_else(|| {
        let text = "there is no key to sign with: set auth_group_key in the settings file (--config), \
                    or LANDLINE_AUTH_GROUP_KEY, as the server has it";
        Failure::new(Exit::Config, text)
    })?;
    let until = SystemTime::now().checked_add(asked.time).ok_or_else(|| {
        Failure::new(Exit::Usage, "--for is longer than the clock can tell; give fewer seconds")
    })?;
    let signed = signer.sign(&asked.name, until, asked.user.as_deref());
    writeln!(io::stdout(), "{signed}")
        .map_err(|error| Failure::io(Exit::Io, "cannot write the signed name", &error))
}

fn group_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > NAME_BYTES {
        return Err(format!("a group's name has 1 to {NAME_BYTES} bytes"));
    }
    user_name(text)
}

fn user_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("a name is not empty and has no control characters".into());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_group_can_have_is_not_signed() {
        assert!(group_name("chat:private-board").is_ok() && group_name(&"é".repeat(127)).is_ok());
        for wrong in ["", "a\nb", &"x".repeat(256)] {
            assert!(group_name(wrong).is_err(), "{wrong}");
        }
        assert!(user_name("").is_err(), "nobody is not everybody");
    }
}
