"""What a provider is: its name, its settings, its client, what it says to us, and how it is examined.

Nothing outside this folder compares a provider's name. The codes of its errors stay here too: its own table reads
them into `base.Action`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address
from typing import Literal, Protocol
from urllib.parse import urlsplit

from nudges.channels.base import Channel, Found, Outgoing, Receipt


class Variables(Protocol):
    """The environment, for a provider that reads its settings from it."""

    def get(self, name: str) -> str | None:
        """The value of NAME, or the content of the file that NAME_FILE points to; None when empty."""
        ...

    def fault(self, words: str) -> None:
        """Say what is wrong with a variable and what it should look like: the start ends with all faults at once."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """How much is at stake. A rehearsal is production in everything, but the provider is a fake on this machine."""

    production: bool
    is_rehearsal: bool

    @property
    def may_text(self) -> bool:
        """Real people may get texts: plain http and fakes are refused."""
        return self.production and not self.is_rehearsal


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What a client may need from the service: where it is reached, and the table behind the simulated phones."""

    public_url: str
    stage: Stage
    deliver: Callable[[Outgoing], str]
    list_since: Callable[[str, datetime], Sequence[Found]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A request of a provider. `url` is the public address with its query exactly as sent."""

    url: str
    form: Mapping[str, str]
    header: Callable[[str], str | None]  # its value by name, in any case


@dataclass(frozen=True, kw_only=True, slots=True)
class Incoming:
    """One text from a phone, exactly as received: nothing trimmed, nothing decoded, `from_` not normalised.

    `opt_out_type` is STOP, START or HELP when the provider has already acted on it and answered the person;
    `received` keeps every field.
    """

    provider_id: str
    from_: str
    to: str
    body: str
    num_media: int
    opt_out_type: str | None
    received: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Remark:
    """One line of an examination: status ok, warn or fail, what it is about, and the words with the mend.

    `clock` is the provider's own, where the line brings it.
    """

    status: Literal["ok", "warn", "fail"]
    name: str
    words: str
    clock: datetime | None = None


class Account(Protocol):
    """One provider with its settings."""

    @property
    def sender(self) -> str:
        """The number, or the service's id, that a new program's texts leave from."""
        ...

    def connect(self, around: Surroundings) -> Channel:
        """The client. Raises ValueError or UnsafeEndpoint for settings that cannot work."""
        ...

    def is_genuine(self, call: Call) -> bool:
        """Whether the provider made this request, about this account. Never raises."""
        ...

    def incoming(self, form: Mapping[str, str]) -> Incoming:
        """Read an inbound text. Raises ValueError for a form that is none."""
        ...

    def receipt(self, form: Mapping[str, str], attempt_id: str | None) -> Receipt:
        """Read a status callback. Never raises for a missing field."""
        ...

    def answer(self, texts: Sequence[str], callbacks: Sequence[str | None]) -> str:
        """The response that makes the provider text `texts` back; `callbacks` are told of each one's delivery."""
        ...

    def examine(self, public_url: str, stage: Stage) -> Iterator[Remark]:
        """What the provider itself says about credentials, sender and webhooks."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Provider:
    """One entry of the registry. `name` is what NUDGES_CHANNEL says, and where the webhooks are: /name/inbound.

    `variables` are its settings (name, whether it holds a secret). With `is_simulated` no text leaves this machine
    and nothing comes in from outside. With `carriers_filter` the words of a text decide whether it arrives.
    """

    name: str
    variables: tuple[tuple[str, bool], ...]
    is_simulated: bool
    carriers_filter: bool
    account: Callable[[Variables, Stage], Account]
    media_type: str = "text/xml; charset=utf-8"  # of the answers to its webhooks


def is_loopback(host: str | None) -> bool:
    """Whether `host` is this machine, by name or by address."""
    if host is None or host == "localhost":
        return host is not None
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_local(url: str | None) -> bool:
    """Whether an address is on this machine."""
    return url is not None and is_loopback(urlsplit(url).hostname)
