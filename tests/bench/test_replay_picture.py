"""The replayed hour can be drawn from what the replay wrote, by the environment that runs the tests."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree

from tests.bench.replay_picture import Seen

ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"


def drawn(tmp_path: Path, *seen: Seen) -> ElementTree.Element:
    """The picture of these requests, drawn by the command."""
    facts = tmp_path / "replay.json"
    facts.write_text(json.dumps({"seen": [asdict(each) for each in seen]}), "utf-8")
    command = [sys.executable, "-m", "tests.bench.replay_picture", str(facts), str(tmp_path / "made" / "replay.svg")]
    subprocess.run(command, cwd=ROOT, check=True)
    return ElementTree.parse(tmp_path / "made" / "replay.svg").getroot()


def test_every_kind_of_end_is_shown_in_its_minute(tmp_path: Path) -> None:
    picture = drawn(
        tmp_path,
        Seen(30.0, 200, "local", None, 0.5, 2.0),
        Seen(61.0, 200, "cloud", None, 0.4, 1.0),
        Seen(62.0, 503, "refused", "local_overloaded", None, 0.01),
        Seen(3599.0, 200, "local", "upstream_error", 0.2, 3.0),
    )
    texts = [each.text for each in picture.iter(f"{SVG}text")]
    for name in ("local (1)", "cloud (1)", "refused (1)", "broken off (1)"):
        assert name in texts
    assert len([each for each in picture.iter(f"{SVG}rect") if each.get("fill") != "none"]) == 4
    assert len(list(picture.iter(f"{SVG}polyline"))) == 8


def test_an_hour_without_an_answer_can_be_drawn(tmp_path: Path) -> None:
    assert drawn(tmp_path).tag == f"{SVG}svg"
