// The chat: the page of a room, and the page to choose one.
//
// A module, loaded by chat.html and rooms.html; <main data-page data-room> says which of the two this is.
// Names, rooms and messages are other people's words: they reach the page through textContent only.

import { Line, Lines, Panel, closeNote, element } from "./line.js";

const TALK_LINES = 500;
const VISITED_ROOMS = 8;
const TONES = 6;
// Messages of one person this close together stand under one name.
const PAUSE_MS = 5 * 60 * 1000;
// A message that takes longer than this to come back is said to be on its way.
const SLOW_MS = 800;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

/** What this browser keeps between visits; a browser that keeps nothing forgets, and that is all. */
const memory = {
  get(key) {
    try {
      return JSON.parse(localStorage.getItem(`landline.${key}`));
    } catch {
      return null;
    }
  },
  set(key, value) {
    try {
      localStorage.setItem(`landline.${key}`, JSON.stringify(value));
    } catch {
      // Full or forbidden.
    }
  },
};

// Characters without a shape and those that turn the direction of a line, as the server refuses them in names; and
// those that only shape their neighbours.
const UNSEEN = new RegExp("[\\u00ad\\u034f\\u061c\\u115f-\\u1160\\u17b4-\\u17b5\\u180e\\u200b\\u200e-\\u200f\\u2028-\\u202e" +
  "\\u2060-\\u206f\\u2800\\u3164\\ufeff\\uffa0\\ufff0-\\ufffb\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}" +
  "\\u{e0000}-\\u{e001f}\\u{e0080}-\\u{e00ff}\\u{e01f0}-\\u{e0fff}]", "u");
const ONLY_JOINING = new RegExp("^[\\s\\u200c-\\u200d\\u180b-\\u180d\\u180f\\ufe00-\\ufe0f\\u{e0020}-\\u{e007f}" +
  "\\u{e0100}-\\u{e01ef}]*$", "u");
// What others are called who gave no name.
const TAKEN = /^(server|guest-\d+)$/i;

/** An element with a class, filled with texts and other elements. */
function made(kind, className, ...content) {
  const part = document.createElement(kind);
  if (className) part.className = className;
  part.append(...content);
  return part;
}

/** A name inside a sentence: its writing direction stays its own. */
function named(name) {
  return made("bdi", "name", name);
}

/** Always the same tone for the same name. */
function toneOf(name) {
  // FNV-1a; its upper half, which is mixed better.
  let hash = 2166136261;
  for (const character of name) hash = Math.imul(hash ^ character.codePointAt(0), 16777619);
  return (hash >>> 16) % TONES;
}

function countOf(text) {
  return [...text].length;
}

/** The rooms of earlier visits, the last first; whatever else stands in the memory is left out. */
function visitedRooms() {
  const rooms = memory.get("rooms");
  return Array.isArray(rooms) ? rooms.filter(room => typeof room === "string" && room !== "") : [];
}

function remember(room) {
  memory.set("rooms", [room, ...visitedRooms().filter(other => other !== room)].slice(0, VISITED_ROOMS));
}

function showVisited(rooms) {
  const items = rooms.map(room => {
    const link = made("a", "", made("bdi", "", room));
    link.title = room;
    link.href = `/chat/${encodeURIComponent(room.toWellFormed())}/`;
    return made("li", "", link);
  });
  element("rooms").replaceChildren(...items);
}

/** What was said, with who and when, and who came and went. */
class Talk {
  #lines = new Lines(element("talk"), TALK_LINES, element("talk-box"), (count, follows) => this.#written(count, follows));
  #behind = 0;
  #last = null;
  #day = calendar.format();

