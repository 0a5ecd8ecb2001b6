from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import func, select

from nudges import config
from nudges.channels.twilio import TwilioChannel
from nudges.channels.twilio_webhooks import is_signed, receipt_from
from nudges.db import Cipher, use_cipher
from nudges.models.messages import Outbox, OutboxEvent
from nudges.models.program import Lane
from nudges.outbound import receipts, reconcile, sender
from nudges.outbox.status import ALLOWED, TERMINAL
from tests.support import factories
from tests.support.contract import ContractHttpClient
from tests.support.factories import LIBRARY, SENDER, SetClock, a_parent, a_text
from tests.support.fake_twilio.server import ACCOUNT_SID, AUTH_TOKEN, FakeTwilio

PUBLIC = "https://texts.example.org"
AGREES = {"delivered": True, "unconfirmed": True, "undelivered": False, "cancelled": False, "expired": False}


class LaterClock:
    """Twilio's clock: the machine's, or the one that the test has moved ahead of it."""

    def __init__(self) -> None:
        self.ahead: SetClock | None = None

    def now(self) -> datetime:
        now = datetime.now(UTC)
        return now if self.ahead is None else max(now, self.ahead.now())


class Service:
    """The service on a database, Twilio behind it, and what must be true whatever has happened."""

    def __init__(self, sessions, engine, fake, forks, tmp_path) -> None:
        self.sessions, self.fake, self.forks = sessions, fake, forks
        self.environ = {
            "NUDGES_DATABASE_URL": engine.url.render_as_string(hide_password=False),
            "NUDGES_SPOOL_DIR": str(tmp_path / "spool"),
            "NUDGES_TICK_SECONDS": "0.2",
            "NUDGES_CHANNEL": "twilio",
            "NUDGES_PUBLIC_URL": PUBLIC,
            "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
            "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "TWILIO_FROM_NUMBER": SENDER,
            "TWILIO_API_BASE": fake.url,
        }
        self.settings = config.load(self.environ)
        use_cipher(Cipher(self.settings.encryption_keys, self.settings.index_key))
        self.clock = SetClock(self.true_time())
        self.channel = TwilioChannel(
            account_sid=ACCOUNT_SID,
            auth_token=AUTH_TOKEN,
            from_number=SENDER,
            status_callback_url=f"{PUBLIC}/twilio/status",
            api_base=fake.url,
            production=False,
            timeout_seconds=2.0,
            make_http_client=ContractHttpClient,
        )
        fake.clock.ahead = self.clock
        fake.webhooks._post = self.hear
        fake.webhooks.app_url, fake.webhooks.public_url = "http://127.0.0.1", PUBLIC

    def true_time(self) -> datetime:
        """What the processes take for now: the database's clock, or the machine's where the database is a file."""
        with self.sessions() as session:
            if session.get_bind().dialect.name == "postgresql":
                return session.scalar(select(func.clock_timestamp())).astimezone(UTC)
        return datetime.now(UTC)

    def hear(self, url, form, headers):
        """Our status webhook, without the web server."""
        assert is_signed(url.replace("http://127.0.0.1", PUBLIC), form, headers["X-Twilio-Signature"], [AUTH_TOKEN])
        attempt = parse_qs(urlsplit(url).query)["attempt"][0]
        with self.sessions.begin() as session:
            receipts.apply(session, receipt_from(form, attempt), now=self.clock.now())
        return 204, ""

    def queue(self, texts: int, *, pace: float = 100.0, hours: float = 1.0) -> None:
        with self.sessions.begin() as session:
            now = self.clock.now()
            people = factories.people(session, now=now)
            session.query(Lane).update({"segments_per_second": pace, "tokens": pace})
            for number in range(texts):
                parent = a_parent(session, people.family, now=now)
                a_text(session, parent, now=now, body=f"Text {number}.", expires_at=now + timedelta(hours=hours))

    def lane_id(self) -> int:
        with self.sessions() as session:
            return session.scalars(select(Lane.id)).one()

    def dies(self, step: str, *, seconds: float = 60.0) -> None:
        """A process works until it kills itself at this step."""
        ended = self.forks.run("tests.support.dying", step, str(seconds), environ=self.environ)
        assert ended.returncode == -signal.SIGKILL, ended.output[-2000:]

    def send(self, *, owner: str = "another machine", **options) -> sender.Drained:
        options = {"sleep": self.clock.sleep, **options}
        return sender.drain(
            self.sessions, self.channel, self.lane_id(), clock=self.clock, owner=owner, library=LIBRARY, **options
        )

    def beat(self, *, minutes: float = 1.0) -> None:
        """Time passes, whoever is left works, the carrier carries and calls back."""
        self.clock.move(minutes=minutes)
        self.send()
        reconcile.look(self.sessions, self.channel, clock=self.clock)
        for text in self.fake.texts.all():
            if text.status in ("accepted", "queued"):
                self.fake.carrier.deliver(text)

    def live_on(self) -> None:
        """Long enough for everything to come to its end."""
        for _ in range(6):
            self.beat()
        for _ in range(10):
            self.beat(minutes=25)

    def rows(self) -> list[Outbox]:
        with self.sessions() as session:
            return list(session.scalars(select(Outbox).where(Outbox.body.is_not(None)).order_by(Outbox.id)))

    def must_agree(self, *, may_be_lost: int = 0) -> None:
        """Ledger and Twilio agree, nobody got a text twice, everything has an end with a reason."""
        received = {row.id: self.fake.received(row.to).count(row.body) for row in self.rows()}
        assert max(received.values(), default=0) <= 1, "a parent got a text twice"
        stuck = [row.status for row in self.rows() if row.status not in TERMINAL]
        assert stuck == [], "a text never came to its end"
        assert all(row.status_reason and row.settled_at for row in self.rows())
        failed = [row for row in self.rows() if row.status == "failed"]
        assert len(failed) <= may_be_lost, [row.status_reason for row in failed]
        for row in self.rows():
            if row.status in AGREES:
                assert received[row.id] == AGREES[row.status], (row.status, row.status_reason)
        self.moves_are_of_the_table()

    def moves_are_of_the_table(self) -> None:
        with self.sessions() as session:
            moves = session.execute(select(OutboxEvent.from_status, OutboxEvent.to_status).distinct()).all()
        assert all(after in ALLOWED[before] for before, after in moves)


@pytest.fixture
def fake() -> Iterator[FakeTwilio]:
    with FakeTwilio(clock=LaterClock()) as running:
        yield running


@pytest.fixture
def service(sessions, engine, fake, forks, tmp_path) -> Service:
    return Service(sessions, engine, fake, forks, tmp_path)
