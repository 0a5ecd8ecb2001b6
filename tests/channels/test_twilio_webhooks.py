from __future__ import annotations

import base64
import json
import logging
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import ImmutableMultiDict, MultiDict

from nudges.channels.base import Action, Receipt
from nudges.channels.twilio_webhooks import (
    Incoming,
    incoming_from,
    is_signed,
    our_status,
    receipt_from,
    twiml,
)
from tests.support.fake_twilio.webhooks import sign

VECTORS = json.loads(
    (Path(__file__).parents[1] / "data" / "twilio" / "signature_vectors.json").read_text(encoding="utf-8")
)["vectors"]
URL = "https://texts.example.org/twilio/status?attempt=a1"


def checked(vector: dict[str, object], tokens: list[str]) -> bool:
    body = vector.get("body")
    return is_signed(
        vector["url"],
        MultiDict((name, value) for name, value in vector["params"]),
        vector["signature"],
        tokens,
        raw_body=None if body is None else body.encode(),
    )


# Signatures


def test_all_vectors_are_here() -> None:
    assert (len(VECTORS), sum(vector["valid"] for vector in VECTORS)) == (20, 12)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_each_vector_is_judged_as_published(vector: dict[str, object]) -> None:
    assert checked(vector, [vector["token"]]) is vector["valid"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_each_vector_is_judged_alike_while_tokens_rotate(vector: dict[str, object]) -> None:
    assert checked(vector, ["the new one", vector["token"]]) is vector["valid"]
    assert checked(vector, ["the new one"]) is False
    assert checked(vector, []) is False


def test_an_empty_token_accepts_nobody() -> None:
    form = MultiDict({"Body": "STOP"})
    assert is_signed(URL, form, sign(URL, form, "token"), ["token"])
    assert not is_signed(URL, form, sign(URL, form, ""), [""])


@pytest.mark.parametrize("raw_body", [b'{"any": "thing"}', b""], ids=["json", "empty"])
def test_a_raw_body_needs_its_hash_in_the_address(raw_body: bytes) -> None:
    bare = sign(URL, {}, "token")
    assert is_signed(URL, MultiDict(), bare, ["token"])
    assert not is_signed(URL, MultiDict(), bare, ["token"], raw_body=raw_body)


@pytest.mark.parametrize("signature", [None, "", "é", "\ud800", "A" * 28], ids=ascii)
@pytest.mark.parametrize(
    ("url", "raw_body"),
    [
        pytest.param(URL, None, id="form"),
        pytest.param("https://example.org:port/", None, id="port-that-is-none"),
        pytest.param("https://[::1/", None, id="broken-ipv6"),
        pytest.param("\ud800", None, id="surrogate"),
        pytest.param(URL + "&bodySHA256=0", b"\xff", id="body-not-utf8"),
        pytest.param("", b"", id="nothing"),
    ],
)
def test_a_request_that_cannot_be_checked_is_unsigned(url: str, raw_body: bytes | None, signature: str | None) -> None:
    assert is_signed(url, MultiDict({"Body": "\ud800"}), signature, ["token"], raw_body=raw_body) is False


@settings(deadline=None)
@given(
    url=st.text(st.characters(exclude_categories=())),
    form=st.dictionaries(st.text(st.characters(exclude_categories=())), st.text(), max_size=3),
    signature=st.text(st.characters(exclude_categories=())),
    raw_body=st.none() | st.binary(),
)
def test_no_request_whatever_makes_the_check_raise(
    url: str, form: dict[str, str], signature: str, raw_body: bytes | None
) -> None:
    assert is_signed(url, MultiDict(form), signature, ["token"], raw_body=raw_body) is False


@settings(deadline=None)
@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=5))
def test_our_check_agrees_with_the_algorithm_as_documented(form: dict[str, str]) -> None:
    signature = sign(URL, form, "token")
    assert is_signed(URL, MultiDict(form), signature, ["token"])
    assert not is_signed(URL, MultiDict(form | {"Body": form.get("Body", "") + "x"}), signature, ["token"])