  constructor() {
    element("newest").addEventListener("click", () => this.#catchUp());
    element("talk-box").addEventListener("scroll", () => { if (this.#lines.isAtEnd()) this.#showBehind(0); });
  }

  say({ message, name, id, time }, isOwn) {
    this.#turnDay(time);
    const last = this.#last;
    const goesOn = last !== null && last.id === id && last.name === name && time - last.time < PAUSE_MS;
    this.#last = { id, name, time };
    const stamp = made("time", "", clock.format(time));
    stamp.dateTime = new Date(time).toISOString();
    stamp.title = `${calendar.format(time)}, ${clock.format(time)}`;
    const text = made("p", "text", message);
    text.dir = "auto";
    const line = made("li", "message", made("p", "who", named(name), " ", stamp), text);
    line.dataset.tone = toneOf(name);
    if (isOwn) line.dataset.own = "";
    if (goesOn) line.dataset.goesOn = "";
    this.#lines.add(line, isOwn);
  }

  note(...content) {
    this.#last = null;
    this.#lines.add(made("li", "note", ...content));
  }

  #turnDay(time) {
    const day = calendar.format(time);
    if (day === this.#day) return;
    this.#day = day;
    this.note(day);
  }

  #written(count, follows) {
    // The lines above the first one are gone, and with them perhaps its name.
    delete element("talk").firstElementChild.dataset.goesOn;
    this.#showBehind(follows ? 0 : this.#behind + count);
  }

  #catchUp() {
    this.#lines.toEnd();
    this.#showBehind(0);
    element("message").focus();
  }

  #showBehind(count) {
    this.#behind = count;
    element("newest").hidden = count === 0;
    element("newest").textContent = `${count} new below`;
  }
}

/** Who is in the room, as the server tells it: a snapshot, and what changed after it. */
class Here {
  #me = "";
  #sequence = null;
  #items = new Map();
  #connections = new Map();
  #early = [];

  /** Takes the snapshot and returns the changes that overtook it. */
  welcome({ name, here, sequence }) {
    this.#me = name;
    this.#sequence = sequence;
    this.#items.clear();
    this.#connections.clear();
    element("here").replaceChildren();
    for (const person of here) {
      this.#connections.set(person.name, person.connections);
      this.came(person.name);
    }
    return this.#early.splice(0);
  }

  /** The connection is over: what comes next begins with a snapshot. */
  forget() {
    this.#sequence = null;
    this.#early = [];
  }

