//! Fault numbers of this crate that DAOS 2.8 has no number for: 1290-1309, 1380-1389, 1390-1393 and 1415-1424.

/// The system database is missing or cannot be read.
pub const STORE_UNREADABLE: i32 = 1290;
/// The system database is damaged.
pub const STORE_CORRUPT: i32 = 1291;
/// The system database belongs to another system.
pub const STORE_FOREIGN: i32 = 1292;
/// The system database was written by a newer version.
pub const STORE_NEWER: i32 = 1293;
/// Another process has the system database open.
pub const STORE_IN_USE: i32 = 1294;
/// A write of the system database failed, so this replica stopped.
pub const REPLICA_FAILED: i32 = 1295;
/// This host cannot serve the request now; another one, or a later try, can.
pub const NOT_SERVED_HERE: i32 = 1296;
/// A join request lacks something.
pub const JOIN_INCOMPLETE: i32 = 1297;
/// A known engine joins with another rank, or a known rank with another engine.
pub const JOIN_IDENTITY_CHANGED: i32 = 1298;
/// A known engine joins from another host.
pub const JOIN_ADDRESS_CHANGED: i32 = 1299;
/// The rank an engine asks for cannot be given.
pub const JOIN_RANK_TAKEN: i32 = 1300;
/// Another member is alive at the fabric URI of a joining engine.
pub const JOIN_URI_IN_USE: i32 = 1301;
/// An engine joins with another fabric provider than the system uses.
pub const JOIN_WRONG_PROVIDER: i32 = 1302;
/// No such rank or host in the system.
pub const UNKNOWN_MEMBERS: i32 = 1303;
/// A list of ranks, hosts or states cannot be used as it is.
pub const BAD_SELECTION: i32 = 1304;
/// A system attribute cannot be set or read.
pub const BAD_ATTRIBUTE: i32 = 1305;
/// A system property cannot be set or read.
pub const BAD_PROPERTY: i32 = 1306;
/// The fabric provider was changed while engines run.
pub const PROVIDER_CHANGE: i32 = 1307;
/// A member is up and cannot be removed, or a report about it contradicts itself.
pub const MEMBER_IN_USE: i32 = 1308;
/// Whether a change happened is not known.
pub const OUTCOME_UNKNOWN: i32 = 1309;
/// A message between replicas cannot be understood or is meant for another one.
pub const REPLICA_MESSAGE: i32 = 1380;
/// No replica, or no learner, with this id.
pub const NO_SUCH_REPLICA: i32 = 1381;
/// Another change of the replicas is under way.
pub const REPLICAS_CHANGING: i32 = 1382;
/// The replica works alone, so there is nobody to share with or to give way to.
pub const REPLICA_ALONE: i32 = 1383;
/// A change would leave no replica that votes.
pub const NO_VOTER_LEFT: i32 = 1384;
/// A backup of the system database cannot be used.
pub const BACKUP_UNUSABLE: i32 = 1385;
/// An exclusion would leave the hosts of the management service without a usable engine.
pub const LAST_USABLE_ENGINE: i32 = 1415;
/// A change would leave an even number of replicas.
pub const REPLICAS_EVEN: i32 = 1390;
/// A change would leave more than 7 replicas.
pub const REPLICAS_TOO_MANY: i32 = 1391;
/// The hosts named do not fit the replicas.
pub const REPLICAS_NAMED: i32 = 1392;
/// A change would leave no majority of replicas that answer.
pub const REPLICAS_NO_MAJORITY: i32 = 1393;
