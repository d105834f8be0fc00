//! What the doctor finds: a line for each thing, good or not, with what to do.

use std::fmt::Write as _;

use serde::Serialize;

/// How good a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Grade {
    Ok,
    /// It works, and somebody should look at it.
    Warning,
    /// It does not work, or is about to fail.
    Problem,
}

impl Grade {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    grade: Grade,
    /// What was looked at.
    about: String,
    /// What was found.
    text: String,
    /// What to do, where there is something.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Finding {
    pub(crate) fn ok(about: impl Into<String>, text: impl Into<String>) -> Self {
        Self { grade: Grade::Ok, about: about.into(), text: text.into(), advice: None }
    }

    pub(crate) fn warning(
        about: impl Into<String>,
        text: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let advice = Some(advice.into());
        Self { grade: Grade::Warning, about: about.into(), text: text.into(), advice }
    }

    pub(crate) fn problem(
        about: impl Into<String>,
        text: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let advice = Some(advice.into());
        Self { grade: Grade::Problem, about: about.into(), text: text.into(), advice }
    }

    /// With something that could be done although all is well.
    pub(crate) fn with_advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Lines for people.
    pub(crate) fn lines(&self) -> String {
        let mut lines = format!("{:<8} {:<22} {}\n", self.grade.word(), self.about, self.text);
        for advice in self.advice.iter().flat_map(|advice| advice.lines()) {
            // Writing to a string does not fail.
            let _ = writeln!(lines, "{:<8} {:<22} -> {advice}", "", "");
        }
        lines
    }
}

/// Everything that was found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// The worst of it.
    pub(crate) fn worst(&self) -> Grade {
        self.findings.iter().map(|finding| finding.grade).max().unwrap_or(Grade::Ok)
    }

    fn count(&self, grade: Grade) -> usize {
        self.findings.iter().filter(|finding| finding.grade == grade).count()
    }

    /// The last line for people.
    pub(crate) fn summary(&self) -> String {
        let plural = |count: usize, word: &str| match count {
            1 => format!("1 {word}"),
            count => format!("{count} {word}s"),
        };
        match (self.count(Grade::Problem), self.count(Grade::Warning)) {
            (0, 0) => "all is well".into(),
            (0, warnings) => plural(warnings, "warning"),
            (problems, 0) => plural(problems, "problem"),
            (problems, warnings) => {
                format!("{}, {}", plural(problems, "problem"), plural(warnings, "warning"))
            }
        }
    }

    /// Everything for programs.
    pub(crate) fn json(&self, connections: usize) -> serde_json::Value {
        serde_json::json!({
            "worst": self.worst(),
            "connections": connections,
            "findings": self.findings,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_is_the_grade_of_all() {
        let mut report = Report::default();
        assert_eq!((report.worst(), report.summary().as_str()), (Grade::Ok, "all is well"));
        report.add(Finding::ok("a", "fine"));
        report.add(Finding::warning("b", "so so", "look"));
        report.add(Finding::warning("c", "so so", "look"));
        assert_eq!((report.worst(), report.summary().as_str()), (Grade::Warning, "2 warnings"));
        report.add(Finding::problem("d", "broken", "mend it"));
        assert_eq!(report.worst(), Grade::Problem);
        assert_eq!(report.summary(), "1 problem, 2 warnings");
    }

    #[test]
    fn a_finding_is_read_by_people_and_by_programs() {
        let finding = Finding::problem("port 80", "in use", "stop the other\nor take another");
        assert_eq!(
            finding.lines(),
            "problem  port 80                in use\n\
             \u{20}                               -> stop the other\n\
             \u{20}                               -> or take another\n"
        );
        let mut report = Report::default();
        report.add(Finding::ok("a", "fine"));
        report.add(finding);
        let json = report.json(7);
        assert_eq!(json["worst"], "problem");
        assert_eq!(json["connections"], 7);
        assert_eq!(
            json["findings"][0],
            serde_json::json!({
                "grade": "ok", "about": "a", "text": "fine"
            })
        );
        assert_eq!(json["findings"][1]["advice"], "stop the other\nor take another");
    }
}
