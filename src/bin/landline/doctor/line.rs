//! The line to the server as a client has it, through whatever stands in between: does the upgrade
//! pass, do answers come as they are written, is a silent connection left alone, and whom does the
//! server take the client for?

use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bench::url::Url;
use crate::doctor::finding::Finding;
use crate::doctor::talk::{Said, Talk};
use crate::doctor::wire::{Came, Wire};
use crate::trust::Trust;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// An address that is nobody's (RFC 5737): who believes it believes anybody.
const FORGED: &str = "192.0.2.123";

/// The server's pause between the parts of its answer, less what a slow line may take of it.
const APART: Duration = Duration::from_millis(500);

/// Where the server is, and how to get there.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) url: &'a Url,
    pub(crate) trust: &'a Trust,
    /// How long a silent connection is watched.
    pub(crate) idle: Duration,
}

impl Line<'_> {
    /// Everything that can be found out; one thing after the other.
    ///
    /// # Blocking
    /// For the time of `idle` and a few answers.
    pub(crate) fn examine(&self, mut tell: impl FnMut(Finding)) {
        match self.upgrade(&mut tell) {
            Ok(talk) => {
                tell(self.buffering());
                tell(self.silence(talk));
            }
            Err(finding) => tell(finding),
        }
    }

    /// Opens a WebSocket and has a message sent back.
    fn upgrade(&self, tell: &mut impl FnMut(Finding)) -> Result<Talk, Finding> {
        let about = "upgrade";
        let url = &self.url.text;
        let start = Instant::now();
        let wire = Wire::open(self.url, self.trust).map_err(|why| {
            let advice = "does the name lead to the proxy, does it run, and is the port open?";
            Finding::problem(about, format!("cannot reach {url}: {why}"), advice)
        })?;
        let local = wire.local();
        let forged = format!("X-Forwarded-For: {FORGED}\r\nForwarded: for={FORGED}\r\n");
        let failed = |why: String| Finding::problem(about, self.explained(why), UPGRADE_ADVICE);
        let deadline = Instant::now() + PATIENCE;
        let mut talk = Talk::open(wire, self.url, &forged, deadline).map_err(failed)?;
        let word = "landline doctor";
        talk.say(word).map_err(failed)?;
        // Ours greets first; from others comes what they make of the word, if anything.
        let greeting = talk.next(deadline).map_err(failed)?;
        if !matches!(&greeting, Said::Text(text) if text != word) {
            let text = format!("{url} is a WebSocket, but not the one that the doctor knows");
            return Err(Finding::problem(about, text, "give the address of the server's /doctor/"));
        }
        let echo = talk.next(deadline).map_err(failed)?;
        if echo != Said::Text(word.into()) {
            let text = format!("{url} is a WebSocket, but not the one that the doctor knows");
            return Err(Finding::problem(about, text, "give the address of the server's /doctor/"));
        }
        let millis = start.elapsed().as_millis();
        tell(Finding::ok(about, format!("{url} opens and answers in {millis} ms")));
        tell(forwarded(&greeting, local));
        Ok(talk)
    }

    /// Why an upgrade fails, with what plain HTTP tells of it.
    fn explained(&self, why: String) -> String {
        let (refusal, _) = why.split_once(';').unwrap_or((&why, ""));
        let is_plain = ["\"200", "\"400", "\"426"].iter().any(|status| refusal.contains(status));
        match is_plain && self.gap().is_ok() {
            true => format!("{refusal}; {STRIPPED}"),
            false => why,
        }
    }

    /// Asks for an answer in two parts and sees whether they come apart.
    fn buffering(&self) -> Finding {
        let about = "buffering";
        match self.gap() {
            Ok(gap) if gap >= APART => Finding::ok(about, "answers arrive as they are written"),
            Ok(_) => {
                let text = "the proxy keeps answers back until they are whole";
                Finding::warning(about, text, BUFFERING_ADVICE)
            }
            Err(why) => Finding::warning(about, why, "does plain HTTP get through to /doctor/?"),
        }
    }

    /// The time between the first part of an answer and its end.
    fn gap(&self) -> Result<Duration, String> {
        let mut wire = Wire::open(self.url, self.trust)?;
        let (path, host) = (&self.url.path, &self.url.authority);
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        wire.send(request.as_bytes()).map_err(|error| error.to_string())?;
        let (mut received, deadline) = (Vec::new(), Instant::now() + PATIENCE);
        let mut first = None;
        loop {
            match wire.receive(&mut received, deadline) {
                Ok(Came::Bytes) => {}
                Ok(Came::Nothing) => return Err("no whole answer came in time".into()),
                Ok(Came::End) => break,
                Err(error) => return Err(format!("the line broke: {error}")),
            }
            // The first part of the body ends with a line of its own.
            if first.is_none() && holds(&received, b"\"landline\"") {
                first = Some(Instant::now());
            }
        }
        let status = status(&received).ok_or("what came is no HTTP")?;
        match first {
            Some(first) if holds(&received, b"end\n") => Ok(first.elapsed()),
            _ => Err(format!("the answer was {status}, and not the one that was expected")),
        }
    }

    /// Says nothing for a while and sees whether the line stays.
    fn silence(&self, mut talk: Talk) -> Finding {
        let about = "silence";
        let start = Instant::now();
        let deadline = start + self.idle;
        let mut pings = 0_u32;
        loop {
            match talk.next(deadline) {
                Ok(Said::Ping) => pings += 1,
                Ok(Said::Text(_)) => {}
                Ok(Said::Nothing) => {
                    talk.leave();
                    let idle = seconds(self.idle);
                    let text = format!("a silent connection stays; {pings} pings in {idle}");
                    return Finding::ok(about, text);
                }
                Ok(Said::Closed(why)) => {
                    let text = format!("closed after {}: {why}", seconds(start.elapsed()));
                    return Finding::warning(about, text, "does the server stop?");
                }
                Ok(Said::Cut) | Err(_) => return cut(talk.silence(), pings),
            }
        }
    }
}

