//! What the rooms and the people of the chat may be called.
//!
//! Any language and any emoji, but nothing that nobody can see and nothing that changes how its
//! surroundings are read: a name that looks empty, or turns the rest of a line around, is somebody
//! playing somebody else. Names are no accounts all the same; whoever takes the name of another is
//! shown as the same person.

use std::ops::RangeInclusive;

/// Most characters of a room's name.
const ROOM_CHARACTERS: usize = 100;
/// Most bytes of a room's name: what a group's name can hold beside the word before it.
const ROOM_BYTES: usize = 250;
/// Most characters of a person's name.
pub(crate) const NAME_CHARACTERS: usize = 40;

/// What the page calls a program that publishes to everybody.
const PROGRAM: &str = "server";
/// What somebody without a name is called, before the number of the connection.
pub(crate) const GUEST: &str = "guest-";

/// What is wrong with something a client said, in words that follow "Not sent: " and the like.
pub(crate) type Wrong = String;

pub(crate) fn check_name(name: &str) -> Result<(), Wrong> {
    check(name, NAME_CHARACTERS)?;
    let lower = name.to_lowercase();
    let is_guest = lower
        .strip_prefix(GUEST)
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
    if is_guest || lower == PROGRAM {
        return Err("it is what others are called who gave no name".into());
    }
    Ok(())
}

/// A room's name has to fit into a path as one segment.
pub(crate) fn check_room(room: &str) -> Result<(), Wrong> {
    check(room, ROOM_CHARACTERS)?;
    if room.len() > ROOM_BYTES {
        return Err(format!("it has more than {ROOM_BYTES} bytes in UTF-8"));
    }
    if room.contains(['/', '\\']) {
        return Err("it has a slash".into());
    }
    if room == "." || room == ".." {
        return Err("it is only dots".into());
    }
    Ok(())
}

fn check(text: &str, most: usize) -> Result<(), Wrong> {
    if text.trim().is_empty() {
        return Err("it is empty".into());
    }
    if text.chars().count() > most {
        return Err(format!("it has more than {most} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("it has control characters".into());
    }
    if text.chars().any(|letter| is_among(letter, &UNSEEN)) {
        return Err("it has invisible characters".into());
    }
    if text.chars().all(|letter| letter.is_whitespace() || is_among(letter, &JOINING)) {
        return Err("nothing of it can be seen".into());
    }
    Ok(())
}

/// Characters without a shape, and those that turn the direction of what follows.
///
/// # Source
/// Unicode 16, of `Default_Ignorable_Code_Point` and `Bidi_Control` all but [`JOINING`]; the
/// separators of lines and paragraphs, and the blank of Braille.
const UNSEEN: [RangeInclusive<char>; 20] = [
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{61c}'..='\u{61c}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180e}'..='\u{180e}',
    '\u{200b}'..='\u{200b}',
    '\u{200e}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffb}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e001f}',
    '\u{e0080}'..='\u{e00ff}',
    '\u{e01f0}'..='\u{e0fff}',
];

/// Characters that are nothing by themselves and shape their neighbours: emoji, Persian, Indic and
/// Mongolian writing need them.
const JOINING: [RangeInclusive<char>; 6] = [
    '\u{200c}'..='\u{200d}',
    '\u{180b}'..='\u{180d}',
    '\u{180f}'..='\u{180f}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{e0020}'..='\u{e007f}',
    '\u{e0100}'..='\u{e01ef}',
];

fn is_among(letter: char, ranges: &[RangeInclusive<char>]) -> bool {
    ranges.iter().any(|range| range.contains(&letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_rooms_are_short_and_printable() {
        let longest = "名".repeat(NAME_CHARACTERS);
        for right in ["Anna", "房间", "👩‍🚀", "<script>", "a b", &longest] {
            assert_eq!((check_name(right), check_room(right)), (Ok(()), Ok(())), "{right}");
        }
        for wrong in ["", " ", "a\nb", "a\u{7f}", "\u{85}", &"x".repeat(ROOM_CHARACTERS + 1)] {
            assert!(check_name(wrong).is_err() && check_room(wrong).is_err(), "{wrong:?}");
        }
        assert!(check_name(&(longest + "x")).is_err());
        assert_eq!(check_room(&"x".repeat(ROOM_CHARACTERS)), Ok(()));
        for wrong in [".", "..", "a/b", "a\\b", &"🚀".repeat(63)] {
            assert!(check_room(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_seen_is_no_name() {
        for right in ["🏴\u{200d}☠\u{fe0f}", "نام\u{200c}ه", "🏴\u{e0067}\u{e0062}\u{e007f}", "é"]
        {
            assert_eq!((check_name(right), check_room(right)), (Ok(()), Ok(())), "{right:?}");
        }
        for (wrong, why) in [
            ("\u{200b}", "it has invisible characters"),
            ("Anna\u{200b}", "it has invisible characters"),
            ("\u{feff}Anna", "it has invisible characters"),
            ("An\u{ad}na", "it has invisible characters"),
            ("\u{202e}annA", "it has invisible characters"),
            ("Anna\u{2067}", "it has invisible characters"),
            ("a\u{2028}b", "it has invisible characters"),
            ("\u{3164}", "it has invisible characters"),
            ("\u{2800}", "it has invisible characters"),
            ("\u{e0001}", "it has invisible characters"),
            ("\u{200d}", "nothing of it can be seen"),
            ("\u{fe0f} \u{e0041}", "nothing of it can be seen"),
        ] {
            assert_eq!(check_name(wrong), Err(why.to_owned()), "{wrong:?}");
            assert_eq!(check_room(wrong), Err(why.to_owned()), "{wrong:?}");
        }
    }

    #[test]
    fn what_others_are_called_is_taken() {
        for wrong in ["server", "Server", "guest-1", "GUEST-4711"] {
            assert!(check_name(wrong).is_err(), "{wrong}");
            assert_eq!(check_room(wrong), Ok(()), "{wrong}");
        }
        for right in ["guest", "guest-", "guest-x", "guest-1x", "servers"] {
            assert_eq!(check_name(right), Ok(()), "{right}");
        }
    }

    #[test]
    fn the_page_has_the_same_lists() {
        let script = include_str!("../../../templates/chat.js").replace("\" +\n  \"", "");
        let written = |ranges: &[RangeInclusive<char>]| {
            let code = |letter: char| match u32::from(letter) {
                code @ 0..=0xffff => format!("\\\\u{code:04x}"),
                code => format!("\\\\u{{{code:x}}}"),
            };
            let range = |range: &RangeInclusive<char>| match (*range.start(), *range.end()) {
                (start, end) if start == end => code(start),
                (start, end) => format!("{}-{}", code(start), code(end)),
            };
            ranges.iter().map(range).collect::<String>()
        };
        for list in
            [format!("\"[{}]\"", written(&UNSEEN)), format!("\"^[\\\\s{}]*$\"", written(&JOINING))]
        {
            assert!(script.contains(&list), "{list} is not in:\n{script:.3000}");
        }
    }
}
