"""Twilio's own library against the look-alike: what it sends is understood, what it reads is there,
and its validator and ours agree on every signature. Prints what it found as JSON.

client.py look-alike ORIGIN ACCOUNT TOKEN PORT NUMBER
client.py corpus < CASES
"""

import json
import sys
import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client


class Here(TwilioHttpClient):
    """The library's own client, with Twilio's host replaced."""

    def __init__(self, origin):
        super().__init__()
        self.origin = origin

    def request(self, method, uri, **more):
        return super().request(method, uri.replace("https://api.twilio.com", self.origin + "/dev/twilio"), **more)


class Params(list):
    """The parameters of a form, as web frameworks hold them."""

    def __iter__(self):
        return iter([name for name, _ in super().__iter__()])

    def getall(self, name):
        return [value for one, value in super().__iter__() if one == name]


def listen(port, token, heard):
    """Takes callbacks and has the library judge each, as it came and altered."""
    validator = RequestValidator(token)
    origin = f"http://127.0.0.1:{port}"

    class Door(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            pairs = urllib.parse.parse_qsl(body, keep_blank_values=True)
            signature = self.headers["x-twilio-signature"]
            altered = [(name, "x" if name in ("CallStatus", "MessageStatus") else value) for name, value in pairs]
            heard.append({
                "path": self.path,
                "params": dict(pairs),
                "valid": validator.validate(origin + self.path, Params(pairs), signature),
                "altered": validator.validate(origin + self.path, Params(altered), signature)
                or validator.validate(origin + "/other", Params(pairs), signature)
                or validator.validate(origin + self.path, Params(pairs), signature[::-1]),
            })
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return origin


def until(done):
    for _ in range(500):
        if done():
            return
        time.sleep(0.01)
    raise SystemExit("it does not come to an end")


def look_alike(origin, account, token, port, number):
    heard = []
    here = listen(int(port), token, heard)
    client = Client(account, token, http_client=Here(origin))
    words = lambda path: [one["params"].get("MessageStatus") or one["params"]["CallStatus"]
                          for one in heard if one["path"].startswith(path)]

    message = client.messages.create(to=number, from_="+15005550006", body="naïve  code ✓",
                                     status_callback=here + "/message?a=b%20c")
    until(lambda: "delivered" in words("/message"))
    fetched = client.messages(message.sid).fetch()

    rule = urllib.parse.urlencode({"to": number, "does": "answer"}).encode()
    urllib.request.urlopen(origin + "/dev/phone/rules", rule).read()
    call = client.calls.create(to=number, from_="+15005550006", twiml="<Response><Say>Hello</Say></Response>",
                               status_callback=here + "/call#rc=3", timeout=20,
                               status_callback_event=["initiated", "ringing", "answered", "completed"])
    until(lambda: "in-progress" in words("/call"))
    talking = client.calls(call.sid).fetch()
    client.calls(call.sid).update(status="completed")
    until(lambda: "completed" in words("/call"))
    ended = client.calls(call.sid).fetch()
    listed = client.calls.list(to=number, from_="+15005550006", limit=5)

    refusals = []
    for ask in [
        lambda: client.messages.create(to="+15005550001", from_="+15005550006", body="x"),
        lambda: client.calls.create(to="+15005550001", from_="+15005550006", twiml="<Response/>"),
        lambda: client.calls.create(to=number, from_="+15005550006"),
        lambda: client.calls(call.sid).update(status="completed"),
        lambda: client.calls("CA" + "0" * 32).fetch(),
        lambda: Client(account, "wrong", http_client=Here(origin)).messages(message.sid).fetch(),
    ]:
        try:
            ask()
            refusals.append(None)
        except TwilioRestException as refused:
            refusals.append([refused.status, refused.code])

    return {
        "message": [message.status, fetched.status, fetched.body, fetched.sid == message.sid],
        "call": [call.status, talking.status, ended.status, ended.direction, ended.end_time is not None],
        "listed": [one.sid == call.sid for one in listed],
        "words": {"message": words("/message"), "call": words("/call")},
        "sequence": [one["params"].get("SequenceNumber") for one in heard if one["path"].startswith("/call")],
        "valid": all(one["valid"] for one in heard),
        "altered": any(one["altered"] for one in heard),
        "refusals": refusals,
    }


def corpus(cases):
    found = []
    for case in cases:
        validator = RequestValidator(case["token"])
        params = case["body"] if "body" in case else Params(map(tuple, case["params"]))
        signed = [] if "body" in case else params
        found.append({
            "signature": validator.compute_signature(case["url"], signed),
            "valid": bool(validator.validate(case["url"], params, case["signature"])),
        })
    return found


if __name__ == "__main__":
    what, *more = sys.argv[1:]
    print(json.dumps(look_alike(*more) if what == "look-alike" else corpus(json.load(sys.stdin))))
