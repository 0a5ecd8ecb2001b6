"""Run the fake by hand: `python -m tests.support.fake_twilio --port 9010 --app http://127.0.0.1:8000`."""

from __future__ import annotations

import argparse
import threading

from nudges.channels.twilio_doctor import WEBHOOK_OPTIONS
from tests.support.fake_twilio.server import ACCOUNT_SID, AUTH_TOKEN, FakeTwilio

SERVICE_SID = "MG" + "0" * 31 + "1"

GUIDE = """Fake Twilio on {url}. Open it in a browser to read, write as a parent, and break things. Start the app with
  NUDGES_CHANNEL=twilio NUDGES_PUBLIC_URL={public} TWILIO_MESSAGING_SERVICE_SID={service} \\
  TWILIO_API_BASE={url} TWILIO_ACCOUNT_SID={sid} TWILIO_AUTH_TOKEN={token} python -m nudges serve
See all texts:      curl {url}/fake/texts
Write as a parent:  curl {url}/fake/text-in -H 'Content-Type: application/json' -d '{{"from": "+13125550142", "body": "JOIN"}}'
Break a send:       curl {url}/fake/next -H 'Content-Type: application/json' -d '{{"kind": "refuse", "code": 21610}}'
  kinds: refuse, fail_later, too_many, server_error, page_of_a_proxy, close, hang, slow, call_back_first
Stop with Ctrl-C."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9010)
    parser.add_argument("--app", default="http://127.0.0.1:8000", help="where the app listens")
    parser.add_argument("--public", help="the app's public address, if it differs: signatures are made for it")
    parser.add_argument("--account-sid", default=ACCOUNT_SID)
    parser.add_argument("--auth-token", default=AUTH_TOKEN)
    parser.add_argument("--pace", type=float, default=1.0, help="segments a second for each sender")
    given = parser.parse_args()
    with FakeTwilio(
        app_url=given.app,
        public_url=given.public,
        account_sid=given.account_sid,
        auth_token=given.auth_token,
        port=given.port,
        auto_callbacks=True,
        pace=given.pace,
        is_checked=False,  # by hand the app's address may be plain http
    ) as fake:
        public = given.public or given.app
        # A Messaging Service as docs/running.md says to set one up.
        fake.account.services[SERVICE_SID] = {
            "inbound_request_url": f"{public}/twilio/inbound{WEBHOOK_OPTIONS}",
            "fallback_url": f"{public}/twilio/fallback",
            "status_callback": "",
        }
        about = {"sid": fake.account_sid, "token": fake.auth_token, "service": SERVICE_SID}
        print(GUIDE.format(url=fake.url, public=public, **about), flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("stopped")


if __name__ == "__main__":
    main()
