"""Makes `artifacts/gitleaks_rules.json` from gitleaks' rules as JSON lines. Never imported when serving.

python -m classifiers.training.gitleaks_rules RULES.jsonl.gz classifiers/artifacts/gitleaks_rules.json
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

import re2

_PREFIX = "[\\w.-]{0,50}?"  # an optional run in front changes no secret, and costs an automaton thousands of states
# A key in prose ends with a comma, a full stop or a bracket as often as with the quotes and blanks of code.
_END, _ANY_END = "(?:[\\x60'\"\\s;]|\\\\[nr]|$)", "(?:[^\\w-]|$)"
_ASSIGNED = "[ \\t\\w.-]{0,20}[\\s'\"]{0,3}[=:>|?,][\\x60'\"\\s=>]{0,6}"
_KEY_NAMES = "(?i)(?:access|auth|api|credential|creds|key|passw(?:or)?d|secret|token)"
# Keywords that stand in ordinary text are replaced by a few characters more of the rule itself.
_TRIGGERS = {
    "jwt": ["\\bey[a-zA-Z0-9]{17}"],
    "azure-ad-client-secret": ["\\dQ~"],
    "vault-service-token": ["\\bhvs\\.", "\\bs\\.[a-zA-Z0-9]{24}"],
    "twilio-api-key": ["SK[0-9a-fA-F]{8}"],
    "kubernetes-secret-yaml": ["(?i)\\bkind:[ \\t]*[\"']?secret"],
    "hashicorp-tf-password": ["(?i)password" + _ASSIGNED + "\""],
    "generic-api-key": [_KEY_NAMES + _ASSIGNED + "[\\w.=+/-]{10}"],
    "aws-access-token": ["\\b(?:A3T|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]"],
    "airtable-personnal-access-token": ["\\bpat[a-zA-Z0-9]{14}\\."],
}  # fmt: skip

# Exceptions that also hold inside other secrets unless they are anchored.
_ALLOWED = {"s\\.[A-Za-z]{24}": "^s\\.[A-Za-z]{24}$"}


def convert(row: dict[str, Any]) -> dict[str, Any]:
    """One rule in our form: what to look for first, the expression, the entropy floor and what is not a secret."""
    regex = row["regex"].replace(_PREFIX, "").replace(_END, _ANY_END)
    if row["id"] == "hashicorp-tf-password":
        regex = regex.replace("|\\?=|,)", "|\\?=)")  # names in a list are no assignment
    if not re2.compile(regex):
        raise ValueError(row["id"])
    allow = [entry for entry in row.get("allowlists", []) if entry.get("regexes") or entry.get("stopwords")]
    keywords = ["(?i)" + re2.escape(keyword) for keyword in row["keywords"]]
    return {
        "id": row["id"],
        "triggers": _TRIGGERS.get(row["id"], keywords),
        "regex": regex,
        "group": row.get("secretGroup", 0),
        "entropy": row.get("entropy", 0),
        "allow_secret": [
            _ALLOWED.get(regex, regex)
            for entry in allow
            if entry.get("regexTarget") != "match"
            for regex in entry.get("regexes", [])
        ],
        "allow_match": [
            regex for entry in allow if entry.get("regexTarget") == "match" for regex in entry.get("regexes", [])
        ],
        "stopwords": [word for entry in allow for word in entry.get("stopwords", [])],
    }


def main() -> None:
    """Read the rules, convert those that have an expression, write them sorted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    with gzip.open(arguments.source, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    rules = sorted((convert(row) for row in rows if "regex" in row), key=lambda rule: str(rule["id"]))
    arguments.target.write_text(json.dumps(rules, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
