//! Who may come in: component, version and system name of a request (contract 1.3, 1.6, 1.7). Pure.
//!
//! Every handler asks [`Admission::admit`] first. Access by method is another question, see `access`.

use tonic::metadata::MetadataMap;

use super::access::Peer;
use crate::fault::{Fault, code};
use crate::wire::{
    COMPONENT_HEADER, CallError, Component, VERSION_HEADER, Version, WIRE_VERSION, split_system,
};

/// What a caller says of itself in the headers; absent ones are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// Text of the component header.
    pub component: Option<String>,
    /// Text of the version header.
    pub version: Option<String>,
}

impl Headers {
    /// Reads them from a request; one that is not text counts as empty text.
    #[must_use]
    pub fn of(metadata: &MetadataMap) -> Self {
        let text = |name| {
            metadata.get(name).map(|value| value.to_str().unwrap_or_default().trim().to_owned())
        };
        Self { component: text(COMPONENT_HEADER), version: text(VERSION_HEADER) }
    }
}

/// The name of this system and its rules.
#[derive(Debug, Clone)]
pub struct Admission {
    system: String,
}

impl Admission {
    /// For the system of this name (`name` in the configuration).
    #[must_use]
    pub fn new(system: impl Into<String>) -> Self {
        Self { system: system.into() }
    }

    /// Judges a request. `peer` is what a certificate says, `sys` the request's system field if it has one.
    ///
    /// # Errors
    /// Fault 616 for versions or components that do not fit, 617 for a caller that says nothing of itself and
    /// names another version, 603 for another system, [`CallError::PermissionDenied`] when header and
    /// certificate disagree.
    pub fn admit(
        &self,
        headers: &Headers,
        peer: Option<Peer>,
        sys: Option<&str>,
    ) -> Result<Component, CallError> {
        let component = check_version(headers, peer, sys)?;
        if let Some(sys) = sys {
            self.check_system(sys)?;
        }
        Ok(component)
    }

    fn check_system(&self, sys: &str) -> Result<(), CallError> {
        let (name, _) = split_system(sys);
        if name == self.system {
            return Ok(());
        }
        let shown: String = name.escape_debug().take(64).collect();
        Err(Fault::new(
            "server",
            code::SERVER_WRONG_SYSTEM,
            format!("the request is for system {shown:?}, this is {:?}", self.system),
            "set the same system name in the configuration of the caller and of the server",
        )
        .into())
    }
}

fn check_version(
    headers: &Headers,
    peer: Option<Peer>,
    sys: Option<&str>,
) -> Result<Component, CallError> {
    let certified = peer.and_then(|Peer(component)| component);
    let Some(version) = &headers.version else {
        return silent_caller(certified, headers, peer.is_some(), sys);
    };
    let component = match &headers.component {
        Some(text) => text.parse().map_err(|()| incompatible(text, version))?,
        None => certified.unwrap_or(Component::Server),
    };
    if let Some(Peer(Some(cert))) = peer
        && cert != component
    {
        let text = format!("component mismatch (req: \"{component}\" != cert: \"{cert}\")");
        return Err(CallError::PermissionDenied(text));
    }
    let parsed = version.parse().map_err(|()| incompatible(component.as_str(), version))?;
    check_pair(component, parsed)
}

/// A caller without a version header: its version is the one behind the system name, or 0.0.0.
fn silent_caller(
    certified: Option<Component>,
    headers: &Headers,
    secure: bool,
    sys: Option<&str>,
) -> Result<Component, CallError> {
    let named = headers.component.as_ref().and_then(|text| text.parse().ok());
    let component = certified.or(named).unwrap_or(Component::Server);
    let Some(sys) = sys else {
        return Ok(component);
    };
    let version = split_system(sys).1.unwrap_or_default();
    if secure {
        return check_pair(component, version);
    }
    if version == WIRE_VERSION {
        return Ok(component);
    }
    Err(Fault::new(
        "server",
        code::SERVER_NO_COMPATIBILITY_INSECURE,
        format!(
            "the caller says no version and names {version}; without certificates it must be {WIRE_VERSION}"
        ),
        "use a client that sends its version, or one of the server's own version",
    )
    .into())
}

fn check_pair(component: Component, version: Version) -> Result<Component, CallError> {
    if compatible(component, version) {
        return Ok(component);
    }
    Err(incompatible(component.as_str(), &version.to_string()))
}

/// The rules of contract 1.7 for a server of [`WIRE_VERSION`].
fn compatible(other: Component, version: Version) -> bool {
    let own = WIRE_VERSION;
    if version == own {
        return true;
    }
    let near = version.major == own.major && version.minor.abs_diff(own.minor) <= 2;
    if other == Component::Agent && near {
        return true;
    }
    version.major == own.major && version.minor == own.minor
}

