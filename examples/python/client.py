"""A client that signs in with the OAuth 2.0 password form, as many command lines and scripts of old do.

Needs nothing but Python. The second factor is the code that the server sends; here it is read from the
phone of development mode, where a person would type it.
"""

import json
import os
import random
import time
import urllib.error
import urllib.parse
import urllib.request

ORIGIN = os.environ.get("VESTIBULE_ORIGIN", "http://127.0.0.1:8080")
PASSWORD = "violet kettle forty moons"


def ask(method, path, body=None, form=None, token=None):
    """The answer of the server as JSON; a failure as a sentence."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    data = None
    if form is not None:
        data, headers["content-type"] = urllib.parse.urlencode(form).encode(), "application/x-www-form-urlencoded"
    elif body is not None:
        data, headers["content-type"] = json.dumps(body).encode(), "application/json"
    request = urllib.request.Request(ORIGIN + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
    except urllib.error.HTTPError as failure:
        told = json.load(failure)
        raise SystemExit(f"{failure.code}: {told.get('title')} {told.get('detail') or ''}") from None
    return json.loads(text) if text else None


def code(to, wanted):
    """The newest of `wanted` codes that came to the number or the address `to`."""
    for _ in range(100):
        items = ask("GET", "/dev/messages?" + urllib.parse.urlencode({"to": to}))["items"]
        codes = [one["code"] for one in items if one.get("code")]
        if len(codes) >= wanted:
            return codes[0]
        time.sleep(0.1)
    raise SystemExit("no code came")


def main():
    username = f"python{random.randrange(10**9):09}"
    reached = {"sms": f"+1201555{random.randrange(10**4):04}", "email": f"{username}@example.com"}
    made = ask("POST", "/api/v1/users", {
        "username": username, "email": reached["email"], "mobile": reached["sms"],
        "password": PASSWORD, "is_2fa_enabled": True,
    })
    print("signed up:", made["user"]["username"])
    for asked in made["verifications"]:
        given = code(reached[asked["factor"]], 1)
        ask("POST", "/api/v1/auth/verify-code", {"challenge": asked["id"], "code": given})

    # RFC 6749 section 4.3: the form of the password grant.
    answer = ask("POST", "/login", form={"grant_type": "password", "username": username, "password": PASSWORD})
    if "access_token" not in answer:
        asked = answer["challenge"]
        print("a code was sent:", asked["sent_to"])
        # The second one there: the first showed the number or the address to be one's own.
        given = code(reached[asked["factor"]], 2)
        answer = ask("POST", "/verify-2fa", form={"username": username, "otp_code": given})
    token = answer["access_token"]
    print("signed in:", answer["token_type"])

    print("oneself:", ask("GET", "/api/v1/users/me", token=token)["username"])
    ask("POST", "/api/v1/auth/logout", {}, token=token)
    if ask("GET", "/api/v1/auth/authenticated", token=token)["authenticated"]:
        raise SystemExit("the session did not end")
    print("signed out")


if __name__ == "__main__":
    main()
