"""The simulated phone: a channel whose texts land in our own table instead of on a carrier's network.

It behaves like a real one: a text is first accepted, and only receipts, through the same door as
Twilio's, say that it was sent and delivered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final

from nudges.channels.base import Accepted, Channel, Found, Outgoing, Receipt
from nudges.channels.provider import Call, Incoming, Provider, Remark, Stage, Surroundings, Variables


def phone_id(attempt_id: str) -> str:
    """The simulated provider's id of an attempt; the same attempt always has the same one."""
    return "PH" + sha256(attempt_id.encode()).hexdigest()[:32]


def receipts_of(attempt_id: str) -> tuple[Receipt, Receipt]:
    """What the simulated carrier reports about an accepted text, in order: sent, then delivered."""
    sent, delivered = (
        Receipt(
            attempt_id=attempt_id,
            provider_id=phone_id(attempt_id),
            status=status,
            error_code=None,
            action=None,
        )
        for status in ("sent", "delivered")
    )
    return sent, delivered


class PhoneChannel:
    """A `Channel` that shows texts on the simulated phone.

    `deliver` stores one text and returns its provider id (see `phone_id`); `list_since` lists the stored
    texts to a number, created at or after an instant, newest first. Both raise what their storage raises.
    """

    name = "phone"

    def __init__(
        self,
        *,
        deliver: Callable[[Outgoing], str],
        list_since: Callable[[str, datetime], Sequence[Found]],
    ) -> None:
        self._deliver = deliver
        self._list_since = list_since

    def send(self, outgoing: Outgoing) -> Accepted:
        """Show one text on the phone."""
        return Accepted(provider_id=self._deliver(outgoing), status="accepted")

    def find_sent(self, to: str, *, since: datetime) -> Sequence[Found]:
        """Texts on the phone `to` since an instant, newest first."""
        return self._list_since(to, since)


class PhoneAccount:
    """An `Account` of the simulated phones: no settings, and no door to the outside."""

    sender = "+13125550100"

    def connect(self, around: Surroundings) -> Channel:
        return PhoneChannel(deliver=around.deliver, list_since=around.list_since)

    def is_genuine(self, call: Call) -> bool:
        return False

    def incoming(self, form: Mapping[str, str]) -> Incoming:
        raise ValueError("the simulated phones text through their page")

    def receipt(self, form: Mapping[str, str], attempt_id: str | None) -> Receipt:
        raise ValueError("the simulated phones report through their table")

    def answer(self, texts: Sequence[str], callbacks: Sequence[str | None]) -> str:
        return ""

    def examine(self, public_url: str, stage: Stage) -> Iterator[Remark]:
        yield Remark(status="ok", name=PROVIDER.name, words="phones are simulated: no text leaves this machine")


def _account(variables: Variables, stage: Stage) -> PhoneAccount:
    return PhoneAccount()


PROVIDER: Final = Provider(name="phone", variables=(), is_simulated=True, carriers_filter=False, account=_account)
