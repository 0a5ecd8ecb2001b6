"""The fake as a running server. `FakeTwilio` is what tests hold; see its methods."""

from __future__ import annotations

import logging
import re
import threading
import xml.etree.ElementTree as ElementTree
from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType

from nudges.clock import Clock, SystemClock
from tests.support.fake_twilio.account import Account
from tests.support.fake_twilio.behaviour import Behaviour, accept
from tests.support.fake_twilio.carrier import QUEUE_FULL, Carrier
from tests.support.fake_twilio.http import ApiServer
from tests.support.fake_twilio.rules import fault_of
from tests.support.fake_twilio.texts import ENDED, WAITING, Text, Texts
from tests.support.fake_twilio.webhooks import Post, Webhooks, post_over_http

logger = logging.getLogger(__name__)

ACCOUNT_SID = "AC" + "0" * 31 + "1"
AUTH_TOKEN = "a-token-of-the-fake"
OPT_OUT = re.compile(r"\s*(STOP|STOPALL|UNSUBSCRIBE|CANCEL|END|QUIT|REVOKE|OPTOUT)\s*", re.IGNORECASE)
OPT_IN = re.compile(r"\s*(START|UNSTOP)\s*", re.IGNORECASE)
HELP = re.compile(r"\s*(HELP|INFO)\s*", re.IGNORECASE)


