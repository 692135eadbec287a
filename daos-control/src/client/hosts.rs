//! `Client`: whom to ask, in whose name, and for how long.
//!
//! Holds no connection; cheap to clone. The typed requests are methods defined beside their values.

use std::time::Duration;

use super::config::ClientConfig;
use super::connect::{Connection, Connector};
use super::error::ClientError;
use super::fanout::{HostResults, fan_out};
use super::host_list::HostSet;
use super::management::{self, Versioned};
use super::retry::{Policy, Reaction, Retry};
use crate::tls::Security;
use crate::wire::{CallError, Component, address_system};

/// Time for one request to all hosts (contract 1.9).
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);

/// Makes requests to the servers of one system.
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) connector: Connector,
    system: String,
    hosts: HostSet,
    /// The hosts were named for this request, so the management service is asked on all of them.
    named: bool,
    port: u16,
    timeout: Option<Duration>,
    /// Failed requests to the management service are not tried again.
    once: bool,
}

impl Client {
    /// A client of the configured system and hosts, in the administrator's name.
    ///
    /// # Errors
    /// Certificate files that are missing or not right (R103).
    pub fn new(config: &ClientConfig) -> Result<Self, ClientError> {
        Self::for_component(config, Component::Admin)
    }

    /// A client that acts in the name of `component`: servers talk to each other with it.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn for_component(config: &ClientConfig, component: Component) -> Result<Self, ClientError> {
        let security = config.transport.security(component)?;
        Ok(Self::with_security(config, component, security))
    }

    /// As [`Client::for_component`], over connections that are secured in the way given; the configuration's
    /// transport is not looked at. Servers share one [`Security`] among all who make connections.
    #[must_use]
    pub fn with_security(config: &ClientConfig, component: Component, security: Security) -> Self {
        Self {
            connector: Connector::new(component, security),
            system: address_system(&config.system_name),
            hosts: config.hosts.clone(),
            named: false,
            port: config.port,
            timeout: None,
            once: false,
        }
    }

    /// The same client for these hosts instead of the configured ones.
    #[must_use]
    pub fn with_hosts(mut self, hosts: HostSet) -> Self {
        self.hosts = hosts.with_ports(self.port);
        self.named = true;
        self
    }

    /// The same client with another time limit for every request.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The same client, which asks the management service once and gives the caller whatever comes of it, also a hint at another
    /// leader: for callers who try again by rules of their own.
    #[must_use]
    pub fn asking_once(mut self) -> Self {
        self.once = true;
        self
    }

    /// The hosts that are asked, each with its port.
    #[must_use]
    pub fn hosts(&self) -> &HostSet {
        &self.hosts
    }

    /// Whether it asks without certificates.
    #[must_use]
    pub fn is_insecure(&self) -> bool {
        self.connector.is_insecure()
    }

    /// The port that hosts have when none is given.
    #[must_use]
    pub fn default_port(&self) -> u16 {
        self.port
    }

    /// Name of the system as it travels in requests.
    pub(super) fn system(&self) -> String {
        self.system.clone()
    }

    /// How connections are made, for calls that are no requests of a client.
    #[cfg(feature = "server")]
    pub(crate) fn connector(&self) -> Connector {
        self.connector.clone()
    }

    pub(super) fn limit(&self, usual: Duration) -> Duration {
        self.timeout.unwrap_or(usual)
    }

    /// One call to each host.
    pub(super) async fn ask_hosts<T, F, Fut>(&self, usual: Duration, call: F) -> HostResults<T>
    where
        F: Fn(Connection) -> Fut,
        Fut: Future<Output = Result<T, CallError>>,
    {
        fan_out(self.connector.clone(), self.hosts.clone(), self.limit(usual), call).await
    }

    /// One request to the management service.
    pub(super) async fn ask_management<T, F, Fut>(
        &self,
        request: &'static str,
        policy: Policy,
        call: F,
    ) -> Result<T, ClientError>
    where
        F: Fn(Connection) -> Fut,
        Fut: Future<Output = Result<Versioned<T>, CallError>>,
    {
        self.ask_management_telling(request, policy, &|_| {}, call).await
    }

    /// The same; `tell` hears what each try that failed ended with.
    pub(super) async fn ask_management_telling<T, F, Fut>(
        &self,
        request: &'static str,
        policy: Policy,
        tell: &(dyn Fn(&CallError) + Sync),
        call: F,
    ) -> Result<T, ClientError>
    where
        F: Fn(Connection) -> Fut,
        Fut: Future<Output = Result<Versioned<T>, CallError>>,
    {
        let policy =
            if self.once { Policy { reaction: |_| Reaction::Fail, ..policy } } else { policy };
        let hosts = self.hosts.iter().cloned().collect();
        let start = if self.named { hosts } else { management::first_hosts(hosts) };
        let retry = Retry::new(start, self.port, policy);
        let limit = self.limit(policy.limit);
        management::ask(request, limit, retry, tell, |host, deadline| {
            let (connector, call) = (self.connector.clone(), &call);
            async move { call(connector.open(&host, deadline).await?).await }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    use super::Client;
    use crate::client::{ClientConfig, HostSet, SystemQuery, Transport};

    fn client(hosts: &str) -> Client {
        let config = ClientConfig { transport: Transport::Insecure, ..ClientConfig::default() };
        let hosts = HostSet::parse(hosts).unwrap();
        Client::new(&config).unwrap().with_hosts(hosts).with_timeout(Duration::from_millis(300))
    }

    /// W36: a host that takes the connection and then says nothing costs the limit, not for ever, and beside it a
    /// refusing one is told as what it is.
    #[tokio::test]
    async fn a_silent_host_costs_its_time_and_no_more() {
        let silent = TcpListener::bind("127.0.0.2:0").unwrap();
        let port = silent.local_addr().unwrap().port();
        let asked = Instant::now();
        let states = client(&format!("127.0.0.2:{port},127.0.0.3:{port}")).host_states().await;
        assert!(asked.elapsed() < Duration::from_secs(5));
        let codes: Vec<i32> = states.failures.iter().map(|(_, error)| error.code()).collect();
        assert_eq!(codes, [510, 506]);
        let error =
            client(&format!("127.0.0.2:{port}")).system_query(&SystemQuery::default()).await;
        assert_eq!(error.unwrap_err().code(), 510);
        assert!(asked.elapsed() < Duration::from_secs(5));
    }

    /// A join waits for a service that is not there (contract 1.9), unless its caller asks once.
    #[cfg(feature = "server")]
    #[tokio::test]
    async fn a_client_that_asks_once_tells_at_once() {
        let ask = crate::join::JoinAsk {
            uuid: uuid::Uuid::from_u128(1),
            rank: None,
            index: 0,
            address: "127.0.0.5:9".parse().unwrap(),
            ready: crate::supervisor::EngineReady {
                uri: "ofi+tcp://127.0.0.5:1".to_owned(),
                contexts: 1,
                targets: 1,
                incarnation: daos_membership::Incarnation(1),
                secondary_uris: Vec::new(),
                secondary_contexts: Vec::new(),
                check_mode: false,
            },
            fault_domain: "/a".to_owned(),
            replace: false,
        };
        let client = client("127.0.0.4:9");
        let waited = client.join(&ask, Duration::from_secs(1), &|_| {}).await.unwrap_err();
        assert_eq!(waited.code(), 510, "{waited}");
        let client = client.with_timeout(Duration::from_secs(60)).asking_once();
        let told = client.join(&ask, Duration::from_secs(1), &|_| {}).await.unwrap_err();
        assert_eq!(told.code(), 506, "{told}");
    }

    /// R103: without insecure mode nothing is tried without certificates.
    #[test]
    fn secure_mode_needs_certificates() {
        let missing = "/nonexistent/ca.crt".into();
        let transport = Transport::Certificates {
            ca: missing,
            certificate: "/dev/null".into(),
            key: "/dev/null".into(),
        };
        let config = ClientConfig { transport, ..ClientConfig::default() };
        assert_eq!(Client::new(&config).unwrap_err().code(), 901);
        let no_file = || "/dev/null".into();
        let transport =
            Transport::Certificates { ca: no_file(), certificate: no_file(), key: no_file() };
        let config = ClientConfig { transport, ..config };
        assert_eq!(Client::new(&config).unwrap_err().code(), 902);
    }
}
