"""Who asks: an administrator with a session; for what ends a session, somebody new each time; for what
services ask, a registered client. Tokens come in the environment, as JSON."""

import base64
import json
import os

import schemathesis

TOKENS = json.loads(os.environ["VESTIBULE_TEST_TOKENS"])
CLIENT = base64.b64encode(os.environ["VESTIBULE_TEST_CLIENT"].encode()).decode()
ENDS = {("POST", "/api/v1/auth/logout"), ("DELETE", "/api/v1/users/me"), ("PUT", "/api/v1/users/me/password")}


@schemathesis.auth()
class Asker:
    def get(self, case, context):
        if case.operation.path.startswith("/oauth2/"):
            return f"Basic {CLIENT}"
        ends = (case.operation.method.upper(), case.operation.path) in ENDS
        # The last one is asked again when there are no more: a token that has ended is a case as well.
        token = TOKENS["ending"].pop() if ends and len(TOKENS["ending"]) > 1 else TOKENS["standing"]
        return f"Bearer {token}"

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = data
