"""A web process that is killed in the middle of a text: handles one signed webhook and dies where it is told to.

`main(where, body, from, sid)` in a process of its own, with the settings in the environment. `where` is `before_reading`,
`before_commit`, `before_answer` or `never`; with `never` it prints the answer.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import signal
from typing import NoReturn

from nudges import config, factory, wiring
from nudges.inbound import handle
from nudges.web import hooks


def kill() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still here")


def main(where: str, body: str, sender: str, sid: str) -> None:
    settings = config.load()
    built = wiring.build(settings)
    receive, once = handle.receive, hooks._once
    if where == "before_reading":
        handle.receive = lambda *args, **kwargs: kill()
    if where == "before_commit":
        handle.receive = lambda *args, **kwargs: (receive(*args, **kwargs), kill())
    if where == "before_answer":
        hooks._once = lambda *args: (once(*args), kill())
    app = factory.create_app(built)
    form = {
        "MessageSid": sid,
        "AccountSid": settings.account.account_sid,
        "From": sender,
        "To": "+13125550100",
        "Body": body,
        "NumMedia": "0",
    }
    signed = f"{settings.public_url}/twilio/inbound" + "".join(name + form[name] for name in sorted(form))
    key = settings.account.auth_tokens[0].encode()
    signature = base64.b64encode(hmac.new(key, signed.encode(), hashlib.sha1).digest()).decode()
    answer = app.test_client().post("/twilio/inbound", data=form, headers={"X-Twilio-Signature": signature})
    print(answer.text)
