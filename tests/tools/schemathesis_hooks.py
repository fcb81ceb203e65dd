"""Who asks: an administrator with a session; for what ends a session, somebody new each time; for what
services ask, a registered client. Tokens come in the environment, as JSON."""

import atexit
import base64
import json
import os

import schemathesis

TOKENS = json.loads(os.environ["VESTIBULE_TEST_TOKENS"])
CLIENT = base64.b64encode(os.environ["VESTIBULE_TEST_CLIENT"].encode()).decode()
ENDS = {
    ("POST", "/api/v1/auth/logout"),
    ("DELETE", "/api/v1/users/me"),
    ("PUT", "/api/v1/users/me/password"),
    # It sends ids that it was told.
    ("DELETE", "/api/v1/sessions/{id}"),
}


@schemathesis.auth(refresh_interval=None)
class Asker:
    def get(self, case, context):
        if case.operation.path.startswith("/oauth2/"):
            return f"Basic {CLIENT}"
        if (case.operation.method.upper(), case.operation.path) in ENDS:
            # The last one is asked again when there are no more: a token that has ended is a case as well.
            tokens = TOKENS["ending"]
            return f"Bearer {tokens.pop() if len(tokens) > 1 else tokens[0]}"
        return f"Bearer {TOKENS['standing']}"

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = data


ANSWERED = {}


@schemathesis.hook
def after_call(context, case, response):
    """Notes with what each operation was answered: a fuzzer that only ever hears 401 finds nothing."""
    statuses = ANSWERED.setdefault(f"{case.operation.method.upper()} {case.operation.path}", {})
    statuses[response.status_code] = statuses.get(response.status_code, 0) + 1


@atexit.register
def tell():
    with open("answered.json", "w", encoding="utf-8") as file:
        json.dump(ANSWERED, file, indent=1, sort_keys=True)
