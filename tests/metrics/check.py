"""Makes traffic that is known to the byte, has other people's programs read `/metrics`, and compares.

usage: check.py BINARY

The text is read by Python's `prometheus_client`, linted by `promtool`, and scraped by a Prometheus
that also evaluates the alerts of docs/METRICS.md. Ends with 0 if everything was as it must be.
"""

import collections
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.parse
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from client import KEY, PATIENCE, Client, Server, Wrong, check, eventually, handshake

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "METRICS.md"
WS = "landline_websocket_"
CLOSES = WS + "closes_total"
REFUSED = WS + "handshakes_refused_total"
CLIENTS = "landline_clients_refused_total"
# What depends on time or on the machine.
LOOSE = re.compile(
    r"process_|landline_connections_limit|landline_build_info|.*_seconds_(sum|bucket)"
    r"|landline_websocket_queue_high_water_bytes"
)


class Page:
    """One scrape as `prometheus_client` understands it."""

    def __init__(self, text):
        self.text = text
        self.values, self.kinds = {}, {}
        for family in text_string_to_metric_families(text):
            check(family.name not in self.kinds, f"{family.name} is there twice")
            check(family.type != "unknown" and family.documentation, f"{family.name} has no type or help")
            self.kinds[family.name] = family.type
            for sample in family.samples:
                key = (sample.name, *sorted(sample.labels.items()))
                check(key not in self.values, f"{key} is there twice")
                self.values[key] = sample.value
            if family.type == "counter":
                check(all(s.name == family.name + "_total" for s in family.samples), f"{family.name}: not _total")
            if family.type == "histogram":
                self.check_histogram(family)
        counted = [line for line in text.splitlines() if line and not line.startswith("#")]
        check(len(counted) == len(self.values), f"{len(counted)} lines are {len(self.values)} samples")
        check(text.endswith("\n"), "the last line has no end")

    def check_histogram(self, family):
        """Buckets rise to the count, and +Inf is the last of them."""
        parts = collections.defaultdict(list)
        for sample in family.samples:
            others = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
            parts[others].append(sample)
        for labels, samples in parts.items():
            buckets = [(float(s.labels["le"]), s.value) for s in samples if s.name.endswith("_bucket")]
            (count,) = [s.value for s in samples if s.name.endswith("_count")]
            (total,) = [s.value for s in samples if s.name.endswith("_sum")]
            check(buckets == sorted(buckets), f"{family.name}{labels}: {buckets}")
            check([below for _, below in buckets] == sorted(below for _, below in buckets), f"{buckets}")
            check(buckets[-1] == (float("inf"), count), f"{family.name}{labels}: {buckets[-1]}, {count}")
            check((total > 0) == (count > 0), f"{family.name}{labels}: {total} for {count}")

    def of(self, name, **labels):
        return self.values.get((name, *sorted(labels.items())), 0)

    def sum_of(self, name):
        return sum(value for key, value in self.values.items() if key[0] == name)


def scrape(server):
    return Page(server.ask("/metrics"))


class Expected:
    """What a scrape has to say: each value, and nothing that is not here."""

    def __init__(self):
        self.values = collections.Counter()

    def add(self, name, number=1, **labels):
        self.values[(name, *sorted(labels.items()))] += number

    def ended(self, client, code, reason):
        self.passed(client)
        self.add(CLOSES, code=code, reason=reason)

    def passed(self, client):
        self.add(WS + "messages_received_total", client.messages_out)
        self.add(WS + "messages_sent_total", client.messages_in)
        self.add(WS + "received_bytes_total", client.bytes_out)
        self.add(WS + "sent_bytes_total", client.bytes_in)

    def compare(self, page):
        wrong = []
        for key in sorted(self.values.keys() | page.values.keys()):
            got, expected = page.values.get(key, 0), self.values.get(key, 0)
            if not LOOSE.fullmatch(key[0]) and not LOOSE.match(key[0]) and got != expected:
                wrong.append(f"{key}: {got:g} instead of {expected}")
        check(not wrong, "\n  ".join(["what is counted is not what was done:", *wrong]))


