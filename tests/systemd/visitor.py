"""Opens WebSockets, says "in", waits for each to end and says how: "1001 x 20".

usage: visitor.py COUNT HOST PORT [CA]   with TLS if there is a file of authorities
       visitor.py COUNT PATH             through a Unix socket
"""

import base64
import collections
import os
import socket
import ssl
import struct
import sys

PATIENCE = 120


def connect(args):
    if len(args) == 1:
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(PATIENCE)
        line.connect(args[0])
        return line
    line = socket.create_connection((args[0], int(args[1])), timeout=PATIENCE)
    if len(args) > 2:
        line = ssl.create_default_context(cafile=args[2]).wrap_socket(
            line, server_hostname="localhost"
        )
    return line


def open_websocket(args):
    line = connect(args)
    key = base64.b64encode(os.urandom(16)).decode()
    line.sendall(
        "GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = line.recv(1)
        if not byte:
            raise SystemExit(f"the server hung up: {head}")
        head += byte
    if not head.startswith(b"HTTP/1.1 101 "):
        raise SystemExit(f"not let in: {head}")
    return line


def exactly(line, count):
    taken = b""
    while len(taken) < count:
        part = line.recv(count - len(taken))
        if not part:
            raise EOFError
        taken += part
    return taken


def masked(first, payload):
    mask = os.urandom(4)
    body = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return bytes([first, 0x80 | len(payload)]) + mask + body


def end_of(line):
    """The code of the close frame, or how it ended without one."""
    try:
        while True:
            first, length = exactly(line, 2)
            payload = exactly(line, length)
            if first == 0x89:
                line.sendall(masked(0x8A, payload))
            if first == 0x88:
                line.sendall(masked(0x88, payload))
                return str(struct.unpack(">H", payload[:2])[0]) if payload else "1005"
    except EOFError:
        return "cut"
    except OSError as error:
        return type(error).__name__


def main():
    count, *args = sys.argv[1:]
    lines = [open_websocket(args) for _ in range(int(count))]
    print("in", flush=True)
    ends = collections.Counter(end_of(line) for line in lines)
    for end, times in sorted(ends.items()):
        print(f"{end} x {times}", flush=True)


main()
