// The demo's pages: one WebSocket, shown as it is.
//
// A module, loaded by base.html; <main data-page data-path> says which page this is and which route it talks to.
// Whatever a peer sent reaches the page through textContent only.

const LOG_LINES = 300;
const SHOWN_CHARACTERS = 2000;
const SHOWN_BYTES = 64;
const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 30000;
// A connection has to last this long before the next loss starts again with the shortest delay:
// a server that accepts and drops at once must not be called every second.
const STABLE_MS = 5000;
const CONNECT_MS = 10000;

// RFC 6455 7.4.1 and the IANA registry of close codes.
const MEANINGS = {
  1000: "normal end", 1001: "the server is going away", 1002: "protocol error", 1003: "this kind of data is not taken",
  1005: "no code was given", 1006: "no goodbye was said", 1007: "the text was not valid UTF-8",
  1008: "against the server's policy", 1009: "the message was too big", 1010: "an extension was missing",
  1011: "the server met an error", 1012: "the server restarts", 1013: "too busy, try again later",
  1014: "a gateway got a bad answer", 1015: "TLS failed",
};
// Clean closes after which the server can be expected back.
const RETURNING = new Set([1001, 1011, 1012, 1013, 1014]);
const WORDS = {
  idle: "Not connected", connecting: "Connecting", open: "Open", closing: "Closing", waiting: "Reconnecting", closed: "Closed",
};

const element = id => document.getElementById(id);