def quiet(server):
    """Waits until no connection is open but those that stay."""
    eventually("connections end", lambda: scrape(server).of("landline_connections") == server.staying)


def talk(server, expected):
    """Echoes, pings and each way in which a WebSocket ends."""

    def opened(path, *lines, route=None):
        expected.add("landline_websockets_opened_total", route=route or path)
        return Client(server, path, *lines)

    for number in range(5):
        client = opened("/echo")
        for _ in range(20):
            client.echo(b"%010d" % number)
        client.send(0x82, b"\0" * 70000)
        client.expect(0x82)
        for _ in range(3):
            client.send(0x89, b"are you there")
            client.expect(0x8A)
        client.close(1000)
        expected.ended(client, "1000", "client")
        expected.add("landline_handler_duration_seconds_count", 0, kind="websocket")
    for code, label in [(1001, "1001"), (1011, "1011"), (3000, "3xxx"), (3999, "3xxx"), (4000, "4xxx"), (4999, "4xxx")]:
        client = opened("/echo")
        client.close(code, b'"} 1\nlandline_stopping 1\n')
        expected.ended(client, label, "client")
    client = opened("/echo_once")
    client.echo(b"one")
    client.closed(1000)
    expected.ended(client, "1000", "done")
    for first, payload, claimed, code in [(0x83, b"reserved", None, 1002), (0x81, b"\xff", None, 1007), (0x82, b"", 1 << 40, 1009)]:
        client = opened("/echo")
        client.send(first, payload, claimed)
        client.messages_out = 0
        client.refused(code)
        expected.ended(client, str(code), "protocol")
    client = opened("/echo")
    client.echo(b"and away")
    client.reset()
    expected.ended(client, "1006", "lost")
    client = opened("/echo")
    (row,) = server.ask("/admin/connections?filter=" + "127.0.0.1:%d" % client.link.getsockname()[1])["rows"]
    server.ask(f"/admin/connections/{row['id']}/close", {"code": 1008, "reason": "enough"})
    client.closed(1008)
    expected.ended(client, "1008", "operator")


def knock(server, expected):
    """Handshakes that are refused, and plain requests."""
    for head, status, reason in [
        (handshake("/echo", "Origin: http://evil.example"), 403, "origin"),
        (handshake("/nowhere"), 404, "not-found"),
        (handshake("/ws/chat/private-x/"), 403, "forbidden"),
        (handshake("/ws/news/"), 401, "unauthorized"),
        (handshake("/echo").replace("Version: 13", "Version: 12"), 426, "version"),
        (handshake("/echo").replace("Key: dGhl", "Key: !"), 400, "bad-request"),
        (handshake("/echo").replace("localhost", "evil.example"), 421, "misdirected"),
        (handshake("/echo").replace("GET", "POST"), 405, "method"),
    ]:
        got, answer, _ = server.http(head)
        check(got == status, f"{head}: {answer}")
        expected.add(REFUSED, reason=reason)
        expected.add("landline_http_responses_total", status=f"{status // 100}xx")
        expected.add("landline_handler_duration_seconds_count", kind="http")
    for path, status in [("/", 200), ("/echo?message=x", 200), ("/nowhere", 404), ("/echo_once", 426)]:
        got, answer, _ = server.http(f"GET {path} HTTP/1.1\nHost: localhost")
        check(got == status, f"{path}: {answer}")
        expected.add("landline_http_responses_total", status=f"{status // 100}xx")
        expected.add("landline_handler_duration_seconds_count", kind="http")
    got, answer, _ = server.http("nonsense")
    check(got == 400, answer)
    expected.add("landline_http_responses_total", status="4xx")


