//! What an engine has to do with the other engines of its group: it passes group maps on and notices who is gone.
//!
//! `map` is who belongs to the group, `message`, `codec` and `frame` what goes over TCP, `spread` who tells whom about a
//! new map, `passing` doing so, `swim` the failure detector (pure), `node` the task that owns all of it, `exchange` one question and its
//! answer, `tell` the road of events to the server. Started by `life`.

mod codec;
mod exchange;
mod frame;
mod map;
mod message;
mod node;
mod passing;
mod spread;
mod swim;
mod tell;

pub use map::PeerMap;
pub use node::{Handle, News, Node, Settings};
pub use swim::Times;
pub use tell::tell;