def test_an_unsigned_request_is_not_logged_in_words(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    is_signed("https://[::1/?To=%2B13125550142", MultiDict({"From": "+13125550142"}), "x", ["token"])
    (record,) = caplog.records
    assert "5550142" not in f"{record.getMessage()} {record.__dict__}"


# Receipts


@pytest.mark.parametrize(
    "word",
    "queued accepted scheduled sending sent delivered undelivered failed canceled read".split(),
)
def test_twilios_statuses_are_ours(word: str) -> None:
    receipt = receipt_from(MultiDict({"MessageSid": "SM1", "MessageStatus": word}), "a1")
    assert (receipt.status, our_status(word)) == (word, word)


@pytest.mark.parametrize("word", ["partially_delivered", "receiving", "received", "Delivered", "", None])
def test_a_status_that_is_not_ours_is_unknown_and_not_guessed(word: str | None) -> None:
    assert our_status(word) == "unknown"


def test_a_failed_text_says_what_to_do() -> None:
    form = ImmutableMultiDict(
        {"MessageSid": "SM1", "MessageStatus": "undelivered", "ErrorCode": "30006", "RawDlrDoneDate": "2603021500"},
    )
    assert receipt_from(form, "a1") == Receipt(
        attempt_id="a1",
        provider_id="SM1",
        status="undelivered",
        error_code="30006",
        action=Action.NUMBER_LANDLINE,
        raw=form.to_dict(),
    )


@pytest.mark.parametrize(
    ("form", "action"),
    [
        pytest.param({"MessageStatus": "failed", "ErrorCode": "21610"}, Action.SUPPRESS, id="opted-out-later"),
        pytest.param({"MessageStatus": "failed"}, Action.HOLD, id="failed-without-code"),
        pytest.param({"MessageStatus": "failed", "ErrorCode": "12"}, Action.HOLD, id="failed-unknown-code"),
        pytest.param({"MessageStatus": "delivered", "ErrorCode": "30006"}, None, id="delivered-all-the-same"),
        pytest.param({"MessageStatus": "sent"}, None, id="sent"),
        pytest.param({"SmsStatus": "failed", "ErrorCode": "30003"}, Action.RETRY_LATER, id="old-field-name"),
        pytest.param({}, None, id="empty"),
    ],
)
def test_only_a_failure_asks_for_something(form: dict[str, str], action: Action | None) -> None:
    assert receipt_from(MultiDict(form), None).action is action


def test_a_callback_without_ids_is_still_read() -> None:
    receipt = receipt_from(MultiDict(), "")
    assert (receipt.attempt_id, receipt.provider_id, receipt.status) == (None, "", "unknown")


# Inbound texts


def test_an_inbound_text_is_read_exactly_as_it_came() -> None:
    form = ImmutableMultiDict(
        [
            ("MessageSid", "SM1"),
            ("From", "+13125550142"),
            ("To", "+13125550100"),
            ("Body", " No puedo más 😢\n"),
            ("NumMedia", "2"),
            ("OptOutType", "stop"),
            ("FromCity", ""),
            ("Newcomer", "one"),
            ("Newcomer", "two"),
        ]
    )
    assert incoming_from(form) == Incoming(
        provider_id="SM1",
        from_="+13125550142",
        to="+13125550100",
        body=" No puedo más 😢\n",
        num_media=2,
        opt_out_type="STOP",
        received={
            "MessageSid": "SM1",
            "From": "+13125550142",
            "To": "+13125550100",
            "Body": " No puedo más 😢\n",
            "NumMedia": "2",
            "OptOutType": "stop",
            "FromCity": "",
            "Newcomer": "one",
        },
    )


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        pytest.param({"OptOutType": ""}, "opt_out_type", None, id="no-opt-out"),
        pytest.param({"NumMedia": "many"}, "num_media", 0, id="count-that-is-none"),
        pytest.param({"NumMedia": "9" * 5000}, "num_media", 10, id="count-that-no-column-holds"),
        pytest.param({"NumMedia": "²"}, "num_media", 0, id="count-in-superscript"),
        pytest.param({"Body": base64.b64encode(b"STOP").decode()}, "body", "U1RPUA==", id="base64-stays-as-it-is"),
        pytest.param({"From": "262966"}, "from_", "262966", id="short-code-stays-as-it-is"),
        pytest.param({"MessageSid": "", "SmsSid": "SM9"}, "provider_id", "SM9", id="old-name-of-the-id"),
    ],
)
def test_odd_fields_do_not_stop_a_text(changes: dict[str, str], field: str, value: object) -> None:
    form = {"MessageSid": "SM1", "From": "+13125550142", "Body": "help"} | changes
    assert getattr(incoming_from(MultiDict(form)), field) == value


def test_a_text_by_picture_alone_has_an_empty_body() -> None:
    text = incoming_from(MultiDict({"MessageSid": "MM1", "From": "+13125550142", "NumMedia": "1"}))
    assert (text.body, text.num_media) == ("", 1)


@pytest.mark.parametrize("missing", ["MessageSid", "From"])
def test_what_names_no_message_or_no_sender_is_not_a_text(missing: str) -> None:
    form = {"MessageSid": "SM1", "From": "+13125550142"}
    del form[missing]
    with pytest.raises(ValueError, match="MessageSid and From"):
        incoming_from(MultiDict(form))


# TwiML


def heard(answer: str) -> list[str]:
    root = ElementTree.fromstring(answer)
    assert root.tag == "Response"
    return [message.text or "" for message in root]


def test_no_reply_is_an_empty_response() -> None:
    assert twiml([]) == '<?xml version="1.0" encoding="UTF-8"?><Response />'


def test_replies_keep_their_order_and_their_signs() -> None:
    replies = ["Call or text 988 now.", "You & <she> are not alone — ¡ánimo! 😊\nSecond line"]
    assert heard(twiml(replies)) == replies


@pytest.mark.parametrize(
    "broken",
    ["\x00", "\x07", "\x0b", "\x1f", "\ud800", "\udfff", "\ufffe", "\uffff"],
    ids=ascii,
)
def test_characters_that_xml_forbids_are_dropped_and_the_words_arrive(broken: str) -> None:
    assert heard(twiml([f"Call 9{broken}88"])) == ["Call 988"]


def test_blank_replies_are_left_out() -> None:
    assert heard(twiml(["", " \n", "\x00", "words"])) == ["words"]


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=()))))
def test_any_words_whatever_make_readable_xml(replies: list[str]) -> None:
    assert len(heard(twiml(replies))) <= len(replies)