def publish(server, expected):
    """A group of four, two of whom stay."""
    room, route = "/ws/chat/lobby/", "/ws/chat/<room>/"
    members = [Client(server, room) for _ in range(4)]
    eventually("they have joined", lambda: [row["members"] for row in server.ask("/admin/groups")["rows"]] == [4])
    for number in range(10):
        said = server.ask("/admin/groups/say", {"group": "chat:lobby", "text": f"message {number}"})
        check(said == {"members": 4, "written": 4, "queued": 0, "dropped": 0}, f"{said}")
    for member in members:
        for number in range(10):
            check(member.expect(0x81) == b"message %d" % number, "another message")
    for member in members[:2]:
        member.close(1000)
        expected.add(CLOSES, code="1000", reason="client")
    for member in members:
        expected.passed(member)
        expected.add("landline_websockets_opened_total", route=route)
    expected.add("landline_websockets", 2, route=route)
    expected.add("landline_connections", 2)
    expected.add("landline_hub_groups")
    expected.add("landline_hub_messages_published_total", 10)
    expected.add("landline_hub_deliveries_total", 40, fate="written")
    server.staying = 2
    return members[2:]


def exact(server):
    """Everything that can be known exactly, and that it stays as much whatever clients send."""
    expected = Expected()
    server.staying = 0
    talk(server, expected)
    knock(server, expected)
    staying = publish(server, expected)
    quiet(server)
    page = scrape(server)
    # One time at least of each connection with messages, and one a second at most.
    timed = page.of("landline_handler_duration_seconds_count", kind="websocket")
    check(7 <= timed <= 7 * PATIENCE, f"{timed} times of handlers")
    expected.add("landline_handler_duration_seconds_count", timed, kind="websocket")
    # One time for each message and relay with members: there is a relay for each core.
    latencies = page.of("landline_hub_latency_seconds_count")
    check(10 <= latencies <= 40 and latencies % 10 == 0, f"{latencies} latencies for 10 messages")
    expected.add("landline_hub_latency_seconds_count", latencies)
    expected.compare(page)
    flood(server, page)
    return staying


def flood(server, before):
    """Whatever clients make up, no series is added but for the few that are named in the docs."""
    for number in range(60):
        server.http(f"GET /made-up-{number}?x={number} HTTP/1.1\nHost: localhost\nX-{number}: {number}")
        server.http(handshake(f"/made-up-{number}"))
        name = f"%22%7D%5C{number}"
        client = Client(server, f"/ws/chat/room{number}/?name={name}", f"Sec-WebSocket-Protocol: p{number}")
        client.send(0x88, (3000 + 29 * number).to_bytes(2, "big") + b"why")
        while client.receive()[0] != 0x88:
            pass
    quiet(server)
    after = scrape(server)
    added = {key for key in after.values.keys() - before.values.keys()}
    check(not added, f"clients have added series: {added}")


def limits(binary):
    """Who is refused by a limit, and who goes on too fast."""
    flags = ["--limit-concurrency", "6", "--limit-per-address", "3", "--ws-message-rate", "4:4", "--ws-rate-patience", "0.05"]
    with Server(binary, *flags) as server:
        clients = [Client(server, "/echo") for _ in range(3)]
        status, _, _ = server.http("GET / HTTP/1.1\nHost: localhost")
        check(status == 503, f"the fourth of an address: {status}")
        clients += [Client(server, "/echo", source="127.0.0.2") for _ in range(3)]
        status, _, _ = server.http("GET / HTTP/1.1\nHost: localhost", source=("127.0.0.3", 0))
        check(status == 503, f"the seventh: {status}")
        for number in range(40):
            clients[0].send(0x81, b"%d" % number)
        first = clients[0].receive()
        while first[0] == 0x81:
            first = clients[0].receive()
        check(first == (0x88, first[1]) and first[1][:2] == b"\x03\xf0", f"{first}")
        clients[0].finish()
        page = scrape(server)
        eventually("it has ended", lambda: scrape(server).sum_of(CLOSES) == 1)
        page = scrape(server)
        for name, labels, value in [
            (CLIENTS, {"reason": "full"}, 1),
            (CLIENTS, {"reason": "address_full"}, 1),
            (CLOSES, {"code": "1008", "reason": "fast-client"}, 1),
            ("landline_clients_fast_total", {}, 1),
            ("landline_connections", {}, 5),
            ("landline_connections_limit", {}, 6),
            ("landline_websockets", {"route": "/echo"}, 5),
            (WS + "messages_sent_total", {}, clients[0].messages_in),
        ]:
            check(page.of(name, **labels) == value, f"{name}{labels}: {page.of(name, **labels)} instead of {value}")
        check(page.sum_of(CLIENTS) == 2, "clients are refused for other reasons")


