"""Makes `artifacts/confusables.json` from Unicode's list of confusable characters. Never imported when serving.

python -m classifiers.training.confusables CONFUSABLES.json classifiers/artifacts

The source is `confusable_homoglyphs/confusables.json` of the package confusable-homoglyphs 3.3.1 (MIT), which holds
Unicode's confusables.txt as JSON. Kept are single characters that look like one ASCII letter or digit and do not
become it by NFKC anyway.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import unicodedata
from pathlib import Path
from typing import Any

_CHECKED = {"З": "3", "б": "6", "О": "O", "І": "I", "а": "a", "ο": "o", "Ѕ": "S"}  # readings that people use


def convert(rows: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    """ASCII character -> the characters that look like it, sorted."""
    found: dict[str, set[str]] = {}
    for source, targets in rows.items():
        if len(source) != 1 or source.isascii() or _reads_as_itself(source):
            continue
        plain = [target["c"] for target in targets if len(target["c"]) == 1 and target["c"].isascii()]
        plain = [character for character in plain if character.isalnum()]
        if plain and not unicodedata.normalize("NFKC", source).isascii():
            found.setdefault(_best(source, plain), set()).add(source)
    return {character: "".join(sorted(found[character])) for character in sorted(found)}


def _reads_as_itself(character: str) -> bool:
    """Not a letter or number, a digit with a value of its own, or a letter that languages in Latin script write."""
    category = unicodedata.category(character)
    return category[0] not in "LN" or category == "Nd" or ord(character) < 0x250


def _best(source: str, plain: list[str]) -> str:
    """Of several readings the one of the same case; Unicode writes l for I and O for 0."""
    if source in _CHECKED:
        return _CHECKED[source]
    if plain[0] == "l" and (source.isupper() or not source.isalpha()):
        return "I"
    return plain[0]


def main() -> None:
    """Write the table and its card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    table = convert(json.loads(arguments.source.read_text("utf-8")))
    raw = (json.dumps(table, ensure_ascii=False, indent=0) + "\n").encode("utf-8")
    (arguments.folder / "confusables.json").write_bytes(raw)
    card: dict[str, Any] = {
        "name": "confusables",
        "what": "characters of other scripts that look like one ASCII letter or digit, by that character",
        "data": {
            "Unicode confusables.txt (UTS #39), as JSON in the package confusable-homoglyphs 3.3.1": (
                "Unicode License v3 (the data), MIT (the package); see NOTICE"
            )
        },
        "languages": "none: it is about shapes",
        "metric": "characters in the table",
        "value": sum(map(len, table.values())),
        "date": "2026-11-27",
        "command": "python -m classifiers.training.confusables CONFUSABLES.json classifiers/artifacts",
        "sha256": hashlib.sha256(raw).hexdigest(),
    }
    (arguments.folder / "confusables.card.json").write_text(json.dumps(card, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
