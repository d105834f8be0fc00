// What the pages share: a WebSocket that comes back by itself, the panel that shows it, a list of the last lines.
//
// A module without a page of its own; landline.js and chat.js import it.
// Whatever a peer sent reaches a page through textContent only.

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

export const element = id => document.getElementById(id);

export function webSocketUrl(path) {
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

export function closeNote(closed) {
  const reason = closed.reason === "" ? "" : `, “${closed.reason}”`;
  return `${closed.code} ${meaning(closed)}${reason}`;
}

/**
 * A WebSocket that comes back by itself after an unclean end.
 *
 * States: idle → connecting → open → closing → closed, and waiting between an unclean end and the next try.
 * The listener has: changed(line), opened(), received(data), ended(closed), wanted() = whether a retry makes sense.
 */
export class Line {
  state = "idle";
  closed = null;
  attempt = 0;
  delay = 0;
  retryAt = 0;
  #socket = null;
  #byHand = false;
  #moving = false;
  #openedAt = 0;
  #timer = 0;

  constructor(path, listener) {
    this.url = webSocketUrl(path);
    this.listener = listener;
    addEventListener("online", () => this.retryNow());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.retryNow(); });
  }

  /** Connects at a person's wish, which starts the delays anew. */
  connect() {
    if (!this.#isAway()) return;
    this.attempt = 0;
    this.#open();
  }

  /** Connects to another path; a connection that is there ends first. */
  moveTo(path) {
    this.url = webSocketUrl(path);
    if (this.#isAway()) return this.connect();
    this.#moving = true;
    this.close("moving");
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

  #isAway() {
    return ["idle", "waiting", "closed"].includes(this.state);
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
    if (this.#moving) {
      this.#moving = false;
      this.attempt = 0;
      this.#open();
      return;
    }
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
export class Panel {
  #ticker = 0;
  #words;

  /** `words` replaces names of states. */
  constructor(line, words = {}) {
    this.#words = { ...WORDS, ...words };
    element("retry-now").addEventListener("click", () => {
      line.retryNow();
      // The button is gone now; the focus must not go with it.
      element("message").focus();
    });
  }

  show(line) {
    element("connection").dataset.state = line.state;
    element("state").textContent = this.#words[line.state];
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

/**
 * The last lines of a list; written to the page in batches, so that a flood costs one layout, not hundreds.
 *
 * Follows the newest line for as long as the end is in view. `written(count, following)` is told of each batch.
 */
export class Lines {
  #list;
  #most;
  #box;
  #written;
  #fresh = [];
  #timer = 0;
  #jumps = false;
  #follows = true;
  #size = "";

  /** `box` is what scrolls. */
  constructor(list, most, box = list, written = () => {}) {
    this.#list = list;
    this.#most = most;
    this.#box = box;
    this.#written = written;
    box.addEventListener("scroll", () => this.#scrolled());
    // A keyboard on the screen, a longer message being written: the newest line stays in view.
    new ResizeObserver(() => this.#settle()).observe(box);
  }

  /** Adds a line; with `jumps` it comes into view wherever the reader is. */
  add(line, jumps = false) {
    this.#jumps ||= jumps;
    this.#fresh.push(line);
    if (this.#fresh.length > this.#most) this.#fresh.shift();
    this.#timer ||= setTimeout(() => this.#flush(), 16);
  }

  clear() {
    this.#fresh = [];
    this.#list.replaceChildren();
  }

  isAtEnd() {
    const box = this.#box;
    return box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  }

  toEnd() {
    this.#box.scrollTop = this.#box.scrollHeight;
  }

  #flush() {
    this.#timer = 0;
    const count = this.#fresh.length;
    this.#follows ||= this.#jumps;
    this.#jumps = false;
    this.#list.append(...this.#fresh);
    this.#fresh = [];
    while (this.#list.childElementCount > this.#most) this.#list.firstElementChild.remove();
    this.#settle();
    this.#written(count, this.#follows);
  }

  /** Only a person's scrolling tells what a person wants to see: a new layout scrolls as well. */
  #scrolled() {
    if (this.#size === this.#measure()) this.#follows = this.isAtEnd();
    else this.#settle();
  }

  #settle() {
    this.#size = this.#measure();
    if (this.#follows) this.toEnd();
  }

  #measure() {
    const { clientWidth, clientHeight, scrollHeight } = this.#box;
    return `${clientWidth} ${clientHeight} ${scrollHeight}`;
  }
}
