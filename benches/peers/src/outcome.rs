//! What a run came to, as it is written and read.

use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::servers::Name;

/// Everything of one run.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// True if server and load had a core each.
    pub(crate) is_pinned: bool,
    pub(crate) outcomes: Vec<Outcome>,
}

impl Report {
    /// True if every server did everything, and nothing was wrong with it.
    pub(crate) fn is_complete(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome.figures.is_ok() || outcome.is_exempt)
    }

    /// Adds a later run, whose rounds come after ours: only servers of one round are compared.
    pub(crate) fn append(&mut self, later: Self) {
        let ours = self.outcomes.iter().map(|outcome| outcome.round + 1).max().unwrap_or(0);
        self.outcomes
            .extend(later.outcomes.into_iter().map(|it| Outcome { round: ours + it.round, ..it }));
    }
}

/// One server under one load, once.
#[derive(Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) cell: String,
    pub(crate) server: Name,
    pub(crate) round: usize,
    /// Or why there are none.
    pub(crate) figures: Result<Figures, String>,
    /// True if it was known beforehand that this server does not do this.
    #[serde(default)]
    pub(crate) is_exempt: bool,
}

/// What `landline bench --json` says, as far as it is used here.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) messages: u64,
    pub(crate) per_second: f64,
    #[serde(default)]
    pub(crate) latency_us: Option<Latency>,
    pub(crate) faults: Faults,
    pub(crate) server: Process,
    pub(crate) client: Client,
}

/// Microseconds.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Faults {
    content: u64,
    order: u64,
    lost: u64,
    closed: u64,
}

impl Faults {
    /// In words, if there are any.
    pub(crate) fn text(&self) -> Option<String> {
        let kinds = [
            (self.content, "with wrong content"),
            (self.order, "out of order"),
            (self.lost, "lost"),
            (self.closed, "connections closed"),
        ];
        let found: Vec<String> = kinds
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, kind)| format!("{count} {kind}"))
            .collect();
        (!found.is_empty()).then(|| found.join(", "))
    }
}

/// The server's process, by what the kernel says of it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Process {
    #[serde(default)]
    pub(crate) cpu_seconds_per_million: Option<f64>,
    pub(crate) threads: u64,
    #[serde(default)]
    pub(crate) rss_kib_per_connection: Option<f64>,
    #[serde(default)]
    pub(crate) kernel_stack_kib_per_connection: Option<f64>,
    #[serde(default)]
    pub(crate) page_tables_kib_per_connection: Option<f64>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Client {
    /// Of a core; at 1 it was the load that set the pace.
    pub(crate) cpu_share: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_of_two_runs_are_not_mixed_up() {
        let run = || {
            let outcomes = (0..2).map(|round| Outcome {
                cell: "http".into(),
                server: Name::Floor,
                round,
                figures: Err("none".into()),
                is_exempt: false,
            });
            Report { outcomes: outcomes.collect(), ..Report::default() }
        };
        let mut all = run();
        all.append(run());
        assert!(all.outcomes.iter().map(|outcome| outcome.round).eq(0..4));
    }
}
