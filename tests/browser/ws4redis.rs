//! The script for pages of django-websocket-redis, in a real browser.

use crate::webdriver::Browser;
use crate::{Server, Stage};

/// Loads the script and opens a connection whose callbacks are noted in `window.noted`.
fn connect(browser: &Browser, uri: &str, more: &str) {
    browser.run(
        "const script = document.createElement('script');
         script.src = '/static/ws4redis.js';
         document.head.append(script);",
    );
    browser.until("the script is there", "return typeof window.WS4Redis === 'function'");
    browser.run(&format!(
        "window.noted = [];
         const note = name => value => noted.push(value === undefined ? name : [name, value]);
         window.line = WS4Redis({{
             uri: '{uri}',
             connecting: note('connecting'),
             connected: note('connected'),
             receive_message: note('received'),
             disconnected: event => noted.push(['disconnected', event.code]),
             {more}
         }});"
    ));
}

fn until_noted(browser: &Browser, noted: &str) {
    let noted = noted.replace('\'', "\"").replace(' ', "");
    let same = format!("return JSON.stringify(window.noted) === '{noted}'");
    browser.until(&format!("{noted} is noted"), &same);
}

#[test]
fn ws4redis_script_has_the_words_of_the_elder_one() {
    let Some(stage) = Stage::set("ws4redis_script_has_the_words_of_the_elder_one") else { return };
    let browser = stage.open("/");
    connect(browser, "/echo", "heartbeat_msg: '--',");
    browser.until("it is open", "return line.is_connected() && line.get_state() === 1");
    browser.run("line.send_message('--'); line.send_message('你好');");
    until_noted(browser, "['connecting', 'connected', ['received', '你好']]");
    assert_eq!(browser.run("return line.is_connecting() || line.is_closed()"), false);
    browser.run("line.close()");
    browser.until("it is closed", "return line.is_closed() && !line.is_closing()");
    let closed = "['connecting', 'connected', ['received', '你好'], ['disconnected', 1005]]";
    until_noted(browser, closed);
    stage.assert_console_is_clean();
}

#[test]
fn ws4redis_script_comes_back_and_hears_what_the_server_says() {
    let test = "ws4redis_script_comes_back_and_hears_what_the_server_says";
    let Some(mut stage) = Stage::set(test) else { return };
    stage.open("/");
    let uri = format!("ws://127.0.0.1:{}/ws/chatroom/", stage.server.port);
    connect(&stage.browser, &uri, "");
    until_noted(&stage.browser, "['connecting', 'connected']");
    stage.server.process.terminate();
    let ended = "return noted[2]?.[0] === 'disconnected' && noted[2][1] === 1001";
    stage.browser.until("the end is noted", ended);
    stage.server = Server::start(stage.server.port);
    stage.browser.until("it is back", "return line.is_connected() && noted.length > 3");
    // Nobody may publish through the socket of the demo.
    stage.browser.run("noted.length = 0; line.send_message('hello');");
    stage.browser.until("it is told so", "return noted[0]?.[1] === 1008");
    stage.browser.until("it comes back", "return line.is_connected()");
    stage.browser.run("line.close()");
    stage.browser.until("it is closed", "return line.is_closed()");
}