/// The line was cut when nothing had come for this long.
fn cut(silence: Duration, pings: u32) -> Finding {
    let silence = seconds(silence);
    let text = match pings {
        0 => format!("the connection was cut after {silence} without a word or ping of the server"),
        _ => format!("the connection was cut {silence} after the last of {pings} pings"),
    };
    let advice = format!(
        "something on the way cuts a connection that is silent for {silence}, and the server's pings \
         are\nfurther apart: raise proxy_read_timeout (nginx) or timeout tunnel (HAProxy) beyond \
         ws_ping_interval,\nor set ws_ping_interval to half of that or less"
    );
    Finding::problem("silence", text, advice)
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// Judges whom the server takes this client for, which has the address `local`.
fn forwarded(greeting: &Said, local: Option<IpAddr>) -> Finding {
    let about = "forwarded address";
    let address = match greeting {
        Said::Text(text) => serde_json::from_str::<Value>(text).ok(),
        _ => None,
    };
    let address = address.and_then(|value| value["address"].as_str()?.parse::<IpAddr>().ok());
    let Some(address) = address else {
        return Finding::warning(about, "the server does not tell it", "is it an older one?");
    };
    if Some(address) == FORGED.parse().ok() {
        let text = format!("the server believes a client that says it is {FORGED}");
        return Finding::problem(about, text, FORGED_ADVICE);
    }
    if Some(address) == local {
        return Finding::ok(about, format!("the server sees this host as {address}"));
    }
    if address.is_loopback() {
        let text = format!("the server takes all clients for its proxy, {address}");
        return Finding::problem(about, text, FORWARDED_ADVICE);
    }
    let own = local.map_or("unknown".into(), |local| local.to_string());
    let text = format!("the server sees this host as {address}; its own address is {own}");
    Finding::warning(
        about,
        text,
        "right if that is your router's address; else, ".to_owned() + FORWARDED_ADVICE,
    )
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The status of an answer.
fn status(bytes: &[u8]) -> Option<u16> {
    let line = bytes.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok().filter(|line| line.starts_with("HTTP/1."))?;
    line.split(' ').nth(1)?.parse().ok()
}

const STRIPPED: &str = "plain HTTP gets through, so the proxy passes the request on without the \
    headers of an upgrade";
const UPGRADE_ADVICE: &str = "the proxy has to pass WebSockets on: nginx needs proxy_http_version \
    1.1 and the headers\nUpgrade and Connection; see docs/DEPLOY.md for each proxy";
const BUFFERING_ADVICE: &str = "nginx: proxy_buffering off; WebSockets are not affected";
const FORGED_ADVICE: &str = "have the proxy overwrite X-Forwarded-For, and name its address alone \
    in forwarded_allow_ips (with proxy_headers = true)";
const FORWARDED_ADVICE: &str = "have the proxy send X-Forwarded-For, and name its address in \
    forwarded_allow_ips (with proxy_headers = true)";

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(address: &str) -> Said {
        Said::Text(format!("{{\"landline\":\"0\",\"address\":\"{address}\"}}"))
    }

    #[test]
    fn whom_the_server_sees_is_judged() {
        let local = Some("10.0.0.7".parse().unwrap());
        for (seen, grade) in [
            ("10.0.0.7", "ok "),
            ("127.0.0.1", "problem "),
            ("::1", "problem "),
            (FORGED, "problem "),
            ("198.51.100.4", "warning "),
            ("nonsense", "warning "),
        ] {
            let lines = forwarded(&greeting(seen), local).lines();
            assert!(lines.starts_with(grade), "{seen}: {lines}");
        }
        assert!(forwarded(&Said::Nothing, local).lines().starts_with("warning "));
        let home = Some("127.0.0.1".parse().unwrap());
        assert!(forwarded(&greeting("127.0.0.1"), home).lines().starts_with("ok "));
    }
}