fn incompatible(component: &str, version: &str) -> CallError {
    let shown: String = format!("{component} {version}").escape_debug().take(64).collect();
    Fault::new(
        "server",
        code::SERVER_INCOMPATIBLE_COMPONENTS,
        format!("component {shown} does not work with server {WIRE_VERSION}"),
        "install versions that fit each other on both sides",
    )
    .into()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{Admission, Headers};
    use crate::rpc::access::Peer;
    use crate::wire::{CallError, Component};

    fn headers(component: Option<&str>, version: Option<&str>) -> Headers {
        Headers { component: component.map(str::to_owned), version: version.map(str::to_owned) }
    }

    fn admit(headers: &Headers, sys: Option<&str>) -> Result<Component, i32> {
        Admission::new("daos_server")
            .admit(headers, None, sys)
            .map_err(|error| error.fault_code().unwrap_or(-1))
    }

    #[rstest]
    #[case("admin", "2.8.0", Ok(Component::Admin))]
    #[case("admin", "2.8.7", Ok(Component::Admin))]
    #[case("admin", "v2.8.0", Ok(Component::Admin))]
    #[case("server", "2.8.1", Ok(Component::Server))]
    #[case("agent", "2.6.0", Ok(Component::Agent))]
    #[case("agent", "2.10.3", Ok(Component::Agent))]
    #[case("agent", "2.5.0", Err(616))]
    #[case("agent", "2.11.0", Err(616))]
    #[case("agent", "3.8.0", Err(616))]
    #[case("admin", "2.6.0", Err(616))]
    #[case("admin", "1.8.0", Err(616))]
    #[case("server", "2.9.0", Err(616))]
    #[case("root", "2.8.0", Err(616))]
    #[case("", "2.8.0", Err(616))]
    #[case("admin", "", Err(616))]
    #[case("admin", "2.8", Err(616))]
    #[case("admin", "2.8.0.0", Err(616))]
    #[case("admin", "x", Err(616))]
    fn versions_in_headers(
        #[case] component: &str,
        #[case] version: &str,
        #[case] expected: Result<Component, i32>,
    ) {
        let headers = headers(Some(component), Some(version));
        assert_eq!(admit(&headers, None), expected);
        assert_eq!(admit(&headers, Some("daos_server")), expected);
    }

    #[rstest]
    #[case(None, Ok(Component::Server))]
    #[case(Some("daos_server-2.8.0"), Ok(Component::Server))]
    #[case(Some("daos_server-2.8.1"), Err(617))]
    #[case(Some("daos_server"), Err(617))]
    #[case(Some(""), Err(617))]
    fn callers_without_headers(
        #[case] sys: Option<&str>,
        #[case] expected: Result<Component, i32>,
    ) {
        assert_eq!(admit(&Headers::default(), sys), expected);
    }

    #[rstest]
    #[case("daos_server", Ok(Component::Admin))]
    #[case("daos_server-2.8.0", Ok(Component::Admin))]
    #[case("daos_server-9.9.9", Ok(Component::Admin))]
    #[case("other", Err(603))]
    #[case("daos_server-x", Err(603))]
    #[case("DAOS_SERVER", Err(603))]
    #[case("", Err(603))]
    fn system_names(#[case] sys: &str, #[case] expected: Result<Component, i32>) {
        assert_eq!(admit(&headers(Some("admin"), Some("2.8.0")), Some(sys)), expected);
    }

    #[test]
    fn a_huge_name_does_not_fill_the_answer() {
        let sys = "\u{1b}x".repeat(1 << 20);
        let error = Admission::new("n")
            .admit(&headers(Some("admin"), Some("2.8.0")), None, Some(&sys))
            .expect_err("another system");
        assert!(error.to_string().len() < 300);
        assert!(!error.to_string().contains('\u{1b}'));
    }

    #[test]
    fn a_certificate_outranks_the_header() {
        let admission = Admission::new("n");
        let admin = Some(Peer(Some(Component::Admin)));
        let said = headers(Some("server"), Some("2.8.0"));
        assert!(matches!(
            admission.admit(&said, admin, None),
            Err(CallError::PermissionDenied(text)) if text.contains("component mismatch (req: \"server\" != cert: \"admin\")")
        ));
        assert_eq!(
            admission.admit(&headers(None, Some("2.8.0")), admin, None),
            Ok(Component::Admin)
        );
        assert_eq!(
            admission.admit(&Headers::default(), admin, Some("n-2.8.3")),
            Ok(Component::Admin)
        );
        let old = admission.admit(&Headers::default(), admin, Some("n"));
        assert_eq!(old.expect_err("0.0.0 does not fit").fault_code(), Some(616));
    }
}
