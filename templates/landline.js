// The pages of the echoes and the overview: one WebSocket, shown as it is.
//
// A module, loaded by base.html; <main data-page data-path> says which page this is and which route it talks to.
// Whatever a peer sent reaches the page through textContent only.

import { Line, Lines, Panel, closeNote, element, webSocketUrl } from "./line.js";

const LOG_LINES = 300;
const SHOWN_CHARACTERS = 2000;
const SHOWN_BYTES = 64;

/** The last lines of what happened. */
class Log {
  #lines = new Lines(element("log"), LOG_LINES);

  constructor() {
    element("clear").addEventListener("click", () => this.#lines.clear());
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
    this.#lines.add(line);
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
