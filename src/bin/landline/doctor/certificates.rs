//! Whether the certificates are good for today and for a while.

use std::time::{Duration, SystemTime};

use crate::doctor::finding::Finding;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Whoever renews certificates automatically does it earlier than this.
const SOON: Duration = Duration::from_secs(21 * 24 * 60 * 60);

/// Judges a certificate that is good from one moment until another.
pub(crate) fn judge(
    file: &str,
    names: &[String],
    (from, until): (SystemTime, SystemTime),
    now: SystemTime,
) -> Finding {
    let about = "certificate";
    let renew = "renew it, then \"systemctl reload landline\" or SIGHUP: no connection is lost";
    if let Ok(early) = from.duration_since(now)
        && !early.is_zero()
    {
        let text = format!("{file} is not good before {} from now", days(early));
        return Finding::problem(about, text, "is this host's clock right?");
    }
    let names = names.join(", ");
    match until.duration_since(now) {
        Ok(left) if left > SOON => {
            Finding::ok(about, format!("{file} is good for another {} ({names})", days(left)))
        }
        Ok(left) => {
            let text = format!("{file} is good for {} only ({names})", days(left));
            Finding::warning(about, text, renew)
        }
        Err(past) => {
            let text = format!("{file} has expired {} ago ({names})", days(past.duration()));
            Finding::problem(about, text, renew)
        }
    }
}

fn days(time: Duration) -> String {
    match time.as_secs() / DAY.as_secs() {
        1 => "1 day".into(),
        days => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_good_for_a_while_or_has_to_be_renewed() {
        let now = SystemTime::UNIX_EPOCH + 10_000 * DAY;
        let names = ["a.example".to_owned()];
        let lines = |from, until| judge("x.pem", &names, (from, until), now).lines();
        let good = lines(now - DAY, now + 60 * DAY);
        assert!(good.starts_with("ok ") && good.contains("another 60 days (a.example)"), "{good}");
        assert!(lines(now - DAY, now + 5 * DAY).starts_with("warning "));
        let past = lines(now - 9 * DAY, now - DAY);
        assert!(past.starts_with("problem ") && past.contains("expired 1 day ago"), "{past}");
        assert!(lines(now + DAY, now + 90 * DAY).starts_with("problem "));
    }
}
