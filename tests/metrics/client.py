"""Clients that know to the byte what they have sent and received."""

import json
import os
import signal
import socket
import struct
import subprocess
import threading
import time

KEY = "correct-horse-battery-staple"
PATIENCE = 30


class Wrong(Exception):
    """Something was not as it must be."""


def check(is_right, what):
    if not is_right:
        raise Wrong(what)


def eventually(what, is_so):
    end = time.monotonic() + PATIENCE
    while not is_so():
        check(time.monotonic() < end, f"{what}: not within {PATIENCE} s")
        time.sleep(0.01)


class Server:
    """The real binary, with the admin page on a listener of its own."""

    def __init__(self, binary, *flags):
        args = [binary, "serve", "--port", "0", "--admin-port", "0", *flags]
        own = {name: value for name, value in os.environ.items() if not name.startswith("LANDLINE_")}
        own["LANDLINE_ADMIN_KEY"] = KEY
        self.process = subprocess.Popen(
            args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=own
        )
        self.said = []
        self.listener = threading.Thread(target=self.listen, daemon=True)
        self.listener.start()
        addresses = []
        for line in self.process.stdout:
            for part in line.decode().split("http://")[1:]:
                host, _, port = part.split("/")[0].rpartition(":")
                addresses.append((host, int(port)))
            if b"Ctrl+C" in line:
                break
        check(len(addresses) >= 2, f"the server does not listen: {self.said}")
        self.address, self.admin = addresses[0], addresses[-1]

    def listen(self):
        for line in self.process.stderr:
            self.said.append(line.decode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)

    def end(self):
        check(self.process.wait(PATIENCE) == 0, f"exit code {self.process.returncode}: {self.said}")

    def http(self, head, body=b"", address=None, source=None):
        """Sends one request; returns status, head and body."""
        with socket.create_connection(address or self.address, PATIENCE, source) as link:
            link.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
            return response(link)

    def ask(self, path, value=None):
        """A call to the admin listener with the key; returns the JSON of the answer, or its text."""
        body = b"" if value is None else json.dumps(value).encode()
        head = (
            f"{'GET' if value is None else 'POST'} {path} HTTP/1.1\nHost: {self.admin[0]}:{self.admin[1]}\n"
            f"Authorization: Bearer {KEY}\nContent-Type: application/json\nContent-Length: {len(body)}"
        )
        status, _, text = self.http(head, body, self.admin)
        check(status == 200, f"{path}: {status} {text}")
        return json.loads(text) if path.startswith("/admin/") else text.decode()


def response(link):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = link.recv(1)
        check(byte, f"the stream ends in a head: {head}")
        head += byte
    text = head.decode()
    length = [line.split(":")[1] for line in text.lower().split("\r\n") if line.startswith("content-length:")]
    body = b""
    while length and len(body) < int(length[0]):
        more = link.recv(65536)
        check(more, "the stream ends in a body")
        body += more
    return int(text.split(" ")[1]), text, body


def handshake(path, *lines):
    return "\n".join([
        f"GET {path} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade",
        "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", *lines,
    ])


class Client:
    """One WebSocket; counts bytes from the 101 on, and messages apart from pings."""

    def __init__(self, server, path, *lines, narrow=False, source=None):
        self.link = socket.socket()
        self.link.settimeout(PATIENCE)
        if narrow:
            self.link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        if source:
            self.link.bind((source, 0))
        self.link.connect(server.address)
        self.link.sendall(handshake(path, *lines).replace("\n", "\r\n").encode() + b"\r\n\r\n")
        status, head, _ = response(self.link)
        check(status == 101, head)
        self.bytes_in, self.bytes_out = len(head.encode()), 0
        self.messages_in = self.messages_out = 0

    def send(self, first, payload, claimed=None):
        """Sends a frame whose mask is zeros; `claimed` is a length that is not true."""
        length = len(payload) if claimed is None else claimed
        if length < 126:
            size = bytes([0x80 | length])
        elif length < 65536:
            size = b"\xfe" + struct.pack(">H", length)
        else:
            size = b"\xff" + struct.pack(">Q", length)
        frame = bytes([first]) + size + bytes(4) + payload
        self.link.sendall(frame)
        self.bytes_out += len(frame)
        self.messages_out += first in (0x81, 0x82)

    def take(self, count):
        data = b""
        while len(data) < count:
            more = self.link.recv(count - len(data))
            check(more, "the stream ends")
            data += more
        self.bytes_in += count
        return data

    def receive(self):
        first, length = self.take(2)
        if length == 126:
            (length,) = struct.unpack(">H", self.take(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self.take(8))
        payload = self.take(length)
        self.messages_in += first in (0x81, 0x82)
        return first, payload

    def expect(self, first):
        got = self.receive()
        check(got[0] == first, f"frame {first:#x} was due, got {got}")
        return got[1]

    def echo(self, text):
        self.send(0x81, text)
        check(self.expect(0x81) == text, "no echo")

    def close(self, code, reason=b""):
        """Says goodbye, or answers the server's, and waits for the end."""
        self.send(0x88, struct.pack(">H", code) + reason)
        self.expect(0x88)
        self.finish()

    def closed(self, code):
        """Receives the server's goodbye and answers it."""
        got = self.expect(0x88)
        check(struct.unpack(">H", got[:2])[0] == code, f"{code} was due, got {got}")
        self.send(0x88, got[:2])
        self.finish()

    def refused(self, code):
        """Receives the goodbye of a server that listens no more."""
        got = self.expect(0x88)
        check(struct.unpack(">H", got[:2])[0] == code, f"{code} was due, got {got}")
        self.finish()

    def finish(self):
        check(self.link.recv(1) == b"", "more came behind the close frame")
        self.link.close()

    def reset(self):
        self.link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.link.close()
