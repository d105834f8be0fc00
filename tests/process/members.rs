//! What members of groups cost: those that stop reading stay within their queue's limit.

use landline::{Hub, Overflow, Request, Result, Server, WebSocket, require_websocket};

use crate::counts::{Growth, alone};
use crate::harness::{Running, eventually, patient};

const PAYLOAD: usize = 10_000;
const MESSAGES: usize = 10_000;
const STOPPED: usize = 5;
const LIMIT: usize = 1 << 20;

/// The limits of the stopped members, and what the clients and threads of the test need.
const MOST: usize = STOPPED * LIMIT + (20 << 20);

#[test]
fn members_that_stop_reading_hold_no_more_than_their_limit() {
    let _alone = alone();
    for overflow in [Overflow::Disconnect, Overflow::DropOldest, Overflow::Latest] {
        let hub = Hub::builder().overflow(overflow).build();
        let member = |_: &Request, ws: &WebSocket| -> Result<()> {
            ws.join("all")?;
            while ws.wait()?.is_some() {}
            Ok(())
        };
        let config = patient().with_outbound_bytes(LIMIT).with_ping_interval(None);
        let builder = Server::builder().config(config).hub(hub.clone());
        let server = Running::start(builder.route("/", require_websocket(member)));
        let _stopped: Vec<_> = (0..STOPPED).map(|_| server.websocket("/")).collect();
        let mut reader = server.websocket("/");
        eventually("all are members", || hub.group("all").len() == STOPPED + 1);

        let growth = Growth::start();
        let mut meant = 0;
        for number in 0..MESSAGES {
            let mut payload = vec![0; PAYLOAD];
            payload[..8].copy_from_slice(&number.to_be_bytes());
            let delivery = hub.group("all").send(payload).unwrap();
            meant += delivery.members() as u64;
            // What is on its way to a relay that is behind is bounded too, and not meant here.
            delivery.wait();
            assert_eq!(reader.expect_binary()[..8], number.to_be_bytes(), "{overflow:?}");
        }
        let most = growth.most();
        assert!(most < MOST, "{overflow:?}: the process has grown by {} KiB", most >> 10);
        eventually("every message is counted", || {
            let stats = hub.stats();
            stats.written + stats.queued + stats.dropped + stats.gone == meant
        });
        assert!(hub.stats().dropped > 0, "{overflow:?}: {:?}", hub.stats());
        let expected = if overflow == Overflow::Disconnect { 1 } else { STOPPED + 1 };
        assert_eq!(hub.group("all").len(), expected, "{overflow:?}");
    }
}
