//! The words of a handler and of the threads beside it, as an application uses them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread;

use landline::{
    Bytes, Error, ErrorKind, Message, Request, Response, Result, Sender, Server, Side, Utf8Bytes,
    WebSocket, accept_websocket, require_websocket,
};

use crate::harness::{Client, Running, echo, eventually, patient, tell, websocket_server};

#[test]
fn a_handler_knows_its_request_its_peer_and_its_number() {
    let builder = Server::builder().route(
        "/room/<name>/<int:seat>",
        require_websocket(|request, ws| {
            assert!(request.is_websocket());
            assert_eq!((request.peer(), request.conn_id()), (ws.peer(), ws.conn_id()));
            assert_eq!(ws.sender()?.conn_id(), ws.conn_id());
            let words = [request.param("name"), request.param("seat"), request.query("as")];
            ws.send(format!("{words:?} {}", ws.peer()))?;
            Ok(())
        }),
    );
    let server = Running::start(builder);
    let mut client = server.websocket("/room/%E4%BD%A0/7/?as=a+b");
    let peer = client.stream.local_addr().unwrap();
    let expected = format!("{:?} {peer}", [Some("你"), Some("7"), Some("a b")]);
    assert_eq!(client.expect_text(), expected);
    client.answer_close();
}

#[test]
fn every_kind_of_message_can_be_sent() {
    let server = websocket_server(patient(), |_, ws| {
        ws.send("text")?;
        ws.send(String::from("string"))?;
        ws.send(Utf8Bytes::from("shared"))?;
        ws.send(vec![1, 2])?;
        ws.send(&[3u8, 4][..])?;
        ws.send(Bytes::from_static(b"\x05"))?;
        ws.send(Message::from("message"))?;
        let again = Message::from("again");
        ws.send(&again)?;
        ws.send(again)?;
        ws.send_json(&HashMap::from([("key", [1, 2])]))?;
        let unwritable = HashMap::from([((1, 2), "no key of JSON")]);
        assert_eq!(ws.send_json(&unwritable).unwrap_err().kind(), ErrorKind::Json);
        ws.sender()?.send_json("said")
    });
    let mut client = server.websocket("/ws");
    for text in ["text", "string", "shared"] {
        assert_eq!(client.expect_text(), text);
    }
    for bytes in [&[1, 2][..], &[3, 4], &[5]] {
        assert_eq!(client.expect_binary(), bytes);
    }
    for text in ["message", "again", "again", "{\"key\":[1,2]}", "\"said\""] {
        assert_eq!(client.expect_text(), text);
    }
    assert_eq!(client.answer_close().0, 1000);
}

#[test]
fn a_message_can_be_sent_by_a_clone_of_a_clone_from_any_thread() {
    let (tell, told) = tell::<Sender>();
    let server = websocket_server(patient(), move |_, ws: &WebSocket| {
        tell.send(ws.sender()?).unwrap();
        ws.wait().map(drop)
    });
    let mut client = server.websocket("/ws");
    let sender = told.next();
    let copy = sender.clone();
    drop(sender);
    thread::spawn(move || copy.clone().send("from afar").unwrap()).join().unwrap();
    assert_eq!(client.expect_text(), "from afar");
    client.say_goodbye();
}

/// A room that everybody hears, as people build it before they know groups.
#[test]
fn a_room_of_senders_reaches_everybody() {
    let room: Arc<Mutex<HashMap<u64, Sender>>> = Arc::default();
    let members = Arc::clone(&room);
    let server = websocket_server(patient(), move |_, ws: &WebSocket| {
        members.lock().unwrap().insert(ws.conn_id(), ws.sender()?);
        ws.send("welcome")?;
        for message in ws {
            let message = message?;
            for sender in members.lock().unwrap().values() {
                let _ = sender.try_send(message.clone());
            }
        }
        members.lock().unwrap().remove(&ws.conn_id());
        Ok(())
    });
    let mut clients: Vec<_> = (0..10).map(|_| server.websocket("/ws")).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.expect_text(), "welcome"));
    clients[3].send_text("hello all");
    clients.iter_mut().for_each(|client| assert_eq!(client.expect_text(), "hello all"));
    clients.iter_mut().for_each(Client::say_goodbye);
    server.becomes_empty();
    assert!(room.lock().unwrap().is_empty());
}