class FakeTwilio:
    """A Twilio account on 127.0.0.1; a context manager that serves while it is open.

    `next` scripts calls; `received` says what a phone really got; `move` makes texts progress and calls
    the app back; `text_in` is a parent writing. With `auto_callbacks` every text is sent and delivered at
    once, or at `pace` segments a second for each sender. Otherwise `carrier.carry` lets go what has its turn.
    Requests that are taken and answers that are given are held to the contract; `violations` says where not.
    """

    def __init__(
        self,
        *,
        app_url: str | None = None,
        public_url: str | None = None,
        account_sid: str = ACCOUNT_SID,
        auth_token: str = AUTH_TOKEN,
        port: int = 0,
        clock: Clock | None = None,
        post: Post = post_over_http,
        auto_callbacks: bool = False,
        advanced_opt_out: bool = True,
        pace: float | None = None,
        pool: Sequence[str] = ("+13125550100", "+13125550101"),
        is_checked: bool = True,
    ) -> None:
        self.account_sid = account_sid
        self.auth_token = auth_token
        self.clock = clock or SystemClock()
        self.texts = Texts(account_sid, self.clock)
        self.webhooks = Webhooks(
            account_sid=account_sid, auth_token=auth_token, app_url=app_url, public_url=public_url, post=post
        )
        self.calls: list[tuple[str, str]] = []  # method and path of each authenticated call
        self.peers: list[tuple[str, int]] = []  # the address that each of them came from
        self.carrier = Carrier(self.texts, self.webhooks, pace=pace, pool=pool)
        self.carrier_said: list[tuple[str, str]] = []  # number and words that Twilio itself sent: no part of its log
        self.is_checked = is_checked
        self.violations: list[str] = []  # where a request that was taken, or an answer, is not as the contract says
        self.stopping = threading.Event()
        self.account = Account()
        self._auto_callbacks = auto_callbacks
        self._advanced_opt_out = advanced_opt_out
        self._script: deque[Behaviour] = deque()
        self._server = ApiServer(self, port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FakeTwilio:
        self._server.start()
        if self._auto_callbacks and self.carrier.pace is not None:
            threading.Thread(target=self._keep_carrying, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._server.stop()
        if self.violations and kind is None:
            raise AssertionError("traffic that the contract does not allow: " + "; ".join(self.violations))

    # What a test says and asks

    def next(self, *behaviours: Behaviour) -> None:
        """Script the next calls of the API, whichever they are, one behaviour each."""
        self._script.extend(behaviours)

    def received(self, number: str) -> list[str]:
        """What the phone `number` really got, oldest first, replies by TwiML included."""
        return self.texts.received_by(number)

    def move(self, sid: str, *statuses: str, error_code: int | None = None) -> None:
        """Let a text go through `statuses`, with a callback for each; an opted-out phone fails it instead."""
        text = self._known(sid)
        if text.to in self.texts.opted_out:
            statuses, error_code = ("failed",), 21610
        self.carrier.report(text, statuses, error_code)

    def call_back(
        self, sid: str, *statuses: str, error_code: int | None = None, token: str | None = None
    ) -> list[tuple[int, str] | None]:
        """Only the callbacks, in this order: late, doubled, reversed, with a wrong `token`. Returns answers."""
        text = self._known(sid)
        return [self.webhooks.status(text, status, error_code=error_code, token=token) for status in statuses]

    def text_in(
        self, from_: str, body: str, *, to: str = "+13125550100", sid: str | None = None, token: str | None = None
    ) -> tuple[int, list[str]]:
        """A parent writes. Returns the app's HTTP status and its replies; `sid` of an earlier text repeats it."""
        text = self.texts.find(sid) if sid else None
        if text is None:
            text = self.texts.add(direction="inbound", to=to, from_=from_, body=body, status="received", sid=sid)
        opt_out_type = self._keyword(text)
        status, answer = self.webhooks.inbound(text, opt_out_type=opt_out_type, token=token)
        replies = spoken(answer) if status == 200 else []
        for reply in replies if from_ not in self.texts.opted_out else ():
            self.texts.add(direction="outbound-reply", to=from_, from_=to, body=reply, status="delivered")
        return status, replies

    def _keyword(self, text: Text) -> str | None:
        """Block or unblock as the carrier would; the kind is told to the app with Advanced Opt-Out only."""
        kind, number = None, text.from_ or ""
        if OPT_OUT.fullmatch(text.body):
            self.texts.opted_out.add(text.from_ or "")
            kind = "STOP"
            self.carrier_said.append((number, "You will get no more texts. Reply START to get them again."))
        elif OPT_IN.fullmatch(text.body):
            self.texts.opted_out.discard(text.from_ or "")
            kind = "START"
            self.carrier_said.append((number, "You will get texts again."))
        elif HELP.fullmatch(text.body):
            kind = "HELP"
            if number not in self.texts.opted_out:
                self.carrier_said.append((number, "Reply STOP to get no more texts."))
        return kind if self._advanced_opt_out else None

    def _known(self, sid: str) -> Text:
        text = self.texts.find(sid)
        if text is None:
            raise LookupError(f"the fake has no text {sid}")
        return text

    # What the API asks

    def scripted(self) -> Behaviour:
        return self._script.popleft() if self._script else accept()

    def fault_of(self, form: Mapping[str, str]) -> int | None:
        fault = fault_of(form, self.texts.opted_out)
        if fault is None and "MessagingServiceSid" not in form and self.carrier.is_full(form["From"], self.clock.now()):
            return QUEUE_FULL
        return fault

    def create(self, form: Mapping[str, str], behaviour: Behaviour) -> Text:
        service = form.get("MessagingServiceSid")
        text = self.texts.add(
            direction="outbound-api",
            to=form["To"],
            from_=form.get("From"),
            service=service,
            body=form["Body"],
            status="accepted" if service else "queued",
            status_callback=form.get("StatusCallback"),
            validity_seconds=int(form.get("ValidityPeriod", "36000")),
            fails_with=behaviour.fails_with,
        )
        self.carrier.queue(text)
        for status in behaviour.callbacks_first:
            self.webhooks.status(text, status)
        if self._auto_callbacks and self.carrier.pace is None:
            threading.Thread(target=self._deliver, args=(text.sid,), daemon=True).start()
        return text

    def _deliver(self, sid: str) -> None:
        try:
            self.carrier.deliver(self._known(sid))
        except OSError as error:
            logger.warning("the app could not be called back: %s", error)

    def _keep_carrying(self) -> None:
        while not self.stopping.wait(0.05):
            try:
                self.carrier.carry(self.clock.now())
            except OSError as error:
                logger.warning("the app could not be called back: %s", error)

    def delete(self, text: Text) -> int | None:
        """Forget a text that has come to its end. Returns an error code or None."""
        if text.status not in ENDED:
            return 20009
        self.texts.remove(text)
        return None

    def update(self, text: Text, form: Mapping[str, str]) -> int | None:
        """Redact or cancel. Returns an error code or None."""
        if form == {"Body": ""}:
            self.texts.redact(text)
            return None
        if form != {"Status": "canceled"}:
            return 20001
        if text.status not in WAITING:
            return 30409
        self.texts.move(text, "canceled")
        return None


def spoken(twiml: str) -> list[str]:
    """The texts in a TwiML answer, in order. Raises on anything that is not TwiML."""
    root = ElementTree.fromstring(twiml)
    if root.tag != "Response":
        raise ValueError(f"not TwiML: <{root.tag}>")
    return [message.text or "" for message in root.iter("Message")]
