//! The first words on standard output: where the server is and how to end it.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use landline::Server;

use crate::notify;
use crate::publish::Publishing;

/// Prints where the server listens.
pub(crate) fn print(server: &Server, publishing: &Publishing, admin: Option<&str>) {
    let text = text(server, publishing, admin).unwrap_or_default();
    let mut out = io::stdout().lock();
    // Nobody has to listen: a server whose output was closed serves all the same.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn text(
    server: &Server,
    publishing: &Publishing,
    admin: Option<&str>,
) -> Result<String, std::fmt::Error> {
    let mut text = format!("\nLandline {}\n\n", env!("CARGO_PKG_VERSION"));
    let mut label = "Listening on";
    for url in server.local_urls() {
        let is_everywhere = ["//0.0.0.0:", "//[::]:"].iter().any(|host| url.contains(host));
        let everywhere = if is_everywhere { "  (all interfaces)" } else { "" };
        writeln!(text, "  {label:<14}{url}{everywhere}")?;
        label = "";
    }
    writeln!(text, "  {:<14}/  /index/  /index2/  /chat/  /echo?message=hello", "Open")?;
    writeln!(text, "  {:<14}/api/publish  /send/?message=hello", "Publish")?;
    writeln!(text, "  {:<14}{}", "", publishing.words())?;
    if let Some(page) = admin {
        writeln!(text, "  {:<14}{page}  and /metrics", "Admin")?;
    }
    writeln!(text, "  {:<14}/healthz  /readyz", "Health")?;
    writeln!(text, "  {:<14}up to {}", "Connections", server.max_connections())?;
    let stop = if notify::is_managed() { "by its service manager" } else { "Ctrl+C" };
    writeln!(text, "  {:<14}{stop}\n", "Stop")?;
    Ok(text)
}
