//! How the process ends on signals.

use rustix::process::Signal;

use crate::program::Program;

#[test]
fn a_signal_closes_websockets_with_1001_and_ends_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let program = Program::serve(&[]);
        let mut first = program.websocket("/echo");
        let mut second = program.websocket("/echo_once");
        let mut idle = program.connect();
        assert_eq!(idle.get("/").status, 200);
        program.signal(signal);
        for client in [&mut first, &mut second] {
            assert_eq!(client.expect_close().0, 1001);
            client.send_close(1001, "");
            client.expect_end();
        }
        idle.expect_end();
        let ended = program.end();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("received: stopping; once more ends at once"));
    }
}

#[test]
fn a_second_signal_ends_at_once_with_5() {
    // Far more than the test waits: only the second signal can end it.
    let program = Program::serve(&["--timeout-graceful-shutdown", "600"]);
    let mut silent = program.websocket("/echo");
    program.signal(Signal::TERM);
    assert_eq!(silent.expect_close().0, 1001);
    program.signal(Signal::TERM);
    let ended = program.end();
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    assert!(ended.stderr.contains("SIGTERM received again: ending at once"));
}

#[test]
fn a_client_that_stays_is_cut_after_the_grace() {
    let program = Program::serve(&["--timeout-graceful-shutdown", "0.2"]);
    let mut silent = program.websocket("/echo");
    program.signal(Signal::TERM);
    assert_eq!(silent.expect_close().0, 1001);
    silent.expect_end();
    assert_eq!(program.end().code, Some(0));
}
