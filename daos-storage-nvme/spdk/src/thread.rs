//! The one thread that speaks to SPDK. Started with the first question; asks arrive over a channel.

use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use crate::{Controller, SpdkError, ffi};

struct Ask {
    address: String,
    health: bool,
    answer: SyncSender<Result<Controller, SpdkError>>,
}

pub fn ask(address: &str, health: bool) -> Result<Controller, SpdkError> {
    static ASKS: OnceLock<Option<Sender<Ask>>> = OnceLock::new();
    let asks = ASKS.get_or_init(start).as_ref().ok_or(SpdkError::Gone)?;
    let (answer, answered) = sync_channel(1);
    let ask = Ask { address: address.to_owned(), health, answer };
    asks.send(ask).map_err(|_gone| SpdkError::Gone)?;
    answered.recv().map_err(|_gone| SpdkError::Gone)?
}

fn start() -> Option<Sender<Ask>> {
    let (asks, inbox) = channel();
    // SPDK ties its thread to a core: one of its own, so that no other thread is.
    let thread = thread::Builder::new().name("spdk".to_owned());
    thread.spawn(move || serve(&inbox)).ok().map(|_runs_as_long_as_the_process| asks)
}

fn serve(inbox: &Receiver<Ask>) {
    let started = ffi::start();
    for Ask { address, health, answer } in inbox {
        let found = started.and_then(|()| ffi::look(&address, health));
        // Whoever asked may have given up.
        let _nobody_waits = answer.send(found);
    }
}
