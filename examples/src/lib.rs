//! Runnable examples, one idea each; the run command stands on top of every file in `src/bin`.
//!
//! * `try_it`: the whole of one host, as a newcomer meets it (the command of the README).
//! * `query_system`: a client of your own in thirty lines.
//! * `scan_local`: the storage of this host, with the storage libraries alone.
//! * `write_a_provider`: a storage backend of your own behind the trait of the server, and the suite it has to pass.
//! * `three_hosts_join`: three storage nodes in one process form one system and survive the loss of its leader.
