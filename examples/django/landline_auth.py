"""Lets the users of a Django into a Landline, and out again.

Copy this file into your project and name its view in `urls.py`:

    path("landline/auth/", landline_auth.who)

Then Landline asks it, with the cookies of whoever wants to come in, who that is:

    landline --auth-backend-url http://127.0.0.1:8001/landline/auth/

The host of that address has to be in ALLOWED_HOSTS. Landline keeps an answer for five seconds, and
closes a WebSocket when the session behind it expires.

Who logs out loses the WebSockets of that session at once, and who is made inactive or deleted all of
them, if the settings say where Landline is and have its admin key:

    LANDLINE_URL = "http://127.0.0.1:8000"        # or that of --admin-port
    LANDLINE_ADMIN_KEY = os.environ["LANDLINE_ADMIN_KEY"]

Import this file in `AppConfig.ready` as well if users are barred by a command of `manage.py`, which
does not read `urls.py`. For anything else call `close_user` or `close_session` yourself. A Landline
that does not answer keeps nobody from logging out: it is logged, and the WebSockets end with the
session's own time.

`signed_group` is for private groups: a page that was given a signed name can join the group without
anybody being asked. LANDLINE_GROUP_KEY is the key that Landline was started with as
LANDLINE_AUTH_GROUP_KEY.
"""

import base64
import hashlib
import hmac
import json
import logging
import time
import urllib.request

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_out
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http import HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

log = logging.getLogger("landline")

# Seconds that a Landline may take to answer; a request of somebody waits meanwhile.
PATIENCE = 2


@never_cache
@require_safe
def who(request):
    """Says who has logged in with the session of this request; 401 if nobody has.

    Add what your handlers need: everything is in the claims of Landline's identity.
    """
    user = request.user
    if not (user.is_authenticated and user.is_active):
        return HttpResponse("Nobody has logged in.\n", status=401, content_type="text/plain")
    return JsonResponse(
        {
            "user": user.get_username(),
            "groups": list(user.groups.values_list("name", flat=True)),
            "session": request.session.session_key,
            "expires": request.session.get_expiry_date().timestamp(),
            "id": user.pk,
            "is_staff": user.is_staff,
        }
    )


def close_user(username, code=4401, reason="logged out"):
    """Closes all WebSockets of a user; returns how many, or None if Landline cannot be asked."""
    return _close({"user": username, "code": code, "reason": reason})


def close_session(key, code=4401, reason="logged out"):
    """Closes the WebSockets of one session; returns how many, or None if Landline cannot be asked."""
    return _close({"session": key, "code": code, "reason": reason})


@receiver(user_logged_out, dispatch_uid="landline")
def _logged_out(request, **_):
    key = getattr(getattr(request, "session", None), "session_key", None)
    if key and _is_set_up():
        # Django ends the session after this signal. It has to be gone before its WebSockets are
        # closed: their pages come back at once.
        request.session.delete(key)
        transaction.on_commit(lambda: close_session(key))


@receiver(post_save, dispatch_uid="landline")
def _saved(sender, instance, **_):
    if issubclass(sender, get_user_model()) and not instance.is_active and _is_set_up():
        transaction.on_commit(lambda: close_user(instance.get_username(), reason="barred"))


@receiver(post_delete, dispatch_uid="landline")
def _deleted(sender, instance, **_):
    if issubclass(sender, get_user_model()) and _is_set_up():
        transaction.on_commit(lambda: close_user(instance.get_username(), reason="barred"))


def signed_group(name, user="", seconds=60):
    """The signed name of a group, good for so many seconds, for everybody or for one user.

    The same as `landline sign group NAME --for SECONDS --user USER`.
    """
    text = f"g1.{_encoded(name.encode())}.{int(time.time()) + seconds}.{_encoded(user.encode())}"
    key = settings.LANDLINE_GROUP_KEY.encode()
    return f"{text}.{_encoded(hmac.new(key, text.encode(), hashlib.sha256).digest())}"


def _encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _is_set_up():
    return bool(getattr(settings, "LANDLINE_URL", "") and getattr(settings, "LANDLINE_ADMIN_KEY", ""))


def _close(whom):
    request = urllib.request.Request(
        settings.LANDLINE_URL.rstrip("/") + "/admin/users/close",
        json.dumps(whom).encode(),
        {
            "Authorization": f"Bearer {settings.LANDLINE_ADMIN_KEY}",
            "Content-Type": "application/json",
        },
    )
    # No proxy of the environment, and no redirect, gets to see the key.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Straight)
    try:
        with opener.open(request, timeout=PATIENCE) as response:
            return json.load(response)["closed"]
    except (OSError, ValueError) as error:
        log.error("cannot have WebSockets closed by %s: %s", settings.LANDLINE_URL, error)
        return None


class _Straight(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None