  /** True if the change is news; before the snapshot it is kept for later. */
  isNews(change) {
    if (this.#sequence === null) this.#early.push(change);
    if (this.#sequence === null || change.sequence <= this.#sequence) return false;
    this.#sequence = change.sequence;
    return true;
  }

  isMe(name) {
    return name === this.#me;
  }

  /** Shows a name, one's own first. */
  came(name) {
    if (this.#items.has(name)) return;
    const person = made("span", "", named(name));
    if (this.isMe(name)) person.append(made("span", "aside", " (you)"));
    const item = made("li", "", person, made("span", "aside times"));
    item.dataset.tone = toneOf(name);
    this.#items.set(name, item);
    if (this.isMe(name)) element("here").prepend(item);
    else element("here").append(item);
    this.#count(name);
  }

  left(name) {
    this.#items.get(name)?.remove();
    this.#items.delete(name);
    this.#connections.delete(name);
    this.#count(name);
  }

  /** Another window of somebody opened or closed, perhaps before the news that this person came. */
  has(name, connections) {
    this.#connections.set(name, connections);
    this.#count(name);
  }

  #count(name) {
    element("here-count").textContent = this.#items.size;
    const times = this.#items.get(name)?.querySelector(".times");
    const connections = this.#connections.get(name) ?? 1;
    if (!times) return;
    times.textContent = connections > 1 ? `×${connections}` : "";
    times.title = connections > 1 ? `${connections} connections` : "";
  }
}

/** The number of messages that came while nobody looked, in the title of the page. */
class Unread {
  #title = document.title;
  #count = 0;

  constructor() {
    const look = () => { if (this.#isSeen()) this.#show(0); };
    addEventListener("focus", look);
    document.addEventListener("visibilitychange", look);
  }

  add() {
    if (!this.#isSeen()) this.#show(this.#count + 1);
  }

  #isSeen() {
    return !document.hidden && document.hasFocus();
  }

  #show(count) {
    this.#count = count;
    document.title = count > 0 ? `(${count}) ${this.#title}` : this.#title;
  }
}

/**
 * The field a message is written in, and what was sent from it.
 *
 * A message is on its way until the room has heard it, and this page is in the room. Whatever is still on its way
 * when the connection ends comes back into the field: nothing that was written is lost without a word.
 */
class Composer {
  #field = element("message");
  #onWay = [];
  #slow = 0;

  constructor(mostCharacters, send) {
    element("form").addEventListener("submit", event => {
      event.preventDefault();
      this.#submit(mostCharacters, send);
    });
    this.#field.addEventListener("keydown", event => {
      // While a word is being composed, the Enter key belongs to the input method.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      element("form").requestSubmit();
    });
    this.#field.addEventListener("input", () => { this.#fit(); this.hint(""); });
  }

  heard(text) {
    const at = this.#onWay.indexOf(text);
    if (at >= 0) this.#onWay.splice(at, 1);
    if (this.#onWay.length === 0) this.#settle();
  }

  refused(why) {
    this.#giveBack(this.#onWay.splice(0, 1));
    this.hint(`Not sent: ${why}.`);
  }

  /** The connection is back. */
  welcome() {
    if (element("hint").textContent !== "") this.hint("Connected again: press Send to send this.");
  }

  /** The connection is over. */
  ended() {
    this.#settle();
    if (this.#onWay.length === 0) return;
    this.#giveBack(this.#onWay.splice(0));
    this.hint("The connection ended before the room had this. Send it again when it is back.");
  }

  hint(text) {
    element("hint").textContent = text;
  }

  #submit(mostCharacters, send) {
    const text = this.#field.value.toWellFormed();
    if (text.trim() === "") return this.#field.focus();
    const count = countOf(text);
    if (count > mostCharacters) return this.hint(`A message has ${mostCharacters} characters at most; this one has ${count}.`);
    if (!send(text)) return this.hint("Not connected: the message stays here until you send it again.");
    this.#onWay.push(text);
    this.#field.value = "";
    this.#fit();
    this.hint("");
    this.#field.focus();
    this.#slow ||= setTimeout(() => this.hint("On its way …"), SLOW_MS);
  }

  #settle() {
    if (this.#slow === 0) return;
    clearTimeout(this.#slow);
    this.#slow = 0;
    this.hint("");
  }

  #giveBack(texts) {
    this.#field.value = [...texts, this.#field.value].filter(text => text !== "").join("\n");
    this.#fit();
  }

  #fit() {
    this.#field.rows = Math.min(5, this.#field.value.split("\n").length);
  }
}

/** Asks for a name, once for each browser and again on demand. */
class NameForm {
  #taken;
  #most;
  #name = "";

  constructor(mostCharacters, taken) {
    this.#most = mostCharacters;
    this.#taken = taken;
    element("name-form").addEventListener("submit", event => {
      event.preventDefault();
      this.#submit(element("name").value.toWellFormed().trim());
    });
    element("name-keep").addEventListener("click", () => this.#close());
    element("rename").addEventListener("click", () => this.open());
    const name = memory.get("name");
    if (typeof name === "string" && this.#problem(name) === "") this.#take(name);
    else this.open();
  }

  open() {
    element("name").value = this.#name;
    element("name-keep").hidden = this.#name === "";
    element("name-save").textContent = this.#name === "" ? "Join" : "Change";
    element("name-hint").textContent = "";
    element("name-form").hidden = false;
    element("name").select();
    element("name").focus();
  }

  #submit(name) {
    const problem = this.#problem(name);
    element("name-hint").textContent = problem;
    if (problem !== "") return element("name").focus();
    memory.set("name", name);
    this.#take(name);
  }

  #take(name) {
    const isNew = name !== this.#name;
    this.#name = name;
    for (const part of document.querySelectorAll("[data-named]")) part.hidden = false;
    this.#close();
    if (isNew) this.#taken(name);
  }

  #close() {
    element("name-form").hidden = true;
    element("message").focus();
  }

