"""Two OAuth 2.0 client libraries that others wrote, signing in by the password form (RFC 6749 section 4.3).

client.py ORIGIN USERNAME PASSWORD: prints what each made of it, as JSON.
"""

import json
import os
import sys

# The house under test is on the loopback, without TLS.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from authlib.integrations.base_client import OAuthError  # noqa: E402
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession  # noqa: E402
from oauthlib.oauth2 import LegacyApplicationClient  # noqa: E402
from oauthlib.oauth2.rfc6749.errors import OAuth2Error  # noqa: E402
from requests_oauthlib import OAuth2Session  # noqa: E402

origin, username, password = sys.argv[1:]
LOGIN = origin + "/login"


def tell(session, token, wrong):
    """What the token opens, and that signing out ends it."""
    me = session.get(origin + "/api/users/me")
    out = session.post(origin + "/api/logout")
    after = session.get(origin + "/api/users/me")
    return {
        "token_type": token["token_type"],
        "me": me.json().get("username"),
        "after": [out.status_code, after.status_code],
        "wrong": wrong,
    }


def by_requests_oauthlib():
    def ask(secret):
        session = OAuth2Session(client=LegacyApplicationClient(client_id="web"))
        token = session.fetch_token(LOGIN, username=username, password=secret, client_id="web", send_otp="false")
        return session, token

    try:
        ask("a guess")
        wrong = None
    except OAuth2Error as error:
        wrong = error.error
    return tell(*ask(password), wrong)


def by_authlib():
    def ask(secret):
        session = AuthlibSession("web", token_endpoint_auth_method="client_secret_post")
        token = session.fetch_token(LOGIN, username=username, password=secret, grant_type="password")
        return session, token

    try:
        ask("a guess")
        wrong = None
    except OAuthError as error:
        wrong = error.error
    return tell(*ask(password), wrong)


print(json.dumps({"requests_oauthlib": by_requests_oauthlib(), "authlib": by_authlib()}))
