"""A second judge of the fake: requests made up from the contract, each answer held to it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support.contract import SPECIFICATION
from tests.support.fake_twilio.server import FakeTwilio

CHECKS = "response_schema_conformance,status_code_conformance,content_type_conformance,not_a_server_error"


def about(fake: FakeTwilio, folder: Path) -> Path:
    """The contract, with the account and the texts that exist: else every answer would be 404."""
    contract = json.loads(SPECIFICATION.read_text(encoding="utf-8"))
    known = {"AccountSid": [fake.account_sid], "Sid": [text.sid for text in fake.texts.all()]}
    for operations in contract["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()) if isinstance(operation, dict) else ():
                if parameter["in"] == "path":
                    parameter["schema"] = {"type": "string", "enum": known[parameter["name"]]}
    path = folder / "contract.json"
    path.write_text(json.dumps(contract), encoding="utf-8")
    return path


def test_whatever_is_asked_the_fake_answers_as_the_contract_says(tmp_path: Path) -> None:
    with FakeTwilio(is_checked=False) as fake:
        for number in range(3):
            fake.texts.add(direction="outbound-api", to="+13125550142", body=f"Text {number}", status="delivered")
        found = subprocess.run(
            [
                str(Path(sys.executable).with_name("schemathesis")),
                "run",
                str(about(fake, tmp_path)),
                "--url",
                fake.url,
                "--auth",
                f"{fake.account_sid}:{fake.auth_token}",
                "--checks",
                CHECKS,
                "--phases",
                "examples,coverage,fuzzing",
                "--max-examples",
                "25",
                "--seed",
                "7",
                "--generation-deterministic",
                "--suppress-health-check",
                "all",
                "--no-color",
            ],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
        )
        asked = len(fake.calls)
    assert found.returncode == 0, found.stdout[-3000:] + found.stderr[-2000:]
    assert asked > 50, "the run must reach the account"
