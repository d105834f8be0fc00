// The operator's page: asks for figures every two seconds, draws them, and shows who is connected.
// Every text that comes from elsewhere is put in as text, never as markup.

const EVERY = 2000;
const SHOWN = 300;
// A server that hangs is told from one that is slow.
const PATIENCE = 5000;
const SVG = "http://www.w3.org/2000/svg";
const element = id => document.getElementById(id);

/** Asks the server; an answer that is no success is thrown in its own words. */
async function ask(path, body, method) {
  const options = { method: method ?? (body ? "POST" : "GET"), credentials: "same-origin", cache: "no-store", headers: {} };
  if (body) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const response = await fetch(`/admin/${path}`, { ...options, signal: AbortSignal.timeout(PATIENCE) });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw Object.assign(new Error(answer.error ?? `The server says ${response.status}.`), { status: response.status });
  return answer;
}

function text(id, words) {
  const target = element(id);
  if (target.textContent !== String(words)) target.textContent = words;
}

/** Text of others: what cannot be seen in it, or turns the direction of what is around, is spelt out. */
function visible(words) {
  const hidden = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]/gu;
  return String(words ?? "").replace(hidden, found => `\\u{${found.codePointAt(0).toString(16)}}`);
}

function count(number) {
  if (number >= 1e9) return `${(number / 1e9).toFixed(2)} G`;
  if (number >= 1e6) return `${(number / 1e6).toFixed(2)} M`;
  return Number(number).toLocaleString("en");
}

function rate(number) {
  return number >= 100 || number === 0 ? count(Math.round(number)) : number.toFixed(1);
}

function bytes(number) {
  let unit = 0;
  while (number >= 1024 && unit < 4) { number /= 1024; unit += 1; }
  return `${unit === 0 ? number : number.toFixed(1)} ${["B", "KiB", "MiB", "GiB", "TiB"][unit]}`;
}

