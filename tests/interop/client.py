"""Talks to a running server with the `websockets` package and compares what comes back.

usage: python3 client.py ws://HOST:PORT THRESHOLD

THRESHOLD is the length from which on the server compresses, or `off` where it must not agree on
compression at all. Ends with 0 if everything was as it must be.
"""

import asyncio
import hashlib
import json
import sys
import traceback

from websockets.asyncio.client import ClientConnection, connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

SERVER, THRESHOLD_TEXT = sys.argv[1:]
IS_OFF = THRESHOLD_TEXT == "off"
THRESHOLD = float("inf") if IS_OFF else int(THRESHOLD_TEXT)
AGREED = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
SCRIPTS = {
    "ASCII": '{"symbol":"2330","price":17.25,"open":true},',
    "CJK": "行情：上證指數，恆生指數。日経平均株価、終値。",
    "emoji": "📈😀👩‍👩‍👧‍👦🇹🇼✅",
}
LENGTHS = [0, 10, 5_000, 100_000, 900_000]


class Wrong(Exception):
    """Something was not as it must be."""


def check(is_right, what):
    if not is_right:
        raise Wrong(what)


def check_same(got, expected, what):
    check(got == expected, f"{what}: got {got!r}, expected {expected!r}")


def text(script, size):
    """Compressible text of exactly `size` bytes of UTF-8."""
    unit = SCRIPTS[script]
    whole = unit * (size // len(unit.encode()))
    return whole + "." * (size - len(whole.encode()))


def noise(size):
    """Bytes that do not compress, the same in each run."""
    return hashlib.shake_256(b"noise").digest(size)


def far_repeats():
    """Text with the same line twice, at distances within and beyond the smaller windows."""
    line = "".join(chr(97 + at * at % 23) for at in range(3000))
    return "".join(line + noise(gap).hex() + line for gap in (300, 600, 3_000, 20_000))


def difference(got, expected):
    got, expected = (part.encode() if isinstance(part, str) else part for part in (got, expected))
    pairs = enumerate(zip(got, expected))
    at = next((at for at, (one, other) in pairs if one != other), min(len(got), len(expected)))
    parts = f"got {got[at:at + 20].hex()}, expected {expected[at:at + 20].hex()}"
    return f"{len(got)} bytes for {len(expected)}, byte {at} is the first other one: {parts}"


class Client(ClientConnection):
    """A connection that counts what it reads."""

    wire_bytes = 0

    def data_received(self, data):
        self.wire_bytes += len(data)
        super().data_received(data)

    @property
    def agreed(self):
        return self.response.headers.get("Sec-WebSocket-Extensions")

    async def expect(self, message, what):
        got = await self.recv()
        check_same(type(got), type(message), f"{what}: kind of the message")
        check(got == message, f"{what}: {got != message and difference(got, message)}")

    async def echo(self, message, what):
        """Sends a message, awaits it, and returns how many bytes it took on the wire."""
        before = self.wire_bytes
        await self.send(message)
        await self.expect(message, what)
        return self.wire_bytes - before

    async def end(self):
        await self.close()
        check_same(self.close_code, 1000, "code of the close")


def offer(**parameters):
    return ClientPerMessageDeflateFactory(**parameters)


def client(path="/echo", offers=(offer(),)):
    """Connects; without offers the client knows no compression."""
    return connect(
        SERVER + path,
        compression=None,
        extensions=list(offers),
        create_connection=Client,
        proxy=None,
        ping_interval=None,
    )


def plain_frame(size):
    """Length of a frame whose payload went out as it was."""
    return size + (2 if size < 126 else 4 if size < 65_536 else 10)


def check_wire(wire, size, is_compressible, what):
    if not is_compressible or size < THRESHOLD:
        check_same(wire, plain_frame(size), f"{what}: bytes on the wire")
        return
    # What is short need not get smaller.
    most = plain_frame(size) if size < 1000 else size / 4
    check(wire <= most, f"{what}: {wire} bytes on the wire, expected {most} at most")


async def echo_all(ws, is_plain=False):
    for size in LENGTHS:
        for script in SCRIPTS:
            what = f"{size} bytes of {script}"
            check_wire(await ws.echo(text(script, size), what), size, not is_plain, what)
        what = f"{size} bytes of noise"
        check_wire(await ws.echo(noise(size), what), size, False, what)
        what = f"{size} compressible bytes"
        packed = await ws.echo(text("ASCII", size).encode(), what)
        check_wire(packed, size, not is_plain, what)


async def texts_and_binaries_of_all_lengths():
    async with client() as ws:
        check_same(ws.agreed, None if IS_OFF else AGREED, "extensions")
        await echo_all(ws)
        await ws.end()


async def the_default_of_the_package():
    async with connect(SERVER + "/echo", create_connection=Client, proxy=None) as ws:
        check_same(ws.agreed, None if IS_OFF else AGREED, "extensions")
        await echo_all(ws)
        await ws.end()


async def a_client_without_compression():
    async with client(offers=()) as ws:
        check_same(ws.agreed, None, "extensions")
        await echo_all(ws, is_plain=True)
        await ws.end()


async def lengths_around_the_threshold():
    async with client() as ws:
        for size in range(990, 1060):
            what = f"{size} bytes"
            check_wire(await ws.echo(text("ASCII", size), what), size, True, what)
        await ws.end()


def mixed_messages():
    for at in range(3000):
        size = at * 37 % 2500
        script = "CJK" if at % 2 else "ASCII"
        yield noise(size) if at % 3 == 0 else f"{at} {text(script, size)}"


async def send_all(ws, messages):
    for message in messages:
        await ws.send(message)


async def many_messages_in_flight():
    messages = list(mixed_messages())
    for offers in ([offer()], [offer(server_max_window_bits=9)], []):
        async with client(offers=offers) as ws:
            sending = asyncio.create_task(send_all(ws, messages))
            for at, message in enumerate(messages):
                await ws.expect(message, f"message {at}")
            await sending
            await ws.end()


async def fragments_with_pings_between():
    async with client() as ws:
        for script, size, length in [("ASCII", 300, 1), ("emoji", 5_000, 7), ("CJK", 100_000, 4_099)]:
            for is_text in (True, False):
                whole, pongs = text(script, size).encode(), []

                async def fragments():
                    for at in range(0, len(whole), length):
                        yield whole[at : at + length]
                        pongs.append(await ws.ping())

                await ws.send(fragments(), text=is_text)
                what = f"{size} bytes in fragments of {length}"
                await ws.expect(whole.decode() if is_text else whole, what)
                await asyncio.gather(*pongs)
        await ws.send(["fragments", "", " of ", "text"])
        await ws.expect("fragments of text", "fragments of text")
        await ws.echo("after them", "the message after the fragments")
        await ws.end()


def offers_and_answers():
    both = {"server_no_context_takeover": True, "client_no_context_takeover": True}
    windows = "; server_max_window_bits=10; client_max_window_bits=12"
    yield {}, ""
    yield both, ""
    yield {"server_no_context_takeover": True}, ""
    yield {"client_no_context_takeover": True}, ""
    yield {**both, "server_max_window_bits": 10, "client_max_window_bits": 12}, windows
    yield {"client_max_window_bits": None}, ""
    # zlib makes no raw blocks with this window: such an offer is declined.
    yield {"server_max_window_bits": 8}, None
    for bits in range(9, 16):
        yield {"server_max_window_bits": bits}, f"; server_max_window_bits={bits}"
        # What is the default anyway is not said again.
        more = f"; client_max_window_bits={bits}" if bits < 15 else ""
        yield {"client_max_window_bits": bits}, more


async def offers_of_all_kinds():
    far = far_repeats()
    for parameters, more in offers_and_answers():
        is_plain = IS_OFF or more is None
        async with client(offers=[offer(**parameters)]) as ws:
            what = str(parameters)
            expected = None if is_plain else AGREED + more
            check_same(ws.agreed, expected, f"answer to {what}")
            for _ in range(3):
                wire = await ws.echo(far, what)
                is_same = wire == plain_frame(len(far))
                check(is_same == is_plain, f"{what}: {wire} bytes on the wire for {len(far)}")
                packed = await ws.echo(text("CJK", 100_000), what)
                check_wire(packed, 100_000, not is_plain, what)
                check_wire(await ws.echo(noise(50_000), what), 50_000, False, what)
            await ws.end()


async def the_second_of_two_offers():
    offers = [offer(server_max_window_bits=8), offer(server_max_window_bits=11)]
    expected = None if IS_OFF else AGREED + "; server_max_window_bits=11"
    async with client(offers=offers) as ws:
        check_same(ws.agreed, expected, "extensions")
        await ws.echo(far_repeats(), "far repeats")
        await ws.end()


async def a_chat_of_different_clients():
    path = f"/ws/chat/interop-python-{THRESHOLD_TEXT}/"
    kinds = [[offer()], [offer(server_max_window_bits=10)], [offer(server_max_window_bits=9)], []]
    clients = []
    for number, offers in enumerate(kinds):
        clients.append(await client(path, offers))
        await clients[-1].send(json.dumps({"message": f"client {number} is here"}))
        # Each client is in the room when it and those before it have heard it.
        for member in clients:
            heard = json.loads(await member.recv())["message"]
            check_same(heard, f"client {number} is here", "greeting")
    longest = text("emoji", 40_000)[:4000]
    for number, sender in enumerate(clients):
        for message in (longest, text("ASCII", 3_900), text("CJK", 9_000), "short"):
            before = [member.wire_bytes for member in clients]
            await sender.send(json.dumps({"message": message}))
            frames = [await member.recv() for member in clients]
            check_same(json.loads(frames[0])["message"], message, f"message of client {number}")
            size = len(frames[0].encode())
            for other, member in enumerate(clients):
                check_same(frames[other], frames[0], f"frame of client {other}")
                wire = member.wire_bytes - before[other]
                check_wire(wire, size, not IS_OFF and kinds[other] != [], f"client {other}")
    for member in clients:
        await member.end()


CHECKS = [
    texts_and_binaries_of_all_lengths,
    the_default_of_the_package,
    a_client_without_compression,
    lengths_around_the_threshold,
    many_messages_in_flight,
    fragments_with_pings_between,
    offers_of_all_kinds,
    the_second_of_two_offers,
    a_chat_of_different_clients,
]


def main():
    for run in CHECKS:
        name = run.__name__.replace("_", " ")
        try:
            asyncio.run(run())
        except Exception:
            print(f"  FAILED  {name}: {traceback.format_exc()}", flush=True)
            return 1
        print(f"  ok      {name}", flush=True)
    return 0


sys.exit(main())
