//! The built-in value of every key that has one.
//!
//! Used by the lowest configuration layer and by the documented default file, which a test compares with
//! these (R25). Knows no file and no command line.

/// `name`: the system this server belongs to.
pub const DEFAULT_SYSTEM_NAME: &str = "daos_server";
/// `port`: TCP port of the control plane.
pub const DEFAULT_CONTROL_PORT: u16 = 10001;
/// Host of the only management service replica when none is named; its port is `port`.
pub const DEFAULT_REPLICA_HOST: &str = "localhost";
/// `socket_dir`: directory of the dRPC sockets.
pub const DEFAULT_SOCKET_DIR: &str = "/var/run/daos_server";
/// `state_dir`: format journal and the record of what prepare changed, when the server may write there.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/daos_server";
/// `transport_config.ca_cert`.
pub const DEFAULT_CA_CERT: &str = "/etc/daos/certs/daosCA.crt";
/// `transport_config.cert`.
pub const DEFAULT_CERT: &str = "/etc/daos/certs/server.crt";
/// `transport_config.key`.
pub const DEFAULT_KEY: &str = "/etc/daos/certs/server.key";
/// `transport_config.client_cert_dir`.
pub const DEFAULT_CLIENT_CERT_DIR: &str = "/etc/daos/certs/clients";
/// `transport_config.server_name`.
pub const DEFAULT_SERVER_NAME: &str = "server";
/// `control_log_mask`.
pub const DEFAULT_CONTROL_LOG_MASK: &str = "INFO";
/// `system_ram_reserved`, GiB.
pub const DEFAULT_SYSTEM_RAM_RESERVED_GIB: u32 = 64;
/// `core_dump_filter`.
pub const DEFAULT_CORE_DUMP_FILTER: u8 = 0x13;
/// `nr_xs_helpers` of an engine.
pub const DEFAULT_HELPER_STREAMS: u32 = 0;
/// `scm_hugepages_disabled` of a ram tier.
pub const DEFAULT_SCM_HUGEPAGES_DISABLED: bool = true;
/// Seconds between automatic restarts of a rank when `engine_auto_restart_min_delay` is 0 or absent.
pub const DEFAULT_ENGINE_RESTART_DELAY_S: u32 = 300;
/// Longest `name`, in characters.
pub const MAX_SYSTEM_NAME: usize = 15;