#[test]
fn iteration_can_be_left_and_taken_up_again() {
    let server = websocket_server(patient(), |_, ws| {
        let first = ws.messages().next().expect("a message")?;
        let rest: Vec<Message> = ws.into_iter().collect::<Result<_>>()?;
        assert_eq!((first.as_text(), rest.len()), (Some("1"), 2));
        let closed = ws.closed().expect("the end");
        assert_eq!((closed.by(), closed.code(), closed.is_clean()), (Side::Client, 1000, true));
        Ok(())
    });
    let mut client = server.websocket("/ws");
    for text in ["1", "2", "3"] {
        client.send_text(text);
    }
    client.say_goodbye();
    server.becomes_empty();
}

#[test]
fn errors_of_handlers_and_their_own_ends_are_told_apart() {
    let (tell, told) = tell();
    let server = websocket_server(patient(), move |_, ws: &WebSocket| {
        let result = read_number(ws);
        tell.send(result.as_ref().map_err(|error| (error.kind(), error.to_string())).copied())
            .unwrap();
        result.map(drop)
    });
    for (text, code, expected) in
        [("42", 1000, Ok(42)), ("x", 1011, Err((ErrorKind::Other, "no number".to_owned())))]
    {
        let mut client = server.websocket("/ws");
        client.send_text(text);
        assert_eq!(client.answer_close().0, code);
        assert_eq!(told.next(), expected);
    }
}

fn read_number(ws: &WebSocket) -> Result<u32> {
    let message = ws.wait()?.ok_or_else(|| Error::other("no message"))?;
    let text = message.as_text().ok_or_else(|| Error::other("not text"))?;
    text.parse().map_err(|_| Error::other("no number"))
}

#[test]
fn http_and_websocket_take_turns_on_one_connection() {
    fn both(request: &Request) -> Result<Response> {
        match request.websocket() {
            Some(ws) => echo(request, ws).map(|()| Response::closed()),
            None => Ok(Response::text(request.query("message").unwrap_or("no message"))),
        }
    }
    let server = Running::start(Server::builder().route("/echo", accept_websocket(both)));
    let mut client = server.connect();
    assert_eq!(client.get("/echo?message=%E4%BD%A0").text(), "你");
    assert_eq!(client.get("/echo").text(), "no message");
    client.handshake("/echo");
    client.expect_echo("message");
    client.say_goodbye();
}

#[test]
fn waiting_in_two_threads_gives_each_message_to_one_of_them() {
    let (tell, told) = tell();
    let server = websocket_server(patient(), move |_, ws: &WebSocket| {
        let counts = thread::scope(|scope| {
            let waits =
                [(); 2].map(|()| scope.spawn(|| ws.messages().filter(Result::is_ok).count()));
            waits.map(|wait| wait.join().unwrap())
        });
        tell.send(counts.iter().sum::<usize>()).unwrap();
        Ok(())
    });
    let mut client = server.websocket("/ws");
    client.send(Client::frame(0x81, b"m").repeat(1000));
    client.say_goodbye();
    assert_eq!(told.next(), 1000);
}

#[test]
fn what_is_shown_in_logs_names_the_connection() {
    let (tell, told) = tell();
    let server = websocket_server(patient(), move |_, ws: &WebSocket| {
        tell.send(format!("{ws:?} {:?}", ws.sender()?)).unwrap();
        eventually("the end", || ws.is_closed());
        tell.send(ws.closed().map(|closed| closed.to_string()).unwrap_or_default()).unwrap();
        Ok(())
    });
    let mut client = server.websocket("/ws");
    assert!(told.next().contains("conn-"));
    client.send_close(1000, "a \u{1b}[31mred\n");
    client.expect_close();
    let text = told.next();
    assert_eq!(text, r#"closed by the client with 1000 "a \u{1b}[31mred\n""#);
}
