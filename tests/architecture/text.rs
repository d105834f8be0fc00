//! No text of the package names a folder of the machine it was written on.

use std::fs;
use std::path::Path;

use crate::source::{Finding, assert_none, root};

/// Written in two pieces so that this file passes its own check.
const PRIVATE: [&str; 2] = [concat!("/ro", "ot/"), concat!("/wo", "rk/")];

/// Folders beside those of `.gitignore` that are not the package's text.
const SKIPPED: [&str; 1] = ["/.git"];

fn check(path: &str, text: &str) -> Vec<Finding> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| PRIVATE.iter().any(|private| line.contains(private)))
        .map(|(at, line)| Finding {
            path: path.to_string(),
            line: at + 1,
            text: format!("names a private folder: {}", line.trim()),
        })
        .collect()
}

fn check_directory(directory: &Path, name: &str, ignored: &[String], findings: &mut Vec<Finding>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{name}/{}", entry.file_name().to_string_lossy());
        if ignored.contains(&path) {
            continue;
        }
        let file_type = entry.file_type().unwrap();
        if file_type.is_dir() {
            check_directory(&entry.path(), &path, ignored, findings);
        } else if file_type.is_file() {
            let bytes = fs::read(entry.path()).unwrap();
            findings.extend(check(&path[1..], &String::from_utf8_lossy(&bytes)));
        }
    }
}

/// The entries of `.gitignore`, all of which start at the root.
fn ignored(gitignore: &str) -> Vec<String> {
    let entries = gitignore.lines().filter(|line| line.starts_with('/'));
    SKIPPED.into_iter().chain(entries).map(str::to_string).collect()
}

#[test]
fn no_private_folder_is_named() {
    let gitignore = fs::read_to_string(root().join(".gitignore")).unwrap();
    let mut findings = Vec::new();
    check_directory(&root(), "", &ignored(&gitignore), &mut findings);
    assert_none(findings);
}

#[test]
fn a_private_folder_is_found() {
    for private in PRIVATE {
        let text = format!("fine\nsee {private}notes\n");
        assert_eq!(check("README.md", &text)[0].line, 2);
    }
    assert_none(check("README.md", "the root / and the work of threads, /etc/x\n"));
}
