"""One JSON line for each figure: value, what it is measured against in the same run, goal, and whether it is met."""

from __future__ import annotations

import json
import os


def say(
    name: str,
    value: float,
    unit: str,
    *,
    peer: str | None = None,
    peer_value: float | None = None,
    ratio: float | None = None,
    least: float | None = None,
    most: float | None = None,
    **more: object,
) -> None:
    """Print a figure. `least` and `most` bound the ratio when there is a peer, else the value itself."""
    if peer_value and ratio is None:
        ratio = value / peer_value
    judged = value if ratio is None else ratio
    line: dict[str, object] = {"figure": name, "value": _short(value), "unit": unit}
    if peer is not None:
        line |= {"peer": peer, "peer_value": _short(peer_value or 0.0)}
    if ratio is not None:
        line["ratio"] = _short(ratio)
    if least is not None or most is not None:
        line["goal"] = f">= {least}" if least is not None else f"<= {most}"
        line["ok"] = (least is None or judged >= least) and (most is None or judged <= most)
    print(json.dumps(line | {**more, "load": round(os.getloadavg()[0], 1)}), flush=True)


def _short(number: float) -> float:
    return round(number, 1) if abs(number) >= 100 else round(number, 4)
