from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nudges.channels.twilio import TwilioChannel
from tests.channels.cast import SERVICE, HandClock
from tests.support.contract import ContractHttpClient
from tests.support.fake_twilio.server import FakeTwilio


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def fake(clock: HandClock) -> Iterator[FakeTwilio]:
    with FakeTwilio(clock=clock) as running:
        yield running


MakeChannel = Callable[..., TwilioChannel]


@pytest.fixture
def make_channel(fake: FakeTwilio) -> MakeChannel:
    """A channel to the fake, contract checked; keyword arguments replace single settings."""

    def make(**changes: object) -> TwilioChannel:
        settings: dict[str, object] = {
            "account_sid": fake.account_sid,
            "auth_token": fake.auth_token,
            "messaging_service_sid": SERVICE,
            "status_callback_url": "https://texts.example.org/twilio/status",
            "api_base": fake.url,
            "production": False,
            "make_http_client": ContractHttpClient,
        }
        return TwilioChannel(**(settings | changes))

    return make


@pytest.fixture
def channel(make_channel: MakeChannel) -> TwilioChannel:
    return make_channel()


@pytest.fixture
def tls_port(tmp_path: Path) -> Iterator[int]:
    """A port that speaks TLS with a certificate nobody trusts."""
    certificate = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection, context.wrap_socket(connection, server_side=True):
                pass

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    listener.close()
    thread.join()


def self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2126, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "self-signed.pem"
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
