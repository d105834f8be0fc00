//! Notes the compiler, which the tables name.

use std::env;
use std::process::Command;

fn main() {
    let rustc = env::var_os("RUSTC").expect("cargo names the compiler");
    let output = Command::new(rustc).arg("--version").output().expect("the compiler runs");
    let version = String::from_utf8_lossy(&output.stdout);
    println!("cargo::rustc-env=PEERS_COMPILER={}", version.trim());
    println!("cargo::rerun-if-changed=build.rs");
}
