"""Twilio as a provider: its settings, and the doors that they open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from nudges.channels import twilio_doctor, twilio_webhooks
from nudges.channels.base import Channel, Receipt
from nudges.channels.provider import Call, Incoming, Provider, Remark, Stage, Surroundings, Variables, is_local
from nudges.channels.twilio import TwilioChannel

_FAKE: Final = "a fake on this machine, such as http://127.0.0.1:9010"


@dataclass(frozen=True, kw_only=True, slots=True)
class TwilioAccount:
    """An `Account` at Twilio. Tokens: the first one signs our calls, all are accepted on webhooks."""

    account_sid: str
    auth_tokens: tuple[str, ...]
    messaging_service_sid: str | None
    from_number: str | None
    api_base: str | None

    @property
    def sender(self) -> str:
        """A service picks the number itself; given both, it wins."""
        return self.messaging_service_sid or self.from_number or ""

    def connect(self, around: Surroundings) -> Channel:
        return TwilioChannel(
            account_sid=self.account_sid,
            auth_token=self.auth_tokens[0],
            status_callback_url=f"{around.public_url}/{PROVIDER.name}/status",
            production=around.stage.may_text,
            messaging_service_sid=self.messaging_service_sid,
            from_number=None if self.messaging_service_sid else self.from_number,
            api_base=self.api_base,
        )

    def is_genuine(self, call: Call) -> bool:
        """Signed with one of our tokens over the public address, and about our account."""
        signature = call.header("X-Twilio-Signature")
        is_signed = twilio_webhooks.is_signed(call.url, call.form, signature, self.auth_tokens)
        return is_signed and call.form.get("AccountSid") == self.account_sid

    def incoming(self, form: Mapping[str, str]) -> Incoming:
        return twilio_webhooks.incoming_from(form)

    def receipt(self, form: Mapping[str, str], attempt_id: str | None) -> Receipt:
        return twilio_webhooks.receipt_from(form, attempt_id)

    def answer(self, texts: Sequence[str], callbacks: Sequence[str | None]) -> str:
        return twilio_webhooks.twiml(texts, status_callbacks=callbacks)

    def examine(self, public_url: str, stage: Stage) -> Iterator[Remark]:
        return twilio_doctor.examine(
            account_sid=self.account_sid,
            auth_token=self.auth_tokens[0],
            service=self.messaging_service_sid,
            api_base=self.api_base,
            webhooks=f"{public_url}/{PROVIDER.name}",
            production=stage.may_text,
        )


def _account(variables: Variables, stage: Stage) -> TwilioAccount:
    tokens = tuple(t.strip() for t in (variables.get("TWILIO_AUTH_TOKEN") or "").split(",") if t.strip())
    account = TwilioAccount(
        account_sid=variables.get("TWILIO_ACCOUNT_SID") or "",
        auth_tokens=tokens,
        messaging_service_sid=variables.get("TWILIO_MESSAGING_SERVICE_SID"),
        from_number=variables.get("TWILIO_FROM_NUMBER"),
        api_base=variables.get("TWILIO_API_BASE"),
    )
    if not account.account_sid.startswith("AC"):
        variables.fault("TWILIO_ACCOUNT_SID should be the account's id, AC and 32 hex digits.")
    if not tokens:
        variables.fault("TWILIO_AUTH_TOKEN is missing; it is on the console's first page.")
    if not account.sender:
        variables.fault("TWILIO_MESSAGING_SERVICE_SID (MG…) or TWILIO_FROM_NUMBER (+1…) is missing.")
    if stage.is_rehearsal and not is_local(account.api_base):
        variables.fault(f"TWILIO_API_BASE should be {_FAKE}: a rehearsal texts nobody.")
    if stage.may_text and account.api_base and not account.api_base.startswith("https://"):
        variables.fault(
            "TWILIO_API_BASE should start with https:// in production; to try things out against a fake on this "
            "machine, set NUDGES_PRODUCTION=rehearsal."
        )
    return account


PROVIDER: Final = Provider(
    name="twilio",
    variables=(
        ("TWILIO_ACCOUNT_SID", True),
        ("TWILIO_AUTH_TOKEN", True),
        ("TWILIO_MESSAGING_SERVICE_SID", True),
        ("TWILIO_FROM_NUMBER", True),
        ("TWILIO_API_BASE", False),
    ),
    is_simulated=False,
    carriers_filter=True,
    account=_account,
)
