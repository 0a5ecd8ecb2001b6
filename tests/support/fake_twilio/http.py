"""The HTTP side of the fake: routes, basic authentication, paging, and every way of not answering."""

from __future__ import annotations

import base64
import json
import re
import sys
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.support import contract
from tests.support.fake_twilio import behaviour as behaviours
from tests.support.fake_twilio.behaviour import OFF_CONTRACT, Behaviour
from tests.support.fake_twilio.page import PAGE
from tests.support.fake_twilio.rules import is_bad_query
from tests.support.fake_twilio.texts import Text

if TYPE_CHECKING:
    from tests.support.fake_twilio.server import FakeTwilio

_ROUTE = re.compile(r"/2010-04-01/Accounts/([^/]+)/Messages(?:/([^/]+))?\.json")


class ApiServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, fake: FakeTwilio, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.fake = fake
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that gave up waiting is part of the play; anything else is a fault of the fake."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: ApiServer
    protocol_version = "HTTP/1.1"
    # Header and body in one packet: in two, Nagle and delayed acknowledgement cost 44 ms a call.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._body()
        self._route({})

    do_DELETE = do_GET

    def _body(self) -> str:
        """Read even where nothing is expected: what is left would be taken for the next request."""
        return self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode(errors="replace")

    def do_PUT(self) -> None:
        """Nothing is there for any other method."""
        self._body()
        self._refuse(404, 20404)

    do_PATCH = do_QUERY = do_OPTIONS = do_TRACE = do_HEAD = do_PUT

    def do_POST(self) -> None:
        raw = self._body()
        if self.headers.get_content_type() == "application/json":
            self._control(json.loads(raw or "{}"))
        else:
            self._route(dict(parse_qsl(raw, keep_blank_values=True)))

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the request line of a list call holds a number."""

    # The Messages API

    def _route(self, form: Mapping[str, str]) -> None:
        fake, parts = self.server.fake, urlsplit(self.path)
        if parts.path == "/":
            return self._write(200, PAGE, {"Content-Type": "text/html; charset=utf-8"})
        if parts.path.startswith("/fake/"):
            return self._control({})
        if fake.account.is_about(parts.path):
            return self._account(parts.path)
        found = _ROUTE.fullmatch(parts.path)
        if found is None:
            return self._refuse(404, 20404)
        self._about = contract.received(self.command, f"https://api.twilio.com{self.path}", form, self.headers)
        if found[1] != fake.account_sid or not self._is_authenticated():
            return self._refuse(401, 20003)
        fake.calls.append((self.command, parts.path))
        fake.peers.append(self.client_address)
        if found[2] is not None:
            return self._one(found[2], form)
        return self._all(form, dict(parse_qsl(parts.query, keep_blank_values=True)))

    def _all(self, form: Mapping[str, str], query: Mapping[str, str]) -> None:
        """The messages of the account: list them, or make one."""
        if self.command == "DELETE":
            return self._refuse(404, 20404)
        behaviour = self.server.fake.scripted()
        if self.command == "GET":
            return self._play(behaviour, lambda: self._page(query))
        return self._create(form, behaviour)

    def _account(self, path: str) -> None:
        if not self._is_authenticated():
            return self._refuse(401, 20003)
        resource = self.server.fake.account.resource(path, self.server.fake.account_sid)
        return self._refuse(404, 20404) if resource is None else self._answer(200, resource)

    def _is_authenticated(self) -> bool:
        fake = self.server.fake
        expected = base64.b64encode(f"{fake.account_sid}:{fake.auth_token}".encode()).decode()
        return self.headers.get("Authorization") == f"Basic {expected}"

    def _create(self, form: Mapping[str, str], behaviour: Behaviour) -> None:
        fault = self.server.fake.fault_of(form) if behaviour.stored else None
        if fault is not None:
            return self._refuse(400, fault)
        if behaviour.stored:
            self._note_request(form)
        text = self.server.fake.create(form, behaviour) if behaviour.stored else None
        self._play(behaviour, lambda: self._answer(201, text.resource() if text else {}))
        return None

    def _play(self, behaviour: Behaviour, answer: Callable[[], None]) -> None:
        """Answer, or do what was scripted instead of answering."""
        stopping = self.server.fake.stopping
        if behaviour.delay_seconds:
            stopping.wait(behaviour.delay_seconds)
        if behaviour.ending != "answer":
            if behaviour.ending == "hang":
                stopping.wait()
            self.close_connection = True
        elif behaviour.page is not None:
            self._write(behaviour.status, behaviour.page, {"Content-Type": "text/html", OFF_CONTRACT: "yes"})
        elif behaviour.code is not None:
            self._refuse_as_told(behaviour)
        else:
            answer()

    def _one(self, sid: str, form: Mapping[str, str]) -> None:
        text = self.server.fake.texts.find(sid)
        if text is None:
            return self._refuse(404, 20404)
        fake, code = self.server.fake, None
        if self.command != "GET":
            code = fake.delete(text) if self.command == "DELETE" else fake.update(text, form)
        if code is not None:
            return self._refuse(400, code)
        self._note_request(form)
        if self.command == "DELETE":
            return self._write(204, "", {})
        return self._answer(200, text.resource())

    def _page(self, query: Mapping[str, str]) -> None:
        if is_bad_query(query):
            return self._refuse(400, 20001)
        self._note_request({})
        size, number = int(query.get("PageSize", "50")), int(query.get("Page", "0"))
        listed = self.server.fake.texts.listed(query.get("To"))
        start = number * size
        shown = listed[start : start + size]
        return self._answer(200, self._page_resource(query, shown, start=start, more=len(listed) > start + size))

    def _page_resource(
        self, query: Mapping[str, str], shown: list[Text], *, start: int, more: bool
    ) -> dict[str, object]:
        size, number = int(query.get("PageSize", "50")), int(query.get("Page", "0"))

        def uri(page: int) -> str:
            wanted = dict(query) | {"PageSize": str(size), "Page": str(page)}
            token = {"PageToken": f"PASM{page}"} if page else {}
            return f"{urlsplit(self.path).path}?{urlencode(wanted | token)}"

        return {
            "end": start + len(shown) - (1 if shown else 0),
            "first_page_uri": uri(0),
            "next_page_uri": uri(number + 1) if more else None,
            "page": number,
            "page_size": size,
            "previous_page_uri": uri(number - 1) if number else None,
            "start": start,
            "uri": uri(number),
            "messages": [text.resource() for text in shown],
        }

    # The door for people: `python -m tests.support.fake_twilio` prints how to use it

    def _control(self, order: Mapping[str, object]) -> None:
        fake, path = self.server.fake, urlsplit(self.path).path
        if path == "/fake/texts":
            return self._answer(200, [text.resource() for text in fake.texts.all()])
        if path == "/fake/next":
            made = getattr(behaviours, str(order["kind"]))
            fake.next(made(**{name: value for name, value in order.items() if name != "kind"}))
            return self._answer(200, {"scripted": order["kind"]})
        if path == "/fake/text-in":
            status, replies = fake.text_in(str(order["from"]), str(order["body"]))
            return self._answer(200, {"status": status, "replies": replies})
        if path == "/fake/settings":
            return self._answer(200, self._set(order))
        if path == "/fake/move":
            fake.move(str(order["sid"]), *order["statuses"], error_code=order.get("error_code"))
            return self._answer(200, {"moved": order["sid"]})
        doors = ["/fake/texts", "/fake/next", "/fake/text-in", "/fake/move", "/fake/settings"]
        return self._answer(404, {"doors": doors})

    def _set(self, order: Mapping[str, object]) -> dict[str, object]:
        """Change how callbacks come and how fast senders are; answer what holds now."""
        carrier = self.server.fake.carrier
        if "order" in order:
            carrier.order = str(order["order"])
        if "pace" in order:
            carrier.pace = float(order["pace"]) if order["pace"] else None
        opted_out = sorted(self.server.fake.texts.opted_out)
        return {"order": carrier.order, "pace": carrier.pace, "opted_out": opted_out}

    # The contract, both ways: the server knows who broke it even when the caller does not look

    _about: contract.MockRequest | None = None

    def _note_request(self, form: Mapping[str, str]) -> None:
        if self.server.fake.is_checked and self._about is not None:
            self._note(lambda: contract.check_received(self._about, form))

    def _note_answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        if self.server.fake.is_checked and self._about is not None and OFF_CONTRACT not in headers:
            kind = headers.get("Content-Type", "")
            self._note(lambda: contract.check_written(self._about, status, body, dict(headers), kind))

    def _note(self, check: Callable[[], None]) -> None:
        try:
            check()
        except contract.ContractBroken as broken:
            self.server.fake.violations.append(str(broken))

    # Writing

    def _refuse(self, status: int, code: int) -> None:
        self._refuse_as_told(behaviours.refuse(code, status=status))

    def _refuse_as_told(self, behaviour: Behaviour) -> None:
        code, info = behaviour.code, f"https://www.twilio.com/docs/errors/{behaviour.code}"
        payload: dict[str, object] = {"code": code, "status": behaviour.status}
        headers = {"Content-Type": "application/json"}
        if behaviour.retry_after is not None:
            headers["Retry-After"] = behaviour.retry_after
            if not (behaviour.retry_after.isascii() and behaviour.retry_after.isdecimal()):
                headers[OFF_CONTRACT] = "yes"
        # The real ones repeat the number in their words; ours do too, so that a leak into a log shows.
        words = "The 'To' number +13125550142 was refused by the fake"
        if behaviour.problem_json:
            payload |= {"type": info, "title": words, "detail": words}
            headers = {"Content-Type": "application/problem+json", OFF_CONTRACT: "yes"}
        else:
            payload |= {"message": words, "more_info": info}
        self._write(behaviour.status, json.dumps(payload), headers)

    def _answer(self, status: int, payload: object) -> None:
        self._write(status, json.dumps(payload), {"Content-Type": "application/json"})

    def _write(self, status: int, text: str, headers: Mapping[str, str]) -> None:
        body = text.encode()
        self._note_answer(status, body, headers)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
