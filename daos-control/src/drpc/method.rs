//! Modules and methods of dRPC with their numbers and names (contract 3.4).
//!
//! One table; called by the client, the listener and the logs. Must not know the bodies of the methods.

use std::fmt;

macro_rules! methods {
    ($($(#[$doc:meta])* $variant:ident = $module:ident $number:literal $name:literal;)*) => {
        /// One method of dRPC. The number alone is unique, the module comes with it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i32)]
        pub enum Method {
            $($(#[$doc])* $variant = $number,)*
        }

        impl Method {
            /// Every method there is, ascending.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The module that the method belongs to.
            #[must_use]
            pub const fn module(self) -> Module {
                match self { $(Self::$variant => Module::$module,)* }
            }

            /// The name for logs, without the common prefix of the field.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

/// Who is addressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i32)]
pub enum Module {
    /// Reserved for tests of the protocol.
    Test = 0,
    /// The agent, asked for credentials.
    SecurityAgent = 1,
    /// An engine (or, for a few methods, the agent), told what to do.
    Management = 2,
    /// The server, told or asked by an engine.
    Server = 3,
    /// The server, asked to check credentials.
    Security = 4,
}

impl Module {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The module of that number.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        [Self::Test, Self::SecurityAgent, Self::Management, Self::Server, Self::Security]
            .into_iter()
            .find(|module| module.number() == number)
    }
}

methods! {
    /// Agent: credentials of the calling process.
    RequestCredentials = SecurityAgent 101 "request-credentials";
    /// Reserved, served by nobody.
    KillRank = Management 201 "kill-rank";
    /// The rank of the engine and the map version it joined at.
    SetRank = Management 202 "set-rank";
    /// Agent: what a client needs to attach.
    GetAttachInfo = Management 206 "get-attach-info";
    /// Create a pool.
    PoolCreate = Management 207 "pool-create";
    /// Destroy a pool.
    PoolDestroy = Management 208 "pool-destroy";
    /// Finish start-up and serve.
    SetUp = Management 209 "set-up";
    /// Health of a block device.
    BioHealthQuery = Management 210 "bio-health-query";
    /// Block devices in use.
    SmdListDevices = Management 211 "smd-list-devs";
    /// Pools by block device.
    SmdListPools = Management 212 "smd-list-pools";
    /// Access rules of a pool.
    PoolGetAcl = Management 213 "pool-get-acl";
    /// Replace them.
    PoolOverwriteAcl = Management 215 "pool-overwrite-acl";
    /// Change some.
    PoolUpdateAcl = Management 216 "pool-update-acl";
    /// Remove some.
    PoolDeleteAcl = Management 217 "pool-delete-acl";
    /// Prepare for an orderly stop.
    PrepareShutdown = Management 218 "prep-shutdown";
    /// Declare a device faulty.
    DeviceSetFaulty = Management 220 "dev-set-faulty";
    /// Replace a device.
    DeviceReplace = Management 221 "dev-replace";
    /// Containers of a pool.
    ListContainers = Management 222 "list-containers";
    /// State of a pool.
    PoolQuery = Management 223 "pool-query";
    /// Change properties of a pool.
    PoolSetProperty = Management 224 "pool-set-prop";
    /// Is the engine there?
    PingRank = Management 225 "ping-rank";
    /// Take targets back into a pool.
    PoolReintegrate = Management 226 "pool-reint";
    /// Change the owner of a container.
    ContainerSetOwner = Management 227 "cont-set-owner";
    /// Exclude targets from a pool.
    PoolExclude = Management 228 "pool-exclude";
    /// Add ranks to a pool.
    PoolExtend = Management 229 "pool-extend";
    /// Close handles of a pool.
    PoolEvict = Management 230 "pool-evict";
    /// Move data away from targets.
    PoolDrain = Management 231 "pool-drain";
    /// The new group map.
    GroupUpdate = Management 232 "group-update";
    /// Agent: a client process ends.
    NotifyExit = Management 233 "notify-exit";
    /// Agent: a client connected to a pool.
    NotifyPoolConnect = Management 235 "notify-pool-connect";
    /// Agent: a client disconnected from a pool.
    NotifyPoolDisconnect = Management 236 "notify-pool-disconnect";
    /// Properties of a pool.
    PoolGetProperty = Management 237 "pool-get-prop";
    /// Change the levels of the engine's log.
    SetLogMasks = Management 238 "set-log-masks";
    /// Upgrade the layout of a pool.
    PoolUpgrade = Management 239 "pool-upgrade";
    /// State of targets in a pool.
    PoolQueryTargets = Management 240 "pool-query-targets";
    /// Lights of a device.
    LedManage = Management 241 "led-manage";
    /// Checker: start.
    CheckStart = Management 242 "chk-start";
    /// Checker: stop.
    CheckStop = Management 243 "chk-stop";
    /// Checker: state.
    CheckQuery = Management 244 "chk-query";
    /// Checker: properties.
    CheckProperty = Management 245 "chk-prop";
    /// Checker: an answer to a finding.
    CheckAct = Management 246 "chk-act";
    /// Agent: telemetry of a client.
    SetupClientTelemetry = Management 247 "setup-client-telem";
    /// Ranks that the engine's failure detector holds for dead.
    GroupStatusGet = Management 248 "group-status-get";
    /// Checker: policy.
    CheckSetPolicy = Management 249 "chk-set-policy";
    /// Start a rebuild.
    PoolRebuildStart = Management 250 "pool-rebuild-start";
    /// Stop a rebuild.
    PoolRebuildStop = Management 251 "pool-rebuild-stop";
    /// Evaluate self healing.
    PoolSelfHealEval = Management 252 "pool-self-heal-eval";
    /// The engine is up and says how it is reached.
    NotifyReady = Server 301 "notify-ready";
    /// Block I/O errors, as engines of the first generation report them (R172).
    BioError = Server 302 "bio-error";
    /// Where a pool's service runs.
    GetPoolService = Server 303 "get-pool-svc";
    /// A RAS event.
    ClusterEvent = Server 304 "cluster-event";
    /// The pool of a label.
    PoolFindByLabel = Server 305 "pool-find-by-label";
    /// Checker: pools in the database.
    CheckListPools = Server 306 "chk-list-pool";
    /// Checker: enter a pool.
    CheckRegisterPool = Server 307 "chk-reg-pool";
    /// Checker: remove a pool.
    CheckDeregisterPool = Server 308 "chk-dereg-pool";
    /// Checker: a finding.
    CheckReport = Server 309 "chk-report";
    /// Pools in the database.
    ListPools = Server 310 "list-pools";
    /// System properties.
    GetSystemProperties = Server 311 "get-sys-props";
    /// Is this credential genuine?
    ValidateCredentials = Security 401 "validate-creds";
}

impl Method {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The method of that number in that module.
    #[must_use]
    pub fn from_numbers(module: Module, number: i32) -> Option<Self> {
        let at = Self::ALL.binary_search_by_key(&number, |method| method.number()).ok()?;
        Self::ALL.get(at).copied().filter(|method| method.module() == module)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::{Method, Module};

    #[test]
    fn table_is_ascending_and_every_number_finds_its_method() {
        assert!(Method::ALL.is_sorted());
        for &method in Method::ALL {
            assert_eq!(Method::from_numbers(method.module(), method.number()), Some(method));
            assert_eq!(method.number() / 100, method.module().number(), "{method}");
        }
    }

    #[test]
    fn numbers_of_the_contract() {
        assert_eq!(Method::ALL.len(), 59);
        assert_eq!(Method::SetRank.number(), 202);
        assert_eq!(Method::SetUp.number(), 209);
        assert_eq!(Method::GroupUpdate.number(), 232);
        assert_eq!(Method::NotifyReady.number(), 301);
        assert_eq!(Method::ValidateCredentials.number(), 401);
    }

    #[test]
    fn a_number_of_another_module_is_unknown() {
        assert_eq!(Method::from_numbers(Module::Management, 301), None);
        assert_eq!(Method::from_numbers(Module::Server, 300), None);
        assert_eq!(Module::from_number(5), None);
        assert_eq!(Module::from_number(-1), None);
    }
}