def slow(binary):
    """A member that does not read: what is queued, what is dropped, and that everything is accounted for."""
    with Server(binary) as server:
        lazy, good = Client(server, "/ws/chat/lobby/", narrow=True), Client(server, "/ws/chat/lobby/")
        eventually("they have joined", lambda: [row["members"] for row in server.ask("/admin/groups")["rows"]] == [2])
        text, said, queued = "x" * 60000, 0, 0
        while scrape(server).of("landline_hub_members_closed_total") == 0:
            check(said < 1000, "the queue never fills")
            server.ask("/admin/groups/say", {"group": "chat:lobby", "text": text})
            said += 1
            good.expect(0x81)
            queued = max(queued, scrape(server).of(WS + "queued_bytes"))
        lazy.link.close()
        eventually("it has ended", lambda: scrape(server).sum_of(CLOSES) == 1)
        page = scrape(server)
        fate = lambda name: page.of("landline_hub_deliveries_total", fate=name)
        dropped = page.sum_of("landline_hub_messages_dropped_total")
        written, abandoned, gone = fate("written"), fate("abandoned"), fate("gone")
        check(written + dropped + abandoned + gone + page.of("landline_hub_deliveries_queued") >= said, "some are not counted")
        check(page.of("landline_hub_messages_dropped_total", policy="disconnect") == dropped > 0, "drops by policy")
        check(page.of("landline_clients_slow_total") == 1, "slow clients")
        check(page.of(CLOSES, code="1013", reason="slow-client") == 1, "why it was closed")
        check(page.of("landline_hub_messages_published_total") == said, "published")
        check(page.of(WS + "messages_received_total") == 0, "nobody has sent anything")
        check(page.of(WS + "queued_bytes") == 0, "nothing waits for who is gone")
        high = page.of(WS + "queue_high_water_bytes")
        check(queued >= len(text) and high >= queued, f"{high} was the most, {queued} was seen")
        accounted = written + dropped + abandoned + gone
        check(2 * said - 1 <= accounted <= 2 * said, f"{said} messages to two are {accounted}")
        print(f"slow: {said} messages to two members: written {written:g}, dropped {dropped:g}, abandoned {abandoned:g}, gone {gone:g}")


def lint(page):
    """promtool's opinion."""
    done = subprocess.run(["promtool", "check", "metrics"], input=page.text, capture_output=True, text=True)
    check(done.returncode == 0 and not done.stderr + done.stdout, f"promtool: {done.stdout}{done.stderr}")


def documented(page):
    """Each metric stands in docs/METRICS.md with its type and labels, and nothing else does."""
    table = {}
    for line in DOCS.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        names = re.findall(r"`((?:landline|process)?_\w+)`", cells[0])
        if len(cells) == 4 and names:
            whole = [name if not name.startswith("_") else names[0].rsplit("_", 1)[0] + name for name in names]
            for name in whole:
                table[name] = (cells[1], set(re.findall(r"`(\w+)`", cells[2])))
    named = {name + ("_total" if kind == "counter" else ""): kind for name, kind in page.kinds.items()}
    check(table.keys() == named.keys(), f"docs and metrics differ in {sorted(table.keys() ^ named.keys())}")
    for key in page.values:
        family = re.sub(r"_(bucket|sum|count)$", "", key[0])
        labels = {label for label, _ in key[1:]} - {"le"}
        check(table[family][1] == labels, f"{family}: labels {labels}, the docs say {table[family]}")
        check(table[family][0] in ("", named[family]), f"{family} is a {named[family]}")


