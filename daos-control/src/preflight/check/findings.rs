//! Collects what rules find, each with the severity that the data plane gives it. Decides no rule.

use std::collections::BTreeSet;
use std::fmt::Display;

use super::super::finding::{Evidence, Finding, Severity};
use super::super::keys::Asked;
use super::super::rules::Rule;
use crate::config::DataPlane;

/// A rule that does not hold.
pub(in super::super) struct Problem {
    rule: Rule,
    code: i32,
    subject: String,
    key: String,
    text: String,
    fix: String,
    evidence: Vec<Evidence>,
}

impl Problem {
    /// What is wrong, with its fault, and what makes it right.
    pub(in super::super) fn new(
        rule: Rule,
        code: i32,
        text: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        let (text, fix) = (text.into(), fix.into());
        Self {
            rule,
            code,
            subject: String::new(),
            key: String::new(),
            text,
            fix,
            evidence: Vec::new(),
        }
    }

    /// What it is about, when not the whole host.
    pub(in super::super) fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self
    }

    /// The key that asks for it.
    pub(in super::super) fn at(mut self, key: impl Into<String>) -> Self {
        self.key = key.into();
        self
    }

    /// What was read, and where.
    pub(in super::super) fn seen(mut self, source: &str, seen: impl Display) -> Self {
        self.evidence.push(evidence(source, seen));
        self
    }
}

fn evidence(source: &str, seen: impl Display) -> Evidence {
    Evidence { source: source.to_owned(), seen: seen.to_string() }
}

/// What has been found so far.
pub(in super::super) struct Findings<'a> {
    asked: Option<Asked<'a>>,
    relaxed: BTreeSet<(Rule, i32)>,
    found: Vec<Finding>,
}

impl<'a> Findings<'a> {
    /// Of a host alone, or against a configuration.
    pub(in super::super) fn new(asked: Option<Asked<'a>>) -> Self {
        Self { asked, relaxed: BTreeSet::new(), found: Vec::new() }
    }

    /// The configuration.
    pub(in super::super) fn asked(&self) -> Option<Asked<'a>> {
        self.asked
    }

    /// Everything that was found.
    pub(in super::super) fn into_list(self) -> Vec<Finding> {
        self.found
    }

    /// The rule holds.
    pub(in super::super) fn passed(
        &mut self,
        rule: Rule,
        subject: &str,
        text: impl Into<String>,
        source: &str,
        seen: impl Display,
    ) {
        self.found.push(Finding {
            rule: rule.row().name.to_owned(),
            severity: Severity::Ok,
            code: 0,
            subject: subject.to_owned(),
            text: text.into(),
            key: String::new(),
            line: None,
            evidence: vec![evidence(source, seen)],
            fix: String::new(),
        });
    }

    /// As `passed`, when nothing was found against the rule.
    pub(in super::super) fn passed_so_far(
        &mut self,
        rule: Rule,
        text: impl Into<String>,
        source: &str,
        seen: impl Display,
    ) {
        let name = rule.row().name;
        if !self.found.iter().any(|found| found.rule == name) {
            self.passed(rule, "", text, source, seen);
        }
    }

    /// A rule that everything needs.
    pub(in super::super) fn require(&mut self, problem: Problem) {
        self.add(problem, Severity::Error);
    }

    /// A rule that only protects a real engine: with the emulated data plane it is one notice.
    pub(super) fn protect(&mut self, mut problem: Problem) {
        match self.asked.map(|asked| asked.config.data_plane) {
            Some(DataPlane::Engine) => self.add(problem, Severity::Error),
            None => self.add(problem, Severity::Warning),
            Some(DataPlane::Emulated) => {
                if self.relaxed.insert((problem.rule, problem.code)) {
                    let refused =
                        format!("; a real engine would refuse this (fault {})", problem.code);
                    problem.text.push_str(&refused);
                    self.add(problem, Severity::Notice);
                }
            }
        }
    }

    /// A rule without which a real engine works, and worse.
    pub(super) fn advise(&mut self, problem: Problem) {
        let emulated =
            self.asked.is_some_and(|asked| asked.config.data_plane == DataPlane::Emulated);
        self.add(problem, if emulated { Severity::Notice } else { Severity::Warning });
    }

    /// A rule without which things do not last.
    pub(super) fn warn(&mut self, problem: Problem) {
        self.add(problem, Severity::Warning);
    }

    /// Something to be known.
    pub(super) fn notice(&mut self, problem: Problem) {
        self.add(problem, Severity::Notice);
    }

    fn add(&mut self, problem: Problem, severity: Severity) {
        let Problem { rule, code, subject, key, text, fix, evidence } = problem;
        debug_assert!(
            matches!(rule, Rule::Config | Rule::Storage) || rule.row().codes.contains(&code),
            "{} has no fault {code}",
            rule.row().name
        );
        let outline = self.asked.map(|asked| &asked.keys.outline);
        let position = outline.and_then(|outline| outline.nearest_position(&key));
        let line = position.and_then(|at| u32::try_from(at.line).ok());
        let rule = rule.row().name.to_owned();
        self.found.push(Finding { rule, severity, code, subject, text, key, line, evidence, fix });
    }
}