function time(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ${Math.round(seconds % 3600 / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor(seconds % 86400 / 3600)} h`;
}

function millis(value) {
  if (value < 1) return `${Math.round(value * 1000)} µs`;
  return `${value.toFixed(value < 10 && !Number.isInteger(value) ? 2 : 0)} ms`;
}

/** A plot of one or two lines over the time that is kept. */
class Plot {
  #svg;
  #lines;
  #words;
  #least;

  /**
   * `lines`: a class and the place in a sample for each; `words` says a value of the axis; `least` is
   * where an axis of powers of ten begins, without it the axis begins at zero.
   */
  constructor(id, lines, words, least) {
    this.#svg = element(id);
    this.#lines = lines;
    this.#words = words;
    this.#least = least;
  }

  /** How far up a value is, from 0 to 1, and where the lines across are. */
  #axis(most) {
    if (!this.#least) {
      const top = ceiling(most);
      return { top, part: value => value / top, across: [0, .5, 1] };
    }
    const decades = Math.max(2, Math.ceil(Math.log10(Math.max(most, this.#least) / this.#least)));
    const part = value => Math.max(0, Math.log10(value / this.#least)) / decades;
    return { top: this.#least * 10 ** decades, part, across: Array.from({ length: decades + 1 }, (_, at) => at / decades) };
  }

  draw(samples) {
    const width = this.#svg.clientWidth || 300, height = this.#svg.clientHeight || 130;
    const low = height - 16, high = 14;
    const values = samples.flatMap(sample => this.#lines.map(line => sample[line.at] ?? 0));
    const { top, part, across } = this.#axis(Math.max(0, ...values));
    const now = samples.at(-1)?.[0] ?? Date.now();
    // A server that has just begun has its minutes drawn large.
    const age = now - (samples[0]?.[0] ?? now);
    const minutes = [1, 2, 5, 10].find(minutes => minutes * 60000 >= age) ?? 10;
    const x = at => width - (now - at) / (minutes * 60000) * width;
    const up = part => low - part * (low - high);
    const y = value => up(part(value));
    const parts = across.map(part => shape("line", { x1: 0, x2: width, y1: up(part), y2: up(part) }));
    parts.push(label(0, high - 4, this.#words(top), "start"));
    if (this.#least) parts.push(label(width, low - 4, this.#words(this.#least), "end"));
    parts.push(label(0, height - 3, `${minutes} min ago`, "start"));
    parts.push(label(width, height - 3, "now", "end"));
    this.#lines.forEach((line, number) => {
      const points = samples.filter(sample => sample[line.at] !== null && sample[line.at] !== undefined)
        .map(sample => [x(sample[0]), y(sample[line.at]), sample[0]]);
      if (number === 0) parts.push(shape("path", { class: "area", d: area(points, low) }));
      parts.push(shape("path", { class: line.class, d: curve(points) }));
    });
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.#svg.replaceChildren(...parts);
  }
}

/** Points without a gap of time between them. */
function runs(points) {
  const found = [];
  let before = -Infinity;
  for (const point of points) {
    if (point[2] - before > 3 * EVERY) found.push([]);
    found.at(-1).push(`${point[0].toFixed(1)},${point[1].toFixed(1)}`);
    before = point[2];
  }
  return found;
}

/** A line through points; where some are missing, it begins anew. */
function curve(points) {
  return runs(points).map(run => `M${run.join("L")}`).join("") || "M0,0";
}

/** What lies below that line. */
function area(points, low) {
  const left = point => point.split(",")[0];
  return runs(points).map(run => `M${left(run[0])},${low}L${run.join("L")}L${left(run.at(-1))},${low}Z`).join("") || "M0,0";
}

/** The next of 1, 2, 5, 10, 20 .. above a value. */
function ceiling(value) {
  if (value <= 0) return 1;
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map(step => step * unit).find(step => step >= value * 1.0001) ?? 10 * unit;
}

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function label(x, y, words, anchor) {
  const made = shape("text", { x, y, "text-anchor": anchor });
  made.textContent = words;
  return made;
}

const plots = [
  new Plot("plot-connections", [{ at: 1, class: "line-one" }, { at: 2, class: "line-two" }], count),
  new Plot("plot-messages", [{ at: 3, class: "line-one" }, { at: 4, class: "line-two" }], count),
  new Plot("plot-latency", [{ at: 6, class: "line-one" }, { at: 7, class: "line-two" }], millis, .01),
  new Plot("plot-drops", [{ at: 5, class: "line-bad" }], count),
];

let samples = [];
let mayChange = false;
// Since when there is no answer.
let silent = null;

function showFigures(figures) {
  const known = samples.at(-1)?.[0] ?? 0;
  samples = [...samples, ...figures.samples.filter(([at]) => at > known)].slice(-SHOWN);
  mayChange = figures.may_change;
  const last = samples.at(-1) ?? [0, 0, 0, 0, 0, 0, null, null];
  const state = { stopping: "Stopping", draining: "Draining", full: "Full" }[figures.reluctance] ?? figures.reluctance;
  showState(state ?? "Ready", state ? "wait" : "good");
  text("now-connections", count(figures.connections));
  text("limit", count(figures.max_connections));
  text("now-received", rate(last[3]));
  text("now-sent", rate(last[4]));
  text("now-p50", last[6] === null ? "no messages" : millis(last[6]));
  text("now-p99", last[7] === null ? "" : `p99 ${millis(last[7])}`);
  text("now-dropped", rate(last[5]));
  text("all-dropped", count(figures.dropped));
  text("uptime", time(figures.uptime));
  for (const name of ["received", "sent"]) text(name, count(figures[name]));
  text("queued", bytes(figures.queued_bytes));
  text("high", bytes(figures.queue_high_bytes));
  text("slow", count(figures.slow_clients));
  text("refused", count(figures.refused_clients));
  text("handshakes", count(figures.refused_handshakes));
  text("memory", bytes(figures.resident_bytes));
  text("threads", count(figures.threads));
  text("descriptors", count(figures.descriptors));
  text("rooms", count(figures.groups));
  element("say-send").disabled = !mayChange;
  element("say-send").title = mayChange ? "" : "Needs a server with --admin-key";
  text("routes", figures.routes.filter(route => route.open > 0).map(route => `${count(route.open)} on ${route.route}`).join(", "));
  text("causes", causes(figures.closes));
  for (const plot of plots) plot.draw(samples);
}

/** How many have ended for each cause, the most frequent first. */
function causes(closes) {
  const sums = new Map();
  for (const close of closes) sums.set(close.cause, (sums.get(close.cause) ?? 0) + close.count);
  const sorted = [...sums].sort(([, one], [, other]) => other - one);
  return sorted.map(([cause, number]) => `${count(number)} ${cause}`).join(", ");
}

function showState(words, state) {
  text("state", words);
  element("state").dataset.state = state;
  document.title = state === "good" ? "Landline: what goes on" : `${words}: Landline`;
}

/** There is no answer: what is shown is of a while ago, and says so. */
function showSilence() {
  silent ??= new Date();
  showState(`No answer since ${silent.toLocaleTimeString()}`, "bad");
  document.body.dataset.stale = "";
}

function showAnswer() {
  silent = null;
  delete document.body.dataset.stale;
}

/** A cell of a table: its text, and what it is called where there is no head. */
function cell(words, name, kind) {
  const made = document.createElement("td");
  made.textContent = visible(words);
  made.dataset.label = name;
  if (kind) made.className = kind;
  return made;
}

/** Who is at the other end, and for whom it speaks. */
function client(row) {
  return cell(row.forwarded ? `${row.forwarded} by ${row.peer}` : row.peer, "client");
}

/** The cell that opens the story of a connection. */
function door(row) {
  const made = document.createElement("td");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "link";
  button.textContent = `conn-${row.id}`;
  made.append(button);
  return made;
}

function traffic(row, way) {
  const made = cell(count(row[way]), way === "received" ? "in" : "out", "number");
  made.title = bytes(row[`bytes_${way}`]);
  return made;
}

function connectionRow(row) {
  const cells = [
    door(row), client(row), cell(row.route, "route", "free"), cell(row.user, "user", "free"),
    cell(time(row.age), "open for", "number"), traffic(row, "received"), traffic(row, "sent"),
    cell(bytes(row.queued), "waiting", "number"), cell(row.groups, "groups", "number"),
  ];
  const last = document.createElement("td");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet end";
  button.textContent = "Close";
  button.disabled = !mayChange;
  button.title = mayChange ? "" : "Needs a server with --admin-key";
  button.addEventListener("click", event => { event.stopPropagation(); askToEnd(row); });
  last.append(button);
  return [...cells, last];
}

function closedRow(row) {
  const why = cell(`${row.code}${row.reason ? ` ${row.reason}` : ""}`, "code", "whole free");
  const cause = cell(row.cause, "cause");
  cause.dataset.cause = row.cause;
  return [
    door(row), client(row), cell(row.route, "route", "free"), cell(row.user, "user", "free"),
    cell(`${time(row.ago)} ago`, "ended", "number"), cell(time(row.seconds), "was open", "number"),
    traffic(row, "received"), traffic(row, "sent"), cause, why,
  ];
}

function groupRow(row) {
  const name = document.createElement("td");
  name.className = "free";
  const button = document.createElement("button");
  button.type = "button";
  button.className = "link";
  button.textContent = visible(row.name);
  button.addEventListener("click", () => { element("say-group").value = row.name; element("say-text").focus(); });
  name.append(button);
  return [name, ...["members", "published", "written", "queued", "dropped"].map(key => cell(count(row[key]), key, "number"))];
}

/** A table that is asked for while it is seen. */
class Table {
  constructor(name, cells, isStory) {
    this.name = name;
    this.cells = cells;
    this.isStory = isStory;
    this.filter = element(`filter-${name}`);
    this.body = element(name).tBodies[0];
    this.asked = 0;
    this.sort = "";
    this.filter.addEventListener("input", () => refresh());
    for (const head of element(name).tHead.querySelectorAll("th[data-sort]")) {
      head.firstElementChild.addEventListener("click", () => this.sortBy(head));
    }
    if (isStory) {
      this.body.addEventListener("click", event => {
        const id = event.target.closest("tr")?.dataset.id;
        if (id) tellStory(name, id);
      });
    }
  }

  /** The most first; asked for again, in the order that the server has. */
  sortBy(head) {
    this.sort = this.sort === head.dataset.sort ? "" : head.dataset.sort;
    for (const other of head.parentElement.querySelectorAll("th[data-sort]")) {
      if (this.sort && other === head) other.setAttribute("aria-sort", "descending");
      else other.removeAttribute("aria-sort");
    }
    refresh();
  }

  async refresh() {
    const number = ++this.asked;
    const { all, found, rows } = await ask(`${this.name}?${new URLSearchParams({ filter: this.filter.value, sort: this.sort })}`);
    // A later question has been asked meanwhile.
    if (number !== this.asked) return;
    const shown = found > rows.length ? `, the first ${rows.length} shown` : "";
    text(`found-${this.name}`, this.filter.value ? `${count(found)} of ${count(all)}${shown}` : `${count(all)} in all${shown}`);
    this.put(rows.length === 0 ? [this.nothing()] : rows.map(row => this.row(row)));
  }

  /** Shows rows; what is there already stays in its place, so that a click or a focus is not lost. */
  put(rows) {
    const focused = document.activeElement;
    for (const old of [...this.body.rows]) if (!rows.includes(old)) old.remove();
    rows.forEach((row, at) => {
      if (this.body.rows[at] !== row) this.body.insertBefore(row, this.body.rows[at] ?? null);
    });
    // Who moves takes no focus along.
    if (focused !== document.activeElement && this.body.contains(focused)) focused.focus({ preventScroll: true });
  }

  row(row) {
    const key = String(row.id ?? row.name);
    const known = [...this.body.rows].find(known => known.dataset.key === key);
    const cells = this.cells(row);
    if (known) {
      cells.forEach((cell, at) => { if (!known.cells[at].isEqualNode(cell)) known.cells[at].replaceWith(cell); });
      return known;
    }
    const made = document.createElement("tr");
    made.dataset.key = key;
    if (this.isStory) made.dataset.id = row.id;
    made.append(...cells);
    return made;
  }

  nothing() {
    const made = document.createElement("tr");
    const only = document.createElement("td");
    only.className = "empty";
    only.colSpan = 10;
    only.textContent = this.filter.value ? "Nothing fits the filter." : "Nothing yet.";
    made.append(only);
    return made;
  }
}

const tables = {
  connections: new Table("connections", connectionRow, true),
  groups: new Table("groups", groupRow, false),
  closed: new Table("closed", closedRow, true),
};
let shown = "connections";

function show(name) {
  shown = name;
  for (const other of Object.keys(tables)) {
    const tab = element(`tab-${other}`);
    tab.setAttribute("aria-selected", other === name);
    tab.tabIndex = other === name ? 0 : -1;
    element(`panel-${other}`).hidden = other !== name;
  }
  refresh();
}

async function tellStory(table, id) {
  try {
    const story = await ask(`${table}/${id}`);
    text("story-title", `conn-${story.id}`);
    const facts = [
      ["Client", story.forwarded ? `${story.forwarded} by ${story.peer}` : story.peer], ["Route", story.route], ["User", story.user ?? "not known"],
      ["Opened", new Date(story.since).toLocaleString()],
      ["In", `${count(story.received)}, ${bytes(story.bytes_received)}`], ["Out", `${count(story.sent)}, ${bytes(story.bytes_sent)}`],
      ["Subprotocol", story.subprotocol ?? "none"], ["Compression", story.compressed ? "agreed" : "none"],
      ["Highest queue", bytes(story.high)], ["Lost", count(story.lost)],
    ];
    if (Array.isArray(story.groups)) facts.push(["Groups", story.groups.map(visible).join(", ") || "none"]);
    if (story.ended) facts.push(["Ended", new Date(story.ended).toLocaleString()], ["Cause", story.cause], ["Code and reason", `${story.code} ${story.reason}`.trim()]);
    element("story-facts").replaceChildren(...facts.map(([name, value]) => pair(name, value)));
    element("story-events").replaceChildren(...story.events.map(event => {
      const made = document.createElement("li");
      made.dataset.event = event.kind;
      made.append(span("label", `${event.after.toFixed(2)} s`), span("text", event.text));
      return made;
    }));
    element("story").showModal();
  } catch (error) {
    text("hint", error.message);
  }
}

function pair(name, value) {
  const made = document.createElement("div");
  const term = document.createElement("dt"), what = document.createElement("dd");
  term.textContent = name;
  what.textContent = visible(value);
  made.append(term, what);
  return made;
}

function span(kind, words) {
  const made = document.createElement("span");
  made.className = kind;
  made.textContent = words;
  return made;
}

let ending = null;

function askToEnd(row) {
  ending = row.id;
  text("end-who", `conn-${row.id}, ${row.forwarded ?? row.peer}${row.user ? `, ${visible(row.user)}` : ""}`);
  text("end-hint", "");
  element("end").showModal();
}

element("end-leave").addEventListener("click", () => element("end").close());
element("end-form").addEventListener("submit", async event => {
  event.preventDefault();
  try {
    await ask(`connections/${ending}/close`, { code: Number(element("end-code").value), reason: element("end-reason").value });
    element("end").close();
    await refresh();
  } catch (error) {
    text("end-hint", error.message);
  }
});

element("say").addEventListener("submit", async event => {
  event.preventDefault();
  try {
    const said = await ask("groups/say", { group: element("say-group").value, text: element("say-text").value });
    text("said", said.members === 0 ? "Nobody is in this group." : `Said to ${count(said.members)}: ${said.written ?? "?"} have it, it waits for ${said.queued ?? "?"}.`);
    if (said.members > 0) element("say-text").value = "";
  } catch (error) {
    text("said", error.message);
  }
});

for (const name of Object.keys(tables)) element(`tab-${name}`).addEventListener("click", () => show(name));
document.querySelector(".tabs").addEventListener("keydown", event => {
  const names = Object.keys(tables), step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const next = names[(names.indexOf(shown) + step + names.length) % names.length];
  show(next);
  element(`tab-${next}`).focus();
});

/** The page asks for the key. */
function close(words) {
  showAnswer();
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  element("inside").hidden = true;
  element("leave").hidden = true;
  element("door").hidden = false;
  showState("Locked", "wait");
  text("door-hint", words);
  if (document.activeElement === document.body) element("key").focus();
}

element("door").addEventListener("submit", async event => {
  event.preventDefault();
  try {
    await ask("session", { key: element("key").value });
    element("key").value = "";
    samples = [];
    await refresh();
  } catch (error) {
    text("door-hint", error.message);
    element("key").select();
  }
});

element("leave").addEventListener("click", async () => {
  await ask("session", undefined, "DELETE").catch(() => {});
  samples = [];
  close("");
});

/** One round: the figures, then the table that is seen. */
async function refresh() {
  try {
    const figures = await ask(`data?since=${samples.at(-1)?.[0] ?? 0}`);
    showAnswer();
    showFigures(figures);
    element("door").hidden = true;
    if (element("inside").hidden) {
      element("inside").hidden = false;
      // Only now the plots have a size.
      for (const plot of plots) plot.draw(samples);
    }
    element("leave").hidden = !mayChange;
    await tables[shown].refresh();
    text("hint", "");
  } catch (error) {
    if (error.status === 401) return close(element("inside").hidden ? element("door-hint").textContent : "The session is over.");
    if (error.status === undefined) return showSilence();
    text("hint", error.message);
  }
}

async function run() {
  for (;;) {
    // Nobody looks at a page that is put away.
    if (document.visibilityState === "visible" && element("door").hidden) await refresh();
    await new Promise(wake => setTimeout(wake, EVERY));
  }
}

addEventListener("resize", () => plots.forEach(plot => plot.draw(samples)));
// Asked first, so that a page that needs the key is no error.
ask("session").then(({ inside }) => { if (!inside) close(""); }, () => {}).finally(run);
