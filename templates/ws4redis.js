// WS4Redis: a page's end of a facility, with the names of django-websocket-redis and without jQuery.
//
//   const line = WS4Redis({ uri: "/ws/news/?subscribe-broadcast", receive_message: text => show(text) });
//
// Options
//   uri              the address, absolute or relative to the page
//   connecting()     before every try
//   connected()      when the connection is open
//   receive_message(data)
//   disconnected(event)   at every end, with the browser's CloseEvent
//   heartbeat_msg    sent every 5 s; without any message from the server for three of them the connection is given
//                    up. The server needs the same text: facility().heartbeat(text, interval)
//
// After every end but close() it tries again, after a random part of 1, 3, 7, 15 and at most 30 seconds.
//
// Source: the helper of django-websocket-redis 0.6.0, rewritten.
"use strict";

window.WS4Redis = (() => {
  const LONGEST_DELAY_MS = 30000;
  const HEARTBEAT_MS = 5000;
  const MOST_MISSED = 3;
  // A connection has to last this long before the delays start anew: a server that accepts and drops at once must
  // not be called every second.
  const STABLE_MS = 5000;

  function delay(attempt) {
    return Math.random() * Math.min(LONGEST_DELAY_MS, (2 ** attempt - 1) * 1000);
  }

  function address(uri) {
    const url = new URL(uri, document.baseURI);
    url.protocol = url.protocol.replace("http", "ws");
    return url.href;
  }

  return function WS4Redis(options) {
    if (!new.target) return new WS4Redis(options);
    if (options?.uri === undefined) throw new Error("No Websocket URI in options");

    const uri = address(options.uri);
    const heartbeat = options.heartbeat_msg ?? null;
    let socket = null;
    let attempt = 1;
    let missed = 0;
    let is_over = false;
    const timers = { retry: 0, stable: 0, beat: 0 };

    function tell(name, ...values) {
      if (typeof options[name] === "function") options[name](...values);
    }

    function connect() {
      tell("connecting");
      if (is_over) return;
      socket = new WebSocket(uri);
      socket.onopen = opened;
      socket.onmessage = received;
      socket.onclose = ended;
    }

    function opened() {
      timers.stable = setTimeout(() => { attempt = 1; }, STABLE_MS);
      if (heartbeat !== null) {
        missed = 0;
        timers.beat = setInterval(beat, HEARTBEAT_MS);
      }
      tell("connected");
    }

    function beat() {
      if (missed >= MOST_MISSED) {
        // The closing handshake may take long with a peer that is gone; nobody waits for it.
        console.warn("WS4Redis: too many missed heartbeats");
        socket.close();
        clearInterval(timers.beat);
        return;
      }
      missed += 1;
      socket.send(heartbeat);
    }

    function received(event) {
      missed = 0;
      if (heartbeat === null || event.data !== heartbeat) tell("receive_message", event.data);
    }

    function ended(event) {
      clearTimeout(timers.stable);
      clearInterval(timers.beat);
      if (!is_over) {
        timers.retry = setTimeout(connect, delay(attempt));
        attempt += 1;
      }
      tell("disconnected", event);
    }

    /** Sends text or bytes; throws while the connection is not open yet, as WebSocket.send does. */
    this.send_message = message => socket.send(message);

    /** Closes for good. */
    this.close = () => {
      is_over = true;
      clearTimeout(timers.retry);
      socket?.close();
    };

    /** WebSocket.readyState. */
    this.get_state = () => socket?.readyState ?? WebSocket.CONNECTING;
    this.is_connecting = () => this.get_state() === WebSocket.CONNECTING;
    this.is_connected = () => this.get_state() === WebSocket.OPEN;
    this.is_closing = () => this.get_state() === WebSocket.CLOSING;
    this.is_closed = () => this.get_state() === WebSocket.CLOSED;

    connect();
  };
})();
