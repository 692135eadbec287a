//! `Fault`: the one form in which an error reaches an administrator, with a stable number and a remedy.
//!
//! Owns the text form and the conversion from every leaf error. Called by the gRPC edge, the client and the
//! programs. Must not know protobuf (see `wire`) nor how any operation works.

mod convert;
mod der;
pub mod table;

pub use der::Der;
pub use table::code;

use std::borrow::Cow;
use std::fmt;

/// An error an administrator can act on (R48, contract 10.2).
///
/// `code` is the number clients test; the five fields are exactly those that travel in the gRPC error details
/// of DAOS 2.8 (contract 1.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Area that raised it, e.g. `scm`, `storage`, `serverconfig`. Blanks are replaced when printed.
    pub domain: Cow<'static, str>,
    /// Stable number from `docs/faults.md`; 0 means unspecified.
    pub code: i32,
    /// What happened, and to which device, rank or file.
    pub description: String,
    /// The cause beneath, in its own words; may be empty.
    pub reason: String,
    /// What to do about it; may be empty, printed then as no known resolution.
    pub resolution: String,
}

impl Fault {
    /// A fault without a deeper cause.
    pub fn new(
        domain: impl Into<Cow<'static, str>>,
        code: i32,
        description: impl Into<String>,
        resolution: impl Into<String>,
    ) -> Self {
        Self {
            domain: domain.into(),
            code,
            description: description.into(),
            reason: String::new(),
            resolution: resolution.into(),
        }
    }

    /// Adds the text of the cause.
    #[must_use]
    pub fn with_reason(mut self, reason: impl fmt::Display) -> Self {
        self.reason = reason.to_string();
        self
    }

    /// Adds the causes of `error`, each in its own words, as the reason. The text of `error` itself belongs into
    /// the description.
    #[must_use]
    pub fn with_causes_of(mut self, error: &dyn std::error::Error) -> Self {
        let causes = std::iter::successors(error.source(), |cause| cause.source());
        self.reason = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        self
    }

    /// Whether there is a remedy to print.
    #[must_use]
    pub fn has_resolution(&self) -> bool {
        !self.resolution.is_empty()
    }

    /// The second line of an error report: `<domain>: code = <n> resolution = "<text>"` (R48).
    #[must_use]
    pub fn resolution_line(&self) -> String {
        let text = if self.has_resolution() { &self.resolution } else { "no known resolution" };
        format!("{}: code = {} resolution = \"{text}\"", self.printed_domain(), self.code)
    }

    /// The first line of an error report, with the causes as part of the description.
    #[must_use]
    pub fn in_full(&self) -> String {
        if self.reason.is_empty() {
            return self.to_string();
        }
        let description = format!("{}: {}", self.description, self.reason);
        Self { description, ..self.clone() }.to_string()
    }

    fn printed_domain(&self) -> String {
        if self.domain.is_empty() {
            return "unknown".to_owned();
        }
        self.domain.replace([' ', ':'], "_")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let description =
            if self.description.is_empty() { "unknown fault" } else { &self.description };
        write!(f, "{}: code = {} description = \"{description}\"", self.printed_domain(), self.code)
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::Fault;

    #[test]
    fn prints_domain_code_and_description_in_the_stock_form() {
        let fault = Fault::new("server config", 707, "no provider", "set provider");
        assert_eq!(fault.to_string(), "server_config: code = 707 description = \"no provider\"");
        assert_eq!(
            fault.resolution_line(),
            "server_config: code = 707 resolution = \"set provider\""
        );
    }

    #[test]
    fn causes_are_part_of_the_description() {
        let fault = Fault::new("system", 1385, "cannot write backup /x", "choose another file");
        let text = fault.with_reason("No such file or directory").in_full();
        let description = "cannot write backup /x: No such file or directory";
        assert_eq!(text, format!("system: code = 1385 description = \"{description}\""));
    }

    #[test]
    fn names_the_unknown_when_fields_are_empty() {
        let fault = Fault::new("", 0, "", "");
        assert_eq!(fault.to_string(), "unknown: code = 0 description = \"unknown fault\"");
        assert_eq!(
            fault.resolution_line(),
            "unknown: code = 0 resolution = \"no known resolution\""
        );
    }
}
