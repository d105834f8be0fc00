"""Lets the users of a real Django, and the bearers of PyJWT's tokens, into a real Landline.

usage: python3 login.py LANDLINE-BINARY DIRECTORY

The directory is for the database and the keys. Ends with 0 if everything was as it must be.
"""

import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from socketserver import ThreadingMixIn
from urllib.parse import urlencode
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

BINARY, DIRECTORY = sys.argv[1], Path(sys.argv[2])
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "examples" / "django"))

import django  # noqa: E402
from django.conf import settings  # noqa: E402

GROUP_KEY = "0123456789abcdef0123456789abcdef"
ADMIN_KEY = "correct-horse-battery-staple"
TOKEN_KEY = "a secret of this test, long enough for HS256"
PATIENCE = 20

settings.configure(
    SECRET_KEY="of no use but for this test",
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DIRECTORY / "django.sqlite3"}
    },
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    LANDLINE_GROUP_KEY=GROUP_KEY,
    LANDLINE_ADMIN_KEY=ADMIN_KEY,
)
django.setup()

import jwt  # noqa: E402
import landline_auth  # noqa: E402
from django.contrib.auth import authenticate, login, logout  # noqa: E402
from django.contrib.auth.models import Group, User  # noqa: E402
from django.contrib.auth.signals import user_logged_out  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connections  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402
from websockets.exceptions import ConnectionClosedError, InvalidStatus  # noqa: E402
from websockets.sync.client import connect  # noqa: E402


class Wrong(Exception):
    """Something was not as it must be."""


def check_same(got, expected, what):
    if got != expected:
        raise Wrong(f"{what}: got {got!r}, expected {expected!r}")


def log_in(request):
    user = authenticate(request, **{key: request.GET[key] for key in ("username", "password")})
    if user is None:
        return HttpResponse(status=403)
    login(request, user)
    if "seconds" in request.GET:
        request.session.set_expiry(int(request.GET["seconds"]))
    return HttpResponse("in")


def log_out(request):
    logout(request)
    return HttpResponse("out")


urlpatterns = [
    path("login/", log_in),
    path("logout/", log_out),
    path("landline/auth/", landline_auth.who),
]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Silent(WSGIRequestHandler):
    def log_message(self, *_):
        pass


class Django:
    """A real one, on a free port, with its sessions in a real database."""

    def __init__(self):
        call_command("migrate", verbosity=0)
        anna = User.objects.create_user("anna", password="correct horse")
        anna.groups.add(Group.objects.create(name="editors"))
        User.objects.create_user("ben", password="battery staple", is_active=True)
        self.server = make_server("127.0.0.1", 0, get_wsgi_application(), Server, Silent)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def get(self, where, cookie=""):
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE)
        connection.request("GET", where, headers={"Cookie": cookie})
        response = connection.getresponse()
        response.read()
        return response

    def session(self, username, password, **more):
        """The cookie of somebody who logs in."""
        query = urlencode({"username": username, "password": password, **more})
        response = self.get(f"/login/?{query}")
        check_same(response.status, 200, "log in")
        return re.match(r"sessionid=\w+", response.headers["Set-Cookie"])[0]


class Landline:
    """The ready binary, until it is stopped."""

    def __init__(self, *flags):
        variables = {key: value for key, value in os.environ.items() if "LANDLINE_" not in key}
        variables["LANDLINE_AUTH_GROUP_KEY"] = GROUP_KEY
        variables["LANDLINE_ADMIN_KEY"] = ADMIN_KEY
        self.process = subprocess.Popen(
            [BINARY, "serve", "--port", "0", *flags],
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for line in self.process.stdout:
            if found := re.search(r"http://(127\.0\.0\.1:\d+)/", line):
                self.address = found[1]
                settings.LANDLINE_URL = f"http://{self.address}"
                break
        else:
            raise Wrong("the server ended at once")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        del settings.LANDLINE_URL
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.process.stdout.close()

    def connect(self, where, cookie=None, **more):
        headers = {"Cookie": cookie} if cookie else {}
        return connect(
            f"ws://{self.address}{where}",
            additional_headers=headers,
            proxy=None,
            open_timeout=PATIENCE,
            **more,
        )

    def refusal(self, where, cookie=None, **more):
        try:
            self.connect(where, cookie, **more).close()
        except InvalidStatus as refused:
            return refused.response.status_code
        return 101

    def get(self, where, cookie):
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE)
        connection.request("GET", where, headers={"Cookie": cookie})
        response = connection.getresponse()
        response.read()
        return response.status