function webSocketUrl(path) {
  const url = new URL(path, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

function meaning({ code, wasOpen }) {
  if (code === 1006 && !wasOpen) return "no connection came about";
  if (MEANINGS[code]) return MEANINGS[code];
  if (code >= 3000 && code < 4000) return "a registered code";
  return code >= 4000 ? "the application's own code" : "an unknown code";
}

/**
 * A WebSocket that comes back by itself after an unclean end.
 *
 * States: idle → connecting → open → closing → closed, and waiting between an unclean end and the next try.
 * The listener has: changed(line), opened(), received(data), ended(closed), wanted() = whether a retry makes sense.
 */
class Line {
  state = "idle";
  closed = null;
  attempt = 0;
  delay = 0;
  retryAt = 0;
  #socket = null;
  #byHand = false;
  #openedAt = 0;
  #timer = 0;

  constructor(path, listener) {
    this.url = webSocketUrl(path);
    this.listener = listener;
    addEventListener("online", () => this.retryNow());
  }

  /** Connects at a person's wish, which starts the delays anew. */
  connect() {
    if (!["idle", "waiting", "closed"].includes(this.state)) return;
    this.attempt = 0;
    this.#open();
  }

  retryNow() {
    if (this.state === "waiting") this.#open();
  }

  send(data) {
    this.#socket.send(data);
  }

  /** Closes by hand; while waiting for the next try it gives up instead. */
  close(reason) {
    this.#byHand = true;
    if (this.state === "waiting") {
      clearTimeout(this.#timer);
      this.#change("closed");
    } else if (this.state === "open" || this.state === "connecting") {
      this.#socket.close(1000, reason);
      this.#change("closing");
    }
  }

  #open() {
    clearTimeout(this.#timer);
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#byHand = false;
    this.#openedAt = 0;
    this.#timer = setTimeout(() => socket.close(), CONNECT_MS);
    socket.onopen = () => this.#opened();
    socket.onmessage = event => this.listener.received(event.data);
    socket.onclose = event => this.#ended(event);
    this.#change("connecting");
  }

  #opened() {
    clearTimeout(this.#timer);
    this.#openedAt = performance.now();
    this.#change("open");
    this.listener.opened();
  }

  #ended(event) {
    clearTimeout(this.#timer);
    const wasOpen = this.#openedAt > 0;
    if (wasOpen && performance.now() - this.#openedAt > STABLE_MS) this.attempt = 0;
    this.closed = { code: event.code, reason: event.reason, clean: event.wasClean, byHand: this.#byHand, wasOpen };
    this.listener.ended(this.closed);
    const returns = !event.wasClean || RETURNING.has(event.code);
    if (returns && !this.#byHand && this.listener.wanted()) this.#wait();
    else this.#change("closed");
  }

  #wait() {
    this.attempt += 1;
    const full = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (this.attempt - 1));
    // Between half and all of it, so that a thousand pages do not come back in the same instant.
    this.delay = Math.round(full * (0.5 + Math.random() / 2));
    this.retryAt = performance.now() + this.delay;
    this.#timer = setTimeout(() => this.#open(), this.delay);
    this.#change("waiting");
  }

  #change(state) {
    this.state = state;
    this.listener.changed(this);
  }
}

/** The panel of connection.html. The countdown stays outside the live region: it would be read aloud every second. */
class Panel {
  #ticker = 0;

  constructor(line) {
    element("retry-now").addEventListener("click", () => {
      line.retryNow();
      // The button is gone now; the focus must not go with it.
      element("message").focus();
    });
  }

  show(line) {
    element("connection").dataset.state = line.state;
    element("state").textContent = WORDS[line.state];
    element("state-detail").textContent = this.#detail(line);
    this.#showClosed(line);
    this.#showRetry(line);
  }

  #detail({ state, closed, url }) {
    if (state === "open" || state === "connecting") return url;
    if (state !== "waiting") return "";
    if (!closed.wasOpen) return "the server was not reached";
    return closed.clean ? "the server ended the connection" : "the connection was lost";
  }

  #showClosed({ state, closed }) {
    const shown = closed !== null && (state === "closed" || state === "waiting");
    element("closed").hidden = !shown;
    if (!shown) return;
    element("close-code").textContent = closed.code;
    element("close-meaning").textContent = meaning(closed);
    element("close-by").textContent = closed.byHand ? "closed by this page" : closed.clean ? "closed by the server" : "";
    element("close-reason").textContent = closed.reason;
    element("close-reason-part").hidden = closed.reason === "";
  }

  #showRetry(line) {
    clearInterval(this.#ticker);
    const retry = element("retry");
    retry.hidden = line.state !== "waiting";
    if (retry.hidden) return;
    retry.dataset.delayMs = line.delay;
    element("retry-attempt").textContent = line.attempt;
    const tick = () => {
      element("retry-seconds").textContent = Math.max(0, Math.ceil((line.retryAt - performance.now()) / 1000));
    };
    tick();
    this.#ticker = setInterval(tick, 200);
  }
}

/** The last lines of what happened; written to the page in batches, so that a flood costs one layout, not hundreds. */
class Log {
  #list = element("log");
  #fresh = [];
  #timer = 0;

  constructor() {
    element("clear").addEventListener("click", () => this.#list.replaceChildren());
  }

  add(kind, label, text, extra = "") {
    const line = document.createElement("li");
    line.dataset.kind = kind;
    for (const [name, value] of [["label", label], ["text", text], ["extra", extra]]) {
      const part = document.createElement("span");
      part.className = name;
      part.textContent = value;
      line.append(part);
    }
    this.#fresh.push(line);
    if (this.#fresh.length > LOG_LINES) this.#fresh.shift();
    this.#timer ||= setTimeout(() => this.#flush(), 16);
  }

  #flush() {
    this.#timer = 0;
    const list = this.#list;
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    list.append(...this.#fresh);
    this.#fresh = [];
    while (list.childElementCount > LOG_LINES) list.firstElementChild.remove();
    if (atEnd) list.scrollTop = list.scrollHeight;
  }
}

function hex(bytes) {
  return Array.from(bytes, byte => byte.toString(16).padStart(2, "0")).join(" ");
}

/** A message in words: text as it is, bytes as hex, both cut when long. */
function shown(data) {
  if (typeof data !== "string") {
    const bytes = new Uint8Array(data);
    const more = bytes.length > SHOWN_BYTES ? " …" : "";
    return `${bytes.length} bytes: ${hex(bytes.subarray(0, SHOWN_BYTES))}${more}`;
  }
  if (data.length <= SHOWN_CHARACTERS) return data;
  return `${data.slice(0, SHOWN_CHARACTERS)} … (${data.length} characters)`;
}

function milliseconds(value) {
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`;
}

function kindOf(data) {
  return typeof data === "string" ? "" : "binary";
}

function closeNote(closed) {
  const reason = closed.reason === "" ? "" : `, “${closed.reason}”`;
  return `${closed.code} ${meaning(closed)}${reason}`;
}

/** The bytes that a text of hex pairs names, or null. */
function parseHex(text) {
  const digits = text.replace(/[\s,]|0x/gi, "");
  if (digits.length % 2 !== 0 || /[^0-9a-f]/i.test(digits)) return null;
  return Uint8Array.from(digits.match(/../g) ?? [], pair => parseInt(pair, 16));
}

function equal(left, right) {
  if (typeof left === "string" || typeof right === "string") return left === right;
  return hex(new Uint8Array(left)) === hex(new Uint8Array(right));
}

/** What was sent and what came back: the n-th answer belongs to the n-th message. */
class Tally {
  #waiting = [];
  #sent = 0;
  #received = 0;
  #ordered = true;
  #total = 0;

  sent(data) {
    this.#waiting.push({ data, at: performance.now() });
    this.#sent += 1;
    element("sent").textContent = this.#sent;
  }

  /** Counts an answer and returns its round trip in words. */
  received(data) {
    this.#received += 1;
    element("received").textContent = this.#received;
    const question = this.#waiting.shift();
    this.#ordered &&= question !== undefined && equal(question.data, data);
    element("order").textContent = this.#ordered ? "yes" : "no";
    if (question === undefined) return "";
    const trip = performance.now() - question.at;
    this.#total += trip;
    element("trip-last").textContent = milliseconds(trip);
    element("trip-average").textContent = milliseconds(this.#total / this.#received);
    return milliseconds(trip);
  }

  /** Gives up on what was not answered, and returns how many that were. */
  forget() {
    return this.#waiting.splice(0).length;
  }
}

/** Switches a button; focus that would fall off the page goes to the other one. */
function enable(button, on, other) {
  const focused = document.activeElement === button;
  button.disabled = !on;
  if (focused && !on && other) {
    other.disabled = false;
    other.focus();
  }
}

function showEchoButtons({ state }) {
  const away = state === "idle" || state === "closed" || state === "waiting";
  enable(element("connect"), away, element("close"));
  enable(element("close"), state === "open" || state === "connecting" || state === "waiting", element("connect"));
  enable(element("send"), state === "open");
  enable(element("send-many"), state === "open");
}

function echoPage(path) {
  const log = new Log();
  const tally = new Tally();
  const line = new Line(path, {
    changed: current => { panel.show(current); showEchoButtons(current); },
    opened: () => log.add("note", "open", line.url),
    received: data => log.add("in", "received", shown(data), `${kindOf(data)} ${tally.received(data)}`.trim()),
    ended: closed => {
      const lost = tally.forget();
      log.add("note", "closed", closeNote(closed), lost > 0 ? `${lost} unanswered` : "");
    },
    wanted: () => true,
  });
  const panel = new Panel(line);
  const send = data => {
    line.send(data);
    tally.sent(data);
    log.add("out", "sent", shown(data), kindOf(data));
  };
  wireEchoForm(line, send);
  line.connect();
}

function wireEchoForm(line, send) {
  const message = element("message");
  element("connect").addEventListener("click", () => line.connect());
  element("close").addEventListener("click", () => line.close("closed by hand"));
  element("send-many").addEventListener("click", () => {
    for (let number = 1; number <= 100; number += 1) send(`${message.value || "message"} ${number}`);
  });
  element("form").addEventListener("submit", event => {
    event.preventDefault();
    const data = element("kind").value === "binary" ? parseHex(message.value) : message.value;
    element("hint").textContent = data === null ? "Hex bytes are pairs of 0-9 and a-f, such as: 48 65 6c 6c 6f" : "";
    if (data === null || line.state !== "open") return;
    send(data);
    message.value = "";
    message.focus();
  });
}

/** The four steps of one exchange, each with its time since the start. */
class Steps {
  #start = 0;

  begin() {
    this.#start = performance.now();
    for (const item of document.querySelectorAll("#steps li")) this.#mark(item, false, "");
  }

  reach(name) {
    this.#mark(document.querySelector(`#steps [data-step=${name}]`), true, milliseconds(performance.now() - this.#start));
  }

  #mark(item, done, time) {
    item.dataset.done = done;
    item.querySelector("time").textContent = time;
  }
}

function echoOncePage(path) {
  const log = new Log();
  const steps = new Steps();
  // The message that has no answer yet; it is sent again after a lost connection, which an echo does not mind.
  let pending = null;
  const line = new Line(path, {
    changed: current => { panel.show(current); element("send").disabled = !["idle", "waiting", "closed"].includes(current.state); },
    opened: () => { steps.reach("connected"); line.send(pending); steps.reach("sent"); log.add("out", "sent", shown(pending)); },
    received: data => {
      pending = null;
      steps.reach("answered");
      element("answer").textContent = shown(data);
      log.add("in", "received", shown(data));
    },
    ended: closed => { if (closed.clean) steps.reach("closed"); log.add("note", "closed", closeNote(closed)); },
    wanted: () => pending !== null,
  });
  const panel = new Panel(line);
  element("form").addEventListener("submit", event => {
    event.preventDefault();
    pending = element("message").value;
    element("message").select();
    element("answer").textContent = "";
    steps.begin();
    line.connect();
  });
}

async function askByHttp(message) {
  const url = `/echo?${new URLSearchParams({ message })}`;
  const link = element("http-url");
  link.href = url;
  link.textContent = decodeURI(url);
  try {
    const response = await fetch(url);
    element("http-status").textContent = `${response.status} ${response.statusText}`;
    element("http-answer").textContent = await response.text();
  } catch {
    element("http-status").textContent = "No answer: the server is not there.";
    element("http-answer").textContent = "";
  }
  element("http-result").hidden = false;
}

function indexPage() {
  // What the browser used to get here, which a proxy in front may have changed.
  for (const part of document.querySelectorAll("[data-origin]")) {
    part.textContent = part.dataset.origin === "ws" ? webSocketUrl("/").slice(0, -1) : location.origin;
  }
  element("http-form").addEventListener("submit", event => {
    event.preventDefault();
    askByHttp(element("http-message").value);
  });
}

const { page, path } = element("main").dataset;
if (page === "index") indexPage();
if (page === "echo") echoPage(path);
if (page === "echo-once") echoOncePage(path);
