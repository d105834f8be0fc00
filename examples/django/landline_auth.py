"""Lets the users of a Django into a Landline.

Copy this file into your project and name its view in `urls.py`:

    path("landline/auth/", landline_auth.who)

Then Landline asks it, with the cookies of whoever wants to come in, who that is:

    landline --auth-backend-url http://127.0.0.1:8001/landline/auth/

The host of that address has to be in ALLOWED_HOSTS. Landline keeps an answer for five seconds, and
closes a WebSocket when the session behind it expires.

`signed_group` is for private groups: a page that was given a signed name can join the group without
anybody being asked. LANDLINE_GROUP_KEY is the key that Landline was started with as
LANDLINE_AUTH_GROUP_KEY.
"""

import base64
import hashlib
import hmac
import time

from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe


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


def signed_group(name, user="", seconds=60):
    """The signed name of a group, good for so many seconds, for everybody or for one user."""
    text = f"g1.{_encoded(name.encode())}.{int(time.time()) + seconds}.{_encoded(user.encode())}"
    key = settings.LANDLINE_GROUP_KEY.encode()
    return f"{text}.{_encoded(hmac.new(key, text.encode(), hashlib.sha256).digest())}"


def _encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
