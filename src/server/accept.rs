//! The accept thread: a thread for each connection, a spare one or a new one, or an answer why not.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::conn::RefusalReason;
use crate::net::listener::{AcceptFailure, Listener, SpareDescriptor};
use crate::net::stream::Stream;
use crate::server::app::App;
use crate::server::http_io::refusal_bytes;
use crate::server::run::Alive;
use crate::server::serve::{Arrival, Door};
use crate::server::stats::Stats;

/// Pause after the process ran out of descriptors, so that trying again is not spinning.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(10);

/// How long a client without a descriptor of its own may take to send the request it is refused.
const REFUSE_WAIT: Duration = Duration::from_millis(50);

/// Accepts until the listener is closed.
pub(crate) fn accept_loop(app: &Arc<App>, listener: &Listener, alive: &Alive) {
    let mut spare = SpareDescriptor::new();
    let is_loopback = listener.is_loopback();
    loop {
        let accepted = match listener.accept() {
            Err(AcceptFailure::Exhausted(error)) => {
                app.complaints.say(RefusalReason::NoDescriptor, || {
                    format!("cannot accept: {error}; answering 503")
                });
                accept_exhausted(&mut spare, listener)
            }
            accepted => accepted,
        };
        match accepted {
            Ok(stream) if spare.is_held() => {
                let door = Door { is_loopback, expects_proxy: listener.expects_proxy() };
                admit(app, stream, door, alive);
            }
            Ok(stream) => {
                app.shared.refusals.count(RefusalReason::NoDescriptor);
                refuse_without_descriptor(&stream);
                drop(stream);
                spare.restore();
            }
            Err(AcceptFailure::Closed) => return,
            Err(AcceptFailure::Exhausted(_)) => thread::sleep(EXHAUSTED_PAUSE),
            Err(AcceptFailure::Passing(error)) => log::debug!("a connection was lost: {error}"),
        }
    }
}

/// Waits for the next connection with the spare descriptor.
fn accept_exhausted(
    spare: &mut SpareDescriptor,
    listener: &Listener,
) -> Result<Stream, AcceptFailure> {
    let accepted = spare.accept(listener);
    // If descriptors have become free meanwhile, this connection can be served as any other.
    spare.restore();
    accepted
}

/// Gives a connection its thread, a spare one if there is one, or refuses it with 503.
fn admit(app: &Arc<App>, stream: Stream, door: Door, alive: &Alive) {
    let peer = stream.peer().address().ip();
    let stream = Arc::new(stream);
    if app.stats.is_stopping() {
        app.shared.refusals.count(RefusalReason::Stopping);
        return refuse(app, stream);
    }
    let surroundings = app.surroundings();
    let proxies = &surroundings.proxies;
    if door.expects_proxy && !proxies.is_trusted(peer) {
        app.note_refusal(RefusalReason::NoProxy, peer);
        return;
    }
    // Behind a proxy it is somebody else who counts, and who that is will be known later; who comes
    // through a Unix socket has no address.
    let is_known = !door.expects_proxy && !proxies.trusts(peer) && !stream.peer().is_unix();
    let client = is_known.then_some(peer);
    let id = Stats::next_id();
    let place = match app.stats.admit(id, &stream, client, || app.shared.clock.now()) {
        Ok((place, None)) => place,
        Ok((place, Some(silent))) => {
            app.note_refusal(RefusalReason::Silent, silent.peer().address().ip());
            place
        }
        Err(reason) => {
            app.note_refusal(reason, peer);
            return refuse(app, stream);
        }
    };
    let arrival = Box::new(Arrival {
        app: Arc::clone(app),
        stream: Arc::clone(&stream),
        id,
        door,
        place,
        _alive: alive.clone(),
    });
    if let Err(error) = app.threads.take_in(arrival) {
        app.complaints.say(RefusalReason::NoThread, || {
            format!("cannot start a thread: {error}; answering 503")
        });
        app.shared.refusals.count(RefusalReason::NoThread);
        refuse(app, stream);
    }
}

/// Answers 503 without a thread; the keeper lets the client read it.
fn refuse(app: &App, stream: Arc<Stream>) {
    stream.turn_away(refusal_bytes());
    app.keeper.linger(stream);
}

/// Answers 503 with the last descriptor, which is needed again at once: what the client has sent
/// is read first, so that closing does not reset the connection under the answer.
fn refuse_without_descriptor(stream: &Stream) {
    if let Err(error) = stream.await_words(REFUSE_WAIT) {
        log::debug!("cannot answer 503: {error}");
    }
    stream.turn_away(refusal_bytes());
}