  #problem(name) {
    if (name === "") return "A name has at least one character.";
    if (countOf(name) > this.#most) return `A name has ${this.#most} characters at most.`;
    if (/\p{Cc}/u.test(name)) return "A name has no control characters.";
    if (UNSEEN.test(name)) return "A name has no invisible characters.";
    if (ONLY_JOINING.test(name)) return "Nothing of this name can be seen.";
    return TAKEN.test(name) ? "Others are called that who gave no name." : "";
  }
}

/** A frame, be it from the chat or from a program that publishes to everybody: that may be any text. */
function parsed(data) {
  if (typeof data !== "string") return { type: "binary" };
  try {
    const frame = JSON.parse(data);
    if (typeof frame?.type === "string") return frame;
    if (typeof frame?.message === "string") return said(frame);
  } catch {
    // No JSON.
  }
  return said({ message: data });
}

/** A message with everything that it is shown with: what the chat sends has it all, what a program sends may not. */
function said({ message, name, id, time }) {
  return {
    message,
    name: typeof name === "string" ? name : "server",
    id: typeof id === "number" ? id : 0,
    time: Number.isFinite(time) && Math.abs(time) <= 8.64e15 ? time : Date.now(),
  };
}

/** True if a frame with a type is what its type says. */
function isWhole(frame) {
  const isPerson = person => typeof person?.name === "string" && Number.isInteger(person.connections);
  const kinds = {
    welcome: () => typeof frame.id === "number" && typeof frame.name === "string" && Number.isInteger(frame.sequence)
      && Array.isArray(frame.here) && frame.here.every(isPerson),
    join: () => typeof frame.name === "string" && Number.isInteger(frame.sequence),
    leave: () => typeof frame.name === "string" && Number.isInteger(frame.sequence),
    connections: () => isPerson(frame),
    error: () => typeof frame.error === "string",
  };
  return frame.type === undefined || (Object.hasOwn(kinds, frame.type) && kinds[frame.type]());
}

function chatPage({ room, nameCharacters, messageCharacters }) {
  const talk = new Talk();
  const here = new Here();
  const unread = new Unread();
  // The numbers of this page's connections, the last one included: what they said is one's own.
  const own = new Set();
  let isWelcome = false;
  let wasLost = false;

  const frames = {
    message: frame => {
      const isOwn = own.has(frame.id);
      talk.say(frame, isOwn);
      if (isOwn) composer.heard(frame.message);
      else unread.add();
    },
    welcome: frame => {
      own.add(frame.id);
      isWelcome = true;
      const changes = here.welcome(frame);
      composer.welcome();
      if (wasLost) talk.note("Connected again. What was said in between is not here.");
      wasLost = false;
      changes.forEach(take);
    },
    join: frame => {
      if (!here.isNews(frame)) return;
      here.came(frame.name);
      if (!here.isMe(frame.name)) talk.note(named(frame.name), " joined");
    },
    leave: frame => {
      if (!here.isNews(frame)) return;
      here.left(frame.name);
      talk.note(named(frame.name), " left");
    },
    connections: frame => here.has(frame.name, frame.connections),
    error: frame => composer.refused(frame.error),
  };
  const take = frame => frames[frame.type ?? "message"](frame);
  const received = data => {
    const frame = parsed(data);
    // A kind of frame that a later server may send, or that some program does, is none of this page's business.
    if (isWhole(frame)) take(frame);
  };

  const line = new Line("/", {
    changed: current => { panel.show(current); element("here").dataset.state = current.state; },
    opened: () => {},
    received,
    ended: closed => {
      here.forget();
      composer.ended();
      if (isWelcome && !closed.byHand) {
        talk.note(`The connection ended: ${closeNote(closed)}.`);
        wasLost = true;
      }
      isWelcome = false;
    },
    wanted: () => true,
  });
  const panel = new Panel(line, { open: "Connected" });
  const composer = new Composer(Number(messageCharacters), message => {
    if (line.state !== "open" || !isWelcome) return false;
    line.send(JSON.stringify({ message }));
    return true;
  });
  new NameForm(Number(nameCharacters), name => {
    line.moveTo(`/ws/chat/${encodeURIComponent(room)}/?name=${encodeURIComponent(name)}`);
  });
  showVisited(visitedRooms().filter(other => other !== room));
  remember(room);
}

function roomsPage() {
  const rooms = visitedRooms();
  if (rooms.length === 0) return;
  element("visited").hidden = false;
  showVisited(rooms);
}

const { dataset } = element("main");
if (dataset.page === "chat") chatPage(dataset);
if (dataset.page === "rooms") roomsPage();
