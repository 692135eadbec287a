//! All findings of one host, in lines for people and as data for programs. Pure.

use std::fmt::Write as _;

use serde::Serialize;

use super::finding::{Finding, Severity};

/// What preflight says of one host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The configuration that was asked for; empty when the host was looked at alone.
    pub config: String,
    /// `engine` or `emulated`; empty without a configuration.
    pub data_plane: String,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Report {
    /// How many findings are of that severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// Whether something configured cannot work.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// Lines for people: the worst first, then what is fine, then the numbers. With `verbose` also what was read for rules
    /// that hold.
    #[must_use]
    pub fn text(&self, verbose: bool) -> String {
        let mut out = self.head();
        for severity in Severity::ALL.into_iter().rev() {
            for finding in self.findings.iter().filter(|each| each.severity == severity) {
                out.push_str(&lines(finding, verbose));
            }
        }
        out.push_str(&self.tail());
        out
    }

    /// The same for programs, with the number of findings of each severity.
    #[must_use]
    pub fn data(&self) -> serde_json::Value {
        let counts = Severity::ALL.map(|each| (each.name().to_owned(), self.count(each).into()));
        let mut data = serde_json::to_value(self).unwrap_or_default();
        if let Some(fields) = data.as_object_mut() {
            fields.insert(
                "counts".to_owned(),
                serde_json::Value::Object(counts.into_iter().collect()),
            );
        }
        data
    }

    fn head(&self) -> String {
        if self.config.is_empty() {
            return "Without a configuration: the host alone was looked at, and what engines will need of it is not \
                    known\n"
                .to_owned();
        }
        let head = match self.data_plane.as_str() {
            "" => format!(
                "{} is not accepted: beside its faults the host alone was looked at, and what engines will need of it \
                 is not known",
                self.config
            ),
            plane => format!("Checked against {} (data plane {plane})", self.config),
        };
        clean(&head) + "\n"
    }

    fn tail(&self) -> String {
        let counted = |severity, one: &str, many: &str| match self.count(severity) {
            1 => format!("1 {one}"),
            number => format!("{number} {many}"),
        };
        format!(
            "{}, {}, {}, {} ok\n",
            counted(Severity::Error, "error", "errors"),
            counted(Severity::Warning, "warning", "warnings"),
            counted(Severity::Notice, "notice", "notices"),
            self.count(Severity::Ok)
        )
    }
}

/// Columns of the word before a finding.
const WORD: usize = 8;

fn lines(finding: &Finding, verbose: bool) -> String {
    let Finding { rule, severity, code, subject, text, .. } = finding;
    let word = match severity {
        Severity::Error => "ERROR",
        Severity::Warning => "WARNING",
        other => other.name(),
    };
    let about = if subject.is_empty() { String::new() } else { format!(", {subject}") };
    let number = format!("(fault {code})");
    let fault = match *code == 0 || text.ends_with(&number) {
        true => String::new(),
        false => format!(" {number}"),
    };
    let mut out = clean(&format!("{word:WORD$} {rule}{about}: {text}{fault}")) + "\n";
    let mut detail = |name: &str, text: &str| {
        if !text.is_empty() {
            // Writing to a String does not fail.
            let _infallible = writeln!(out, "{:WORD$} {name:4} {}", "", clean(text));
        }
    };
    if *severity > Severity::Ok || verbose {
        for evidence in &finding.evidence {
            detail("seen", &format!("{}: {}", evidence.source, evidence.seen));
        }
    }
    if *severity > Severity::Ok {
        let line = finding.line.map_or(String::new(), |line| format!(", line {line}"));
        if !finding.key.is_empty() {
            detail("key", &format!("{}{line}", finding.key));
        }
        detail("fix", &finding.fix);
    }
    out
}

/// Texts come from files and other hosts: what would break a line, or command the terminal, becomes a blank.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::Report;
    use crate::preflight::{Evidence, Finding, Severity};

    fn finding(severity: Severity, rule: &str) -> Finding {
        let problem = severity > Severity::Ok;
        Finding {
            rule: rule.to_owned(),
            severity,
            code: if problem { 602 } else { 0 },
            subject: "node 0".to_owned(),
            text: format!("{} of it", severity.name()),
            key: if problem { "disable_vfio".to_owned() } else { String::new() },
            line: problem.then_some(4),
            evidence: vec![Evidence {
                source: "/sys/x".to_owned(),
                seen: "a\u{1b}[2J\nb".to_owned(),
            }],
            fix: if problem { "do this".to_owned() } else { String::new() },
        }
    }

    fn report() -> Report {
        Report {
            config: "/etc/daos/daos_server.yml".to_owned(),
            data_plane: "engine".to_owned(),
            findings: vec![finding(Severity::Ok, "thp"), finding(Severity::Error, "iommu")],
        }
    }

    #[test]
    fn the_worst_comes_first_with_evidence_key_and_fix_and_control_characters_are_blanks() {
        assert_eq!(
            report().text(false),
            "Checked against /etc/daos/daos_server.yml (data plane engine)\n\
             ERROR    iommu, node 0: error of it (fault 602)\n\
             \x20        seen /sys/x: a [2J b\n\
             \x20        key  disable_vfio, line 4\n\
             \x20        fix  do this\n\
             ok       thp, node 0: ok of it\n\
             1 error, 0 warnings, 0 notices, 1 ok\n"
        );
        assert!(report().text(true).ends_with(
            "ok of it\n         seen /sys/x: a [2J b\n1 error, 0 warnings, 0 notices, 1 ok\n"
        ));
        assert!(report().has_errors());
    }

    #[test]
    fn a_number_that_the_text_ends_with_is_not_said_again() {
        let text = "a real engine would refuse this (fault 602)".to_owned();
        let finding = Finding { text, ..finding(Severity::Notice, "iommu") };
        let text = Report { findings: vec![finding], ..report() }.text(false);
        assert_eq!(text.matches("(fault 602)").count(), 1, "{text}");
    }

    #[test]
    fn without_a_configuration_it_says_so() {
        let text = Report::default().text(false);
        assert!(text.starts_with("Without a configuration: the host alone"), "{text}");
        assert!(!Report::default().has_errors());
        let refused = Report { data_plane: String::new(), ..report() }.text(false);
        let head = "/etc/daos/daos_server.yml is not accepted: beside its faults the host alone";
        assert!(refused.starts_with(head), "{refused}");
    }

    #[test]
    fn data_has_the_names_of_the_lines() {
        let value = report().data();
        assert_eq!(value["findings"][1]["severity"], "error");
        assert_eq!(value["findings"][1]["fault"], 602);
        assert_eq!(value["findings"][1]["fix"], "do this");
        assert_eq!(value["counts"]["error"], 1);
        assert!(value["findings"][0].get("fault").is_none());
    }
}
