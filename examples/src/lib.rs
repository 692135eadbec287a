//! Runnable examples, one idea each; the run command stands on top of every file in `src/bin`.
//!
//! * `try_it`: the whole of one host, as a newcomer meets it (the command of the README).
//! * `query_system`: a client of your own in thirty lines.
//! * `three_hosts_join`: three storage nodes in one process form one system and survive the loss of its leader.
