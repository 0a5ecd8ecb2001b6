"""The providers that there are. To add one, write its module beside the others and name it here."""

from __future__ import annotations

from typing import Final

from nudges.channels import phone, twilio_account
from nudges.channels.provider import Provider

PROVIDERS: Final[dict[str, Provider]] = {
    provider.name: provider for provider in (phone.PROVIDER, twilio_account.PROVIDER)
}
DEFAULT: Final = phone.PROVIDER.name
