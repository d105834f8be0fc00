//! Which servers there are.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::{actix_ws, axum, fastwebsockets, floor, landline, tungstenite};

/// A server that can be started and compared.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Name {
    /// Blocking thread per connection, bare read and write of frames, no library, no checks
    Floor,
    /// This library, by its public API
    Landline,
    Fastwebsockets,
    ActixWs,
    Axum,
    /// A thread per connection
    Tungstenite,
}

impl Name {
    /// Serves until the process ends; the address is the first line of stdout.
    pub(crate) fn serve(self, relays: Option<usize>) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Floor => Ok(floor::serve()?),
            Self::Landline => Ok(landline::serve(relays)?),
            Self::Fastwebsockets => Ok(fastwebsockets::serve()?),
            Self::ActixWs => Ok(actix_ws::serve()?),
            Self::Axum => Ok(axum::serve()?),
            Self::Tungstenite => Ok(tungstenite::serve()?),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Proof: no variant is skipped.
        f.pad(self.to_possible_value().expect("a name").get_name())
    }
}

/// Tells whoever started the server where it listens.
pub(super) fn announce(address: SocketAddr) {
    println!("{address}");
}
