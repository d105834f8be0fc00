//! What `landline check` and a start say of certificates and keys that cannot be used, or should not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::certificates::{Authority, Directory};
use crate::program::{Program, run};

/// Both must refuse these files with a sentence that has these words.
#[track_caller]
fn refused(chain: &Path, key: &Path, words: &[&str]) {
    let files = [
        "--ssl-certfile",
        chain.to_str().expect("text"),
        "--ssl-keyfile",
        key.to_str().expect("text"),
    ];
    for command in [&["check"][..], &["serve", "--port", "0"]] {
        let ended = run(&[command, &files].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{command:?}");
        for word in words {
            assert!(ended.stderr.contains(word), "{command:?}: {word} in {}", ended.stderr);
        }
        assert!(!ended.stderr.contains("-----BEGIN E"), "nothing of a key: {}", ended.stderr);
    }
}

fn good(directory: &Directory) -> (PathBuf, PathBuf) {
    Authority::new("tests").vouch(&["localhost"]).write(directory, "good")
}

#[test]
fn a_certificate_that_is_not_of_today_is_refused() {
    let (directory, authority) = (Directory::new(), Authority::new("tests"));
    for (name, years, words) in [
        ("old", (2001, 2002), ["old.pem expired", "days ago; put a new one in its place"]),
        ("new", (2998, 2999), ["new.pem becomes valid in", "is this host's clock right?"]),
    ] {
        let pair = authority.vouch_between(&["localhost"], years);
        let (chain, key) = pair.write(&directory, name);
        refused(&chain, &key, &words);
    }
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let directory = Directory::new();
    let (chain, _) = good(&directory);
    let (_, key) = Authority::new("tests").vouch(&["localhost"]).write(&directory, "other");
    let words = ["other.key does not belong to", "good.pem; name the key that this was made with"];
    refused(&chain, &key, &words);
}

#[test]
fn a_key_that_is_encrypted_is_refused() {
    let directory = Directory::new();
    let (chain, key) = good(&directory);
    let locked = directory.file("locked.key");
    let output = Command::new("openssl")
        .args(["pkcs8", "-topk8", "-passout", "pass:secret", "-in"])
        .args([&key, Path::new("-out"), &locked])
        .output();
    match output {
        Ok(output) => assert!(output.status.success(), "{output:?}"),
        // On a host without it, what such a file begins and ends with.
        Err(_) => {
            let label = "ENCRYPTED PRIVATE KEY-----";
            let text = format!("-----BEGIN {label}\nAAAA\n-----END {label}\n");
            directory.write("locked.key", &text);
        }
    }
    refused(&chain, &locked, &["locked.key is encrypted", "openssl pkey -in"]);
}

#[test]
fn files_come_in_pairs_and_can_be_read() {
    let directory = Directory::new();
    let (chain, key) = good(&directory);
    refused(&chain, &directory.file("none.key"), &["cannot read", "none.key", "No such file"]);
    refused(&key, &key, &["good.key holds no certificate in PEM"]);
    let ended = run(&["check", "--ssl-certfile", chain.to_str().unwrap()]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("give as many of each"), "{}", ended.stderr);
}

/// Not refused: containers hand secrets over with such modes, and nobody else is in there.
#[test]
fn a_key_that_everybody_can_read_is_complained_of() {
    let directory = Directory::new();
    let (chain, key) = good(&directory);
    let [chain, path] = [&chain, &key].map(|path| path.to_str().unwrap());
    let files = ["--ssl-certfile", chain, "--ssl-keyfile", path];
    let complaint = format!("every user of this machine can read or change the key {path}");
    let check = || {
        let ended = run(&[&["check"], &files[..]].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stdout + &ended.stderr
    };
    assert!(!check().contains(&complaint));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o604)).unwrap();
    let said = check();
    assert!(said.contains(&complaint) && said.contains(&format!("chmod o= {path}")), "{said}");
    let program = Program::serve(&files);
    program.logged(&complaint);
}
