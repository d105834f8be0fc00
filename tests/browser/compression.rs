//! Compressed messages between the server and a real browser.

use crate::{Server, Stage};
use serde_json::json;

/// Sends messages of many kinds, one after the other and then all at once, and notes in
/// `window.outcome` what was agreed and what came back otherwise than it was sent.
const ECHO_ALL: &str = "
    const bytes = Uint8Array.from({ length: 100000 }, (_, at) => at % 251 ^ at >> 9);
    const noise = new Uint8Array(65536);
    crypto.getRandomValues(noise);
    const messages = ['', 'short', '{\"price\":17.25},'.repeat(6250), '你好，世界😀'.repeat(4000),
        bytes, noise, new Uint8Array(500000), 'last'];
    const isSame = (sent, got) => typeof sent === 'string' ? sent === got
        : got instanceof ArrayBuffer && got.byteLength === sent.length
            && new Uint8Array(got).every((byte, at) => byte === sent[at]);
    const socket = new WebSocket(`ws://${location.host}/echo`);
    socket.binaryType = 'arraybuffer';
    let received = 0;
    const wrong = [];
    socket.onopen = () => socket.send(messages[0]);
    socket.onmessage = ({ data }) => {
        if (!isSame(messages[received % messages.length], data)) wrong.push(received);
        received += 1;
        if (received < messages.length) socket.send(messages[received]);
        if (received === messages.length) {
            for (let round = 0; round < 3; round++) messages.forEach(message => socket.send(message));
        }
        if (received === 4 * messages.length) socket.close(1000);
    };
    socket.onclose = ({ code, reason }) => {
        window.outcome = { extensions: socket.extensions, received, wrong, code, reason };
    };";

/// Asserts that the messages of `ECHO_ALL` come back as they were sent.
#[track_caller]
fn assert_echoes(stage: &Stage, extensions: &str) {
    let browser = stage.open("/");
    browser.run(ECHO_ALL);
    browser.until("the connection is over", "return window.outcome !== undefined");
    let expected = json!({
        "extensions": extensions, "received": 32, "wrong": [], "code": 1000, "reason": "",
    });
    assert_eq!(browser.run("return window.outcome"), expected);
    stage.assert_console_is_clean();
}

#[test]
fn browser_and_server_compress_for_each_other() {
    let Some(mut stage) = Stage::set("browser_and_server_compress_for_each_other") else { return };
    let agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    assert_echoes(&stage, agreed);
    stage.server = Server::start_with(0, &["--ws-deflate-threshold", "0"]);
    assert_echoes(&stage, agreed);
}

#[test]
fn browser_gets_along_without_compression() {
    let Some(mut stage) = Stage::set("browser_gets_along_without_compression") else { return };
    stage.server = Server::start_with(0, &["--ws-per-message-deflate", "false"]);
    assert_echoes(&stage, "");
}
