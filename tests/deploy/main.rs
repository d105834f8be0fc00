//! What `docs/DEPLOY.md` shows, taken out of it and tried with the real programs: nginx, HAProxy and
//! Caddy in front of the real binary, with TLS, and the binary straight.
//!
//! Only what a machine of tests has to have otherwise is put in place of what stands there: ports,
//! paths, and time-outs that a test can wait for.

#[path = "../it/harness.rs"]
#[allow(dead_code)]
mod harness;
#[path = "../it/program.rs"]
#[allow(dead_code)]
mod program;

mod client;
mod document;
mod proxies;
mod site;
