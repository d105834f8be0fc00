//! The thinnest whole path: a real client, plain and upgraded, on one port.

use landline::{Request, Response, Result, Server, accept_websocket};

use crate::harness::{Client, Running};

fn echo(request: &Request) -> Result<Response> {
    let Some(ws) = request.websocket() else {
        return Ok(Response::text(request.query("message").unwrap_or("nothing")));
    };
    for message in ws {
        ws.send(message?)?;
    }
    Ok(Response::closed())
}

#[test]
fn plain_http_and_websocket_share_a_route() {
    let server = Running::start(Server::builder().route("/echo", accept_websocket(echo)));
    let mut plain = server.connect();
    let response = plain.get("/echo?message=%E4%BD%A0%E5%A5%BD");
    assert_eq!((response.status, response.text()), (200, "你好"));
    let mut client = server.websocket("/echo");
    client.send_text("你好");
    assert_eq!(client.expect_text(), "你好");
    client.send_close(1000, "bye");
    assert_eq!(client.expect_close(), (1000, "bye".to_owned()));
    client.expect_end();
}

#[test]
fn tungstenite_is_understood() {
    let server = Running::start(Server::builder().route("/echo", accept_websocket(echo)));
    let url = format!("ws://{}/echo", server.address);
    let stream = Client::stream(server.address);
    let (mut client, _) = tungstenite::client::client(url, stream).unwrap();
    client.send(tungstenite::Message::binary(vec![0, 255])).unwrap();
    assert_eq!(client.read().unwrap(), tungstenite::Message::binary(vec![0, 255]));
    client.close(None).unwrap();
    while client.read().is_ok() {}
}