def name_in_the_chat(ws):
    ws.send(json.dumps({"message": "who am I?"}))
    while True:
        said = json.loads(ws.recv(PATIENCE))
        if said.get("message") == "who am I?":
            return said["name"]


def a_login_of_django_lets_in():
    with Landline("--auth-backend-url", f"http://{DJANGO.address}/landline/auth/") as landline:
        anna = DJANGO.session("anna", "correct horse")
        ben = DJANGO.session("ben", "battery staple")
        for cookie, name in [(anna, "anna"), (ben, "ben"), (f"a=b; {anna}; c=d", "anna")]:
            with landline.connect("/ws/chat/lobby/", cookie) as ws:
                check_same(name_in_the_chat(ws), name, "name in the chat")
            check_same(landline.get("/", cookie), 200, "a page")
        for stranger in [None, "sessionid=0123456789abcdef0123456789abcdef", "a=b"]:
            check_same(landline.refusal("/ws/chat/lobby/", stranger), 401, f"cookie {stranger}")
        check_same(landline.get("/", "sessionid=x"), 401, "a page")
        # The groups and the session are those of Django.
        for flag in ["subscribe-user", "subscribe-group", "subscribe-session"]:
            check_same(landline.refusal(f"/ws/news/?{flag}", anna), 101, flag)
        check_same(landline.refusal("/ws/news/?subscribe-group", ben), 403, "ben has no group")


def who_logs_out_is_out_after_a_moment():
    with Landline("--auth-backend-url", f"http://{DJANGO.address}/landline/auth/") as landline:
        cookie = DJANGO.session("anna", "correct horse")
        check_same(landline.get("/", cookie), 200, "logged in")
        check_same(DJANGO.get("/logout/", cookie).status, 200, "log out")
        deadline = time.monotonic() + PATIENCE
        while landline.get("/", cookie) != 401:
            if time.monotonic() > deadline:
                raise Wrong("who has logged out still comes in")
            time.sleep(0.2)


def check_closed(ws, code, reason, what):
    try:
        while True:
            ws.recv(PATIENCE)
    except ConnectionClosedError as closed:
        check_same((closed.rcvd.code, closed.rcvd.reason), (code, reason), what)


def who_logs_out_loses_the_sockets_of_that_session_alone():
    # Answers are kept for as long as they are by default, and help nobody back in.
    with Landline("--auth-backend-url", f"http://{DJANGO.address}/landline/auth/") as landline:
        here, there = (DJANGO.session("anna", "correct horse") for _ in range(2))
        ben = DJANGO.session("ben", "battery staple")
        sockets = [landline.connect("/echo", cookie) for cookie in (here, here, there, ben)]
        check_same(DJANGO.get("/logout/", here).status, 200, "log out")
        for ws in sockets[:2]:
            check_closed(ws, 4401, "logged out", "a socket of the session")
            check_same(landline.refusal("/echo", here), 401, "its page comes back at once")
        for ws in sockets[2:]:
            ws.send("still here")
            check_same(ws.recv(PATIENCE), "still here", "a socket of another session")
            ws.close()


