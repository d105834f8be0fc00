// Talks to a running server with the `ws` package and compares what comes back.
//
// usage: node client.mjs ws://HOST:PORT THRESHOLD
//
// THRESHOLD is the length from which on the server compresses, or `off` where it must not agree on
// compression at all. Ends with 0 if everything was as it must be.

import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { deepStrictEqual } from "node:assert";

const WebSocket = createRequire(new URL(".env/node/", import.meta.url))("ws");

const [server, thresholdText] = process.argv.slice(2);
const isOff = thresholdText === "off";
const threshold = isOff ? Infinity : Number(thresholdText);
const AGREED = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
/** Compresses everything it sends, be it ever so short. */
const EAGER = { threshold: 0 };

function check(isRight, what) {
  if (!isRight) throw new Error(what);
}

function checkSame(got, expected, what) {
  check(got === expected, `${what}: got ${JSON.stringify(got)}, expected ${JSON.stringify(expected)}`);
}

/** One connection, its messages in a queue. */
class Client {
  /** What the server answered to the offer. */
  extensions;
  pongs = [];
  #ws;
  #queue = [];
  #wanted = [];
  #end;

  static async open(path, perMessageDeflate) {
    const client = new Client();
    const ws = client.#ws = new WebSocket(server + path, { perMessageDeflate });
    ws.on("upgrade", response => { client.extensions = response.headers["sec-websocket-extensions"]; });
    ws.on("message", (data, isBinary) => {
      const message = isBinary ? data : data.toString();
      const wanted = client.#wanted.shift();
      if (wanted) wanted.resolve(message);
      else client.#queue.push(message);
    });
    ws.on("pong", data => client.pongs.push(data.toString()));
    client.#end = new Promise((resolve, reject) => {
      ws.on("close", (code, reason) => {
        const error = new Error(`the connection was closed with ${code} ${reason}`);
        client.#wanted.forEach(wanted => wanted.reject(error));
        resolve(code);
      });
      ws.on("error", reject);
    });
    client.#end.catch(error => client.#wanted.forEach(wanted => wanted.reject(error)));
    await Promise.race([new Promise(resolve => ws.on("open", resolve)), client.#end]);
    return client;
  }

  get wireBytes() {
    return this.#ws._socket.bytesRead;
  }

  send(message, options = {}) {
    this.#ws.send(message, options);
  }

  ping(data) {
    this.#ws.ping(data);
  }

  next() {
    if (this.#queue.length > 0) return Promise.resolve(this.#queue.shift());
    const ended = this.#end.then(code => { throw new Error(`closed with ${code}`); });
    const arrived = new Promise((resolve, reject) => this.#wanted.push({ resolve, reject }));
    return Promise.race([arrived, ended]);
  }

  async expect(message, what) {
    const got = await this.next();
    checkSame(typeof got, typeof message, `${what}: kind of the message`);
    if (typeof message !== "string") return check(message.equals(got), `${what}: ${difference(got, message)}`);
    check(got === message, `${what}: ${difference(Buffer.from(got), Buffer.from(message))}`);
  }

  /** Sends a message, awaits it, and returns how many bytes it took on the wire. */
  async echo(message, what) {
    const before = this.wireBytes;
    this.send(message);
    await this.expect(message, what);
    return this.wireBytes - before;
  }

  async close() {
    this.#ws.close(1000);
    checkSame(await this.#end, 1000, "code of the close");
    checkSame(this.#queue.length, 0, "messages that nobody expected");
  }
}

function difference(got, expected) {
  let at = 0;
  while (at < got.length && got[at] === expected[at]) at++;
  const part = bytes => bytes.subarray(at, at + 20).toString("hex");
  return `${got.length} bytes for ${expected.length}, byte ${at} is the first other one: got ${part(got)}, expected ${part(expected)}`;
}

const SCRIPTS = {
  ASCII: '{"symbol":"2330","price":17.25,"open":true},',
  CJK: "行情：上證指數，恆生指數。日経平均株価、終値。",
  emoji: "📈😀👩‍👩‍👧‍👦🇹🇼✅",
};

/** Compressible text of exactly this many bytes of UTF-8. */
function text(script, bytes) {
  const unit = SCRIPTS[script];
  const size = Buffer.byteLength(unit);
  const whole = unit.repeat(Math.floor(bytes / size));
  return whole + ".".repeat(bytes - Buffer.byteLength(whole));
}

/** Bytes that do not compress, the same in each run. */
function noise(bytes) {
  return createHash("shake256", { outputLength: Math.max(bytes, 1) }).update("noise").digest().subarray(0, bytes);
}

const LENGTHS = [0, 10, 5_000, 100_000, 900_000];

/** Text with the same line twice, at distances within and beyond the smaller windows. */
function farRepeats() {
  const line = Array.from({ length: 3000 }, (_, at) => String.fromCharCode(97 + (at * at) % 23)).join("");
  return [300, 600, 3_000, 20_000].map(gap => line + noise(gap).toString("hex") + line).join("");
}

/** Length of a frame whose payload went out as it was. */
function plainFrame(bytes) {
  return bytes + (bytes < 126 ? 2 : bytes < 65_536 ? 4 : 10);
}

function checkWire(wire, bytes, isCompressible, what) {
  if (!isCompressible || bytes < threshold) return checkSame(wire, plainFrame(bytes), `${what}: bytes on the wire`);
  // What is short need not get smaller.
  const most = bytes < 1000 ? plainFrame(bytes) : bytes / 4;
  check(wire <= most, `${what}: ${wire} bytes on the wire, expected ${most} at most`);
}

async function echoAll(client, isPlain = false) {
  for (const bytes of LENGTHS) {
    for (const script of Object.keys(SCRIPTS)) {
      const what = `${bytes} bytes of ${script}`;
      checkWire(await client.echo(text(script, bytes), what), bytes, !isPlain, what);
    }
    const what = `${bytes} bytes of noise`;
    checkWire(await client.echo(noise(bytes), what), bytes, false, what);
    const binary = Buffer.from(text("ASCII", bytes));
    checkWire(await client.echo(binary, `${bytes} compressible bytes`), bytes, !isPlain, `${bytes} compressible bytes`);
  }
}

const checks = {
  async "texts and binaries of all lengths"() {
    const client = await Client.open("/echo", EAGER);
    checkSame(client.extensions, isOff ? undefined : AGREED, "extensions");
    await echoAll(client);
    await client.close();
  },

  async "lengths around the threshold"() {
    const client = await Client.open("/echo", EAGER);
    for (let bytes = 990; bytes < 1060; bytes++) {
      checkWire(await client.echo(text("ASCII", bytes), `${bytes} bytes`), bytes, true, `${bytes} bytes`);
    }
    await client.close();
  },

  async "a client without compression"() {
    const client = await Client.open("/echo", false);
    checkSame(client.extensions, undefined, "extensions");
    await echoAll(client, true);
    await client.close();
  },

  async "many messages in flight"() {
    for (const offer of [EAGER, true, false]) {
      const client = await Client.open("/echo", offer);
      const messages = Array.from({ length: 3000 }, (_, at) => {
        const bytes = (at * 37) % 2500;
        return at % 3 === 0 ? noise(bytes) : `${at} ${text(at % 2 ? "CJK" : "ASCII", bytes)}`;
      });
      messages.forEach(message => client.send(message));
      for (const [at, message] of messages.entries()) await client.expect(message, `message ${at}`);
      await client.close();
    }
  },

  async "several clients at once"() {
    const offers = [EAGER, true, false, { serverMaxWindowBits: 9 }, { ...EAGER, serverMaxWindowBits: 12 }];
    await Promise.all(offers.map(async offer => {
      const client = await Client.open("/echo", offer);
      const messages = Array.from({ length: 300 }, (_, at) => `${at} ${text("emoji", at * 40)}`);
      messages.forEach(message => client.send(message));
      for (const [at, message] of messages.entries()) await client.expect(message, `message ${at}`);
      await client.close();
    }));
  },

  async "fragments with pings between"() {
    const client = await Client.open("/echo", EAGER);
    const pings = [];
    for (const [script, bytes, length] of [["ASCII", 300, 1], ["emoji", 5_000, 7], ["CJK", 100_000, 4_099]]) {
      for (const binary of [false, true]) {
        const whole = Buffer.from(text(script, bytes));
        for (let at = 0; at < whole.length; at += length) {
          client.send(whole.subarray(at, at + length), { binary, fin: at + length >= whole.length });
          pings.push(`${pings.length}`);
          client.ping(pings.at(-1));
        }
        await client.expect(binary ? whole : whole.toString(), `${bytes} bytes in fragments of ${length}`);
      }
    }
    // What follows a fragmented message is a message as any other, and comes after every pong.
    await client.echo("after them", "the message after the fragments");
    deepStrictEqual(client.pongs, pings);
    await client.close();
  },

  async "offers of all kinds"() {
    const both = { serverNoContextTakeover: true, clientNoContextTakeover: true };
    const offers = [
      [true, ""],
      [both, ""],
      [{ serverNoContextTakeover: true }, ""],
      [{ clientNoContextTakeover: true }, ""],
      [{ ...both, serverMaxWindowBits: 10, clientMaxWindowBits: 12 }, "; server_max_window_bits=10; client_max_window_bits=12"],
      [{ clientMaxWindowBits: false }, ""],
      // zlib makes no raw blocks with this window: such an offer is declined, and of the client not asked for.
      [{ serverMaxWindowBits: 8 }, null],
      [{ clientMaxWindowBits: 8 }, ""],
    ];
    for (let bits = 9; bits <= 15; bits++) {
      offers.push([{ serverMaxWindowBits: bits }, `; server_max_window_bits=${bits}`]);
      // What is the default anyway is not said again.
      offers.push([{ clientMaxWindowBits: bits }, bits < 15 ? `; client_max_window_bits=${bits}` : ""]);
    }
    for (const [offer, more] of offers) {
      const what = JSON.stringify(offer);
      const client = await Client.open("/echo", typeof offer === "object" ? { ...offer, ...EAGER } : offer);
      const isPlain = isOff || more === null;
      const agreed = AGREED + more;
      checkSame(client.extensions, isPlain ? undefined : agreed, `answer to ${what}`);
      for (let round = 0; round < 3; round++) {
        const far = farRepeats();
        const wire = await client.echo(far, what);
        check(isPlain === (wire === plainFrame(far.length)), `${what}: ${wire} bytes on the wire for ${far.length}`);
        checkWire(await client.echo(text("CJK", 100_000), what), 100_000, !isPlain, what);
        checkWire(await client.echo(noise(50_000), what), 50_000, false, what);
      }
      await client.close();
    }
  },

  async "a chat of different clients"() {
    const path = `/ws/chat/interop-node-${thresholdText}/`;
    const offers = [EAGER, { ...EAGER, serverMaxWindowBits: 10 }, { serverMaxWindowBits: 9 }, true, false];
    const clients = [];
    for (const offer of offers) {
      const client = await Client.open(path, offer);
      clients.push(client);
      client.send(JSON.stringify({ message: `client ${clients.length} is here` }));
      // Each client is in the room when it and those before it have heard it.
      for (const member of clients) {
        const { message } = JSON.parse(await member.next());
        checkSame(message, `client ${clients.length} is here`, "greeting");
      }
    }
    const longest = Array.from(text("emoji", 20_000)).slice(0, 4000).join("");
    const messages = [longest, text("ASCII", 3_900), text("CJK", 9_000), "short", longest];
    for (const [at, sender] of clients.entries()) {
      for (const [number, message] of messages.entries()) {
        const before = clients.map(client => client.wireBytes);
        sender.send(JSON.stringify({ message }));
        const frames = await Promise.all(clients.map(client => client.next()));
        checkSame(JSON.parse(frames[0]).message, message, `message ${number} of client ${at + 1}`);
        frames.forEach((frame, other) => checkSame(frame, frames[0], `frame of client ${other + 1}`));
        const bytes = Buffer.byteLength(frames[0]);
        clients.forEach((client, other) => checkWire(
          client.wireBytes - before[other], bytes, !isOff && offers[other] !== false, `client ${other + 1}`));
      }
    }
    // Many at once, from all of them: each hears all in one order.
    clients.forEach((sender, at) => {
      for (let number = 0; number < 40; number++) {
        sender.send(JSON.stringify({ message: `${at}.${number} ${text("CJK", number * 60)}` }));
      }
    });
    const heard = await Promise.all(clients.map(async client => {
      const frames = [];
      while (frames.length < 40 * clients.length) frames.push(JSON.parse(await client.next()).message);
      return frames;
    }));
    heard.forEach((frames, at) => deepStrictEqual(frames, heard[0], `order at client ${at + 1}`));
    clients.forEach((_, at) => {
      const own = heard[0].filter(message => message.startsWith(`${at}.`));
      own.forEach((message, number) => checkSame(message, `${at}.${number} ${text("CJK", number * 60)}`, "order"));
      checkSame(own.length, 40, `messages of client ${at + 1}`);
    });
    for (const client of clients) await client.close();
  },
};

for (const [name, run] of Object.entries(checks)) {
  try {
    await run();
    console.log(`  ok      ${name}`);
  } catch (error) {
    console.log(`  FAILED  ${name}: ${error.stack}`);
    process.exit(1);
  }
}