class Prometheus:
    """The real one, for one target."""

    def __init__(self, server, directory):
        key, config = directory / "key", directory / "prometheus.yml"
        key.write_text(KEY)
        config.write_text(
            "global: { scrape_interval: 1s, scrape_timeout: 1s }\n"
            "scrape_configs:\n"
            "  - job_name: landline\n"
            f"    authorization: {{ credentials_file: {key} }}\n"
            f"    static_configs: [{{ targets: ['{server.admin[0]}:{server.admin[1]}'] }}]\n"
        )
        command = [
            "prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory / 'data'}",
            "--web.listen-address=127.0.0.1:0", "--log.format=json",
        ]
        self.log = open(directory / "log", "w+")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.address = None
        eventually("Prometheus listens", self.find_address)

    def find_address(self):
        check(self.process.poll() is None, "Prometheus has ended: " + self.said())
        for line in self.said().splitlines():
            if line.startswith("{") and json.loads(line).get("msg") == "Listening on":
                self.address = json.loads(line)["address"]
        return self.address is not None

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def ask(self, path, **query):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:
                return None
            raise Wrong(f"Prometheus, {query}: {error.read()}") from error

    def value(self, query):
        data = self.ask("query", query=query)
        return [float(row["value"][1]) for row in data["result"]] if data else []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def scraped(server, page):
    """A Prometheus scrapes the server and has the same values; it can read the alerts of the docs."""
    with tempfile.TemporaryDirectory() as directory, Prometheus(server, pathlib.Path(directory)) as monitor:
        eventually("it is scraped", lambda: monitor.value("up") == [1])
        (target,) = monitor.ask("targets")["activeTargets"]
        check(target["lastError"] == "", target["lastError"])
        for key, value in page.values.items():
            if LOOSE.match(key[0]):
                continue
            labels = ",".join(f'{name}="{text}"' for name, text in key[1:])
            got = monitor.value(f"{key[0]}{{{labels}}}")
            check(got == [value], f"Prometheus says {got} for {key}, it is {value}")
        count = monitor.value('count({__name__=~"(landline|process)_.+"})')
        check(count == [len(page.values)], f"Prometheus has {count} series of {len(page.values)}")
        (alerts,) = re.findall(r"### Worth an alert\n\n```\n(.+?)```", DOCS.read_text(), re.DOTALL)
        for alert in alerts.splitlines():
            monitor.value(alert)
            for name in re.findall(r"landline_\w+", alert):
                check(name in {key[0] for key in page.values}, f"there is no {name}, of which an alert speaks")


def stopping(server, staying):
    """A server that stops says so, and is done when its clients have gone."""
    server.stop()
    for client in staying:
        check(client.expect(0x88)[:2] == b"\x03\xe9", "1001 was due")
    page = scrape(server)
    check(page.of("landline_stopping") == 1, "it stops")
    for client in staying:
        client.send(0x88, b"\x03\xe9")
    server.end()


def main(binary):
    with tempfile.NamedTemporaryFile("w") as secret:
        secret.write("a secret that is longer than 32 bytes\n")
        secret.flush()
        flags = ["--ws-ping-interval", "0", "--auth-jwt-key", secret.name, "--auth-route", "/ws/news/"]
        whole(binary, flags)
    limits(binary)
    slow(binary)


def whole(binary, flags):
    with Server(binary, *flags) as server:
        first = scrape(server)
        staying = exact(server)
        page = scrape(server)
        lint(first)
        lint(page)
        documented(page)
        scraped(server, page)
        check(first.kinds == page.kinds, "a metric is not there from the beginning")
        stopping(server, staying)
        print(f"exact: {len(page.values)} samples of {len(page.kinds)} metrics")


if __name__ == "__main__":
    started = time.monotonic()
    try:
        main(*sys.argv[1:])
    except (Wrong, OSError, AssertionError):
        traceback.print_exc()
        sys.exit(1)
    print(f"metrics: as they must be, after {time.monotonic() - started:.0f} s")