def a_page_that_is_back_before_the_logout_is_done_is_refused():
    with Landline("--auth-backend-url", f"http://{DJANGO.address}/landline/auth/") as landline:
        cookie = DJANGO.session("anna", "correct horse")
        back = []

        def come_back(**_):
            # Called behind the receiver of landline_auth, and before Django ends the session.
            back.append(landline.refusal("/echo", cookie))

        user_logged_out.connect(come_back)
        try:
            with landline.connect("/echo", cookie) as ws:
                check_same(DJANGO.get("/logout/", cookie).status, 200, "log out")
                check_closed(ws, 4401, "logged out", "the socket of the session")
        finally:
            user_logged_out.disconnect(come_back)
        check_same(back, [401], "the page that came back")


def who_logs_out_within_a_transaction_is_out_too():
    connections.settings["default"]["ATOMIC_REQUESTS"] = True
    back = []
    try:
        who_logs_out_loses_the_sockets_of_that_session_alone()
        with Landline("--auth-backend-url", f"http://{DJANGO.address}/landline/auth/") as landline:
            cookie = DJANGO.session("anna", "correct horse")

            def come_back(**_):
                # The session is there for others until the end of the transaction.
                back.append(landline.connect("/echo", cookie))

            user_logged_out.connect(come_back)
            try:
                check_same(DJANGO.get("/logout/", cookie).status, 200, "log out")
            finally:
                user_logged_out.disconnect(come_back)
            check_closed(back[0], 4401, "logged out", "the page that came back")
    finally:
        connections.settings["default"]["ATOMIC_REQUESTS"] = False


def who_is_barred_loses_all_sockets():
    with Landline("--auth-backend-url", f"http://{DJANGO.address}/landline/auth/") as landline:
        for bar in (
            lambda user: setattr(user, "is_active", False) or user.save(),
            lambda user: user.delete(),
        ):
            carl = User.objects.create_user("carl", password="tr0ub4dor")
            cookies = [DJANGO.session("carl", "tr0ub4dor") for _ in range(2)]
            ben = landline.connect("/echo", DJANGO.session("ben", "battery staple"))
            sockets = [landline.connect("/echo", cookie) for cookie in cookies]
            carl.save()
            for ws in sockets:
                ws.send("still good")
                check_same(ws.recv(PATIENCE), "still good", "a user who is saved")
            bar(carl)
            for ws, cookie in zip(sockets, cookies):
                check_closed(ws, 4401, "barred", "a socket of who is barred")
                check_same(landline.refusal("/echo", cookie), 401, "who is barred comes back")
            ben.send("still here")
            check_same(ben.recv(PATIENCE), "still here", "another user")
            ben.close()
            User.objects.filter(username="carl").delete()


def a_landline_that_is_gone_keeps_nobody_from_logging_out():
    settings.LANDLINE_URL = "http://127.0.0.1:1"
    cookie = DJANGO.session("anna", "correct horse")
    check_same(DJANGO.get("/logout/", cookie).status, 200, "log out")
    check_same(DJANGO.get("/landline/auth/", cookie).status, 401, "the session is over")
    check_same(landline_auth.close_user("anna"), None, "nobody answers")
    del settings.LANDLINE_URL


def the_command_signs_as_django_does():
    now = int(time.time())
    for group, user in [("chat:private-board", ""), ("行情 ä", "anna"), ("x" * 255, "Ü b")]:
        flags = ["--for", "3600", *(["--user", user] if user else [])]
        signed = subprocess.run(
            [BINARY, "sign", "group", group, *flags],
            env={**os.environ, "LANDLINE_AUTH_GROUP_KEY": GROUP_KEY},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        until = int(signed.split(".")[2])
        if not now + 3600 <= until <= now + 3600 + PATIENCE:
            raise Wrong(f"it is good until {until}")
        ours = landline_auth.signed_group(group, user, seconds=until - int(time.time()))
        # Unless a second has passed since.
        if int(ours.split(".")[2]) != until:
            ours = landline_auth.signed_group(group, user, seconds=until - int(time.time()))
        check_same(signed, ours, f"the signature of {group!r} for {user!r}")


def a_session_that_expires_closes_its_socket():
    with Landline("--auth-backend-url", f"http://{DJANGO.address}/landline/auth/") as landline:
        cookie = DJANGO.session("anna", "correct horse", seconds=2)
        with landline.connect("/echo", cookie) as ws:
            ws.send("in")
            check_same(ws.recv(PATIENCE), "in", "echo")
            try:
                ws.recv(PATIENCE)
            except ConnectionClosedError as closed:
                check_same((closed.rcvd.code, closed.rcvd.reason), (4401, "token expired"), "close")
            else:
                raise Wrong("the socket stays open")


def a_django_that_is_gone_lets_nobody_in():
    with Landline("--auth-backend-url", "http://127.0.0.1:1/") as landline:
        cookie = DJANGO.session("anna", "correct horse")
        check_same(landline.refusal("/echo", cookie), 503, "nobody answers")


def a_name_that_python_signs_opens_its_room():
    with Landline() as landline:
        for group, status in [
            (landline_auth.signed_group("chat:private-board"), 101),
            (landline_auth.signed_group("chat:private-other"), 403),
            (landline_auth.signed_group("chat:private-board", seconds=-1), 403),
            (landline_auth.signed_group("chat:private-board", user="anna"), 403),
            ("", 403),
        ]:
            where = f"/ws/chat/private-board/?group={group}"
            check_same(landline.refusal(where), status, f"group {group}")
        group = landline_auth.signed_group("行情")
        check_same(landline.refusal(f"/ws/news/?subscribe-group&group={group}"), 101, "facility")


def a_token_of_pyjwt_lets_in():
    key = DIRECTORY / "token.key"
    key.write_text(TOKEN_KEY + "\n")
    flags = ["--auth-jwt-key", str(key), "--auth-jwt-issuer", "django"]
    with Landline(*flags, "--auth-jwt-audience", "chat") as landline:
        now = int(time.time())
        claims = {"sub": "anna", "iss": "django", "aud": "chat", "exp": now + 600, "nbf": now}

        def refusal(key=TOKEN_KEY, **other):
            token = jwt.encode({**claims, **other}, key, algorithm="HS256")
            statuses = {
                landline.refusal(f"/echo?token={token}"),
                landline.refusal("/echo", subprotocols=["bearer", token]),
                landline.refusal("/echo", subprotocols=["x", "bearer", token]),
            }
            check_same(len(statuses), 1, f"the same for each way to bring {other}")
            return statuses.pop()

        check_same(refusal(), 101, "a good token")
        for other in [{"exp": now - 60}, {"nbf": now + 60}, {"iss": "x"}, {"aud": "x"}]:
            check_same(refusal(**other), 401, f"a token with {other}")
        check_same(refusal(key=TOKEN_KEY + "!"), 401, "another key")
        token = jwt.encode(claims, TOKEN_KEY, algorithm="HS256")
        with landline.connect("/ws/chat/lobby/", subprotocols=["bearer", token]) as ws:
            check_same(ws.subprotocol, "bearer", "subprotocol of the answer")
            check_same(name_in_the_chat(ws), "anna", "name in the chat")


CHECKS = [
    a_login_of_django_lets_in,
    who_logs_out_is_out_after_a_moment,
    who_logs_out_loses_the_sockets_of_that_session_alone,
    a_page_that_is_back_before_the_logout_is_done_is_refused,
    who_logs_out_within_a_transaction_is_out_too,
    who_is_barred_loses_all_sockets,
    a_landline_that_is_gone_keeps_nobody_from_logging_out,
    the_command_signs_as_django_does,
    a_session_that_expires_closes_its_socket,
    a_django_that_is_gone_lets_nobody_in,
    a_name_that_python_signs_opens_its_room,
    a_token_of_pyjwt_lets_in,
]


def main():
    for run in CHECKS:
        name = run.__name__.replace("_", " ")
        try:
            run()
        except Exception:
            print(f"  FAILED  {name}: {traceback.format_exc()}", flush=True)
            return 1
        print(f"  ok      {name}", flush=True)
    return 0


DJANGO = Django()
sys.exit(main())
