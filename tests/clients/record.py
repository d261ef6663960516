"""`python -m tests.clients.record`: writes tests/clients/recorded/agent.json anew, a coding agent's work on this clone.

The agent is a list of steps of ours; its tools are really run, and what they gave stands in the file: code, paths,
digests, diffs, logs. For each dialect it holds what every request has and how the conversation begins, in the forms
that agents send; then the steps, the same for all. Agents send everything again with each request, and so does
test_recorded.py.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).resolve().parent / "recorded"
MOST = 2600  # characters of a result

RULES = """\
You are a coding agent that works in a user's repository through tools. Read before you write. Change as little as
possible, keep to the style of the files around, and run the tests that concern your change. Make independent calls at
once. When you are done, say in two sentences what you changed and how you know that it works. Never commit, push or
delete anything unless the user asked for it. Paths are relative to the working folder.

<environment>
Working folder: /home/user/project
Is a git repository: yes
Platform: linux
Shell: bash
</environment>
"""
REQUEST = (
    "The reader of server-sent events in router/backends/sse.py should treat a lone carriage return as the end of a "
    "line too. Find everything that depends on it, change it, add a table of tests, and prove that nothing else broke."
)
TOOLS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "read_file": (
        "Read a text file. Returns its lines with numbers.",
        {"path": {"type": "string"}, "offset": {"type": "integer", "minimum": 1}, "limit": {"type": "integer"}},
        ["path"],
    ),
    "bash": (
        "Run a command in the working folder and return what it prints. No interactive programs.",
        {"command": {"type": "string"}, "timeout_ms": {"type": "integer"}, "description": {"type": "string"}},
        ["command"],
    ),
    "grep": (
        "Search file contents with a regular expression.",
        {"pattern": {"type": "string"}, "glob": {"type": "string"}, "mode": {"enum": ["files", "lines", "count"]}},
        ["pattern"],
    ),
    "edit": (
        "Replace one occurrence of a text in a file.",
        {"path": {"type": "string"}, "old": {"type": "string"}, "new": {"type": "string"}},
        ["path", "old", "new"],
    ),
    "todo": (
        "Keep the list of what is to be done.",
        {
            "items": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"text": {"type": "string"}, "state": {"enum": ["open", "doing", "done"]}},
                    "required": ["text", "state"],
                },
            }
        },
        ["items"],
    ),
}

Call = tuple[str, dict[str, Any]]


def read(path: str, offset: int = 1, limit: int = 60) -> Call:
    return "read_file", {"path": path, "offset": offset, "limit": limit}


def bash(command: str) -> Call:
    return "bash", {"command": command, "description": f"Runs {command.split()[0]}"}


def grep(pattern: str, glob: str = "*.py") -> Call:
    return "grep", {"pattern": pattern, "glob": glob, "mode": "lines"}


def todo(state: str) -> Call:
    return "todo", {"items": [{"text": 'Read "sse.py" and its callers', "state": state}]}


OLD = 'line_end: bytes = b"\\n"'
NEW = 'line_end: bytes = b"\\r\\n"  # Zeilenende, Ünïcödé: 行末 \U0001f642'
STEPS: list[tuple[str, list[Call]]] = [
    ("I start with the file and who uses it.", [read("router/backends/sse.py"), grep("EventReader"), todo("doing")]),
    ("", [read("router/backends/stream.py"), read("tests/backends/test_sse.py")]),
    ("The reader is small. Next the sender.", [read("router/api/sse.py"), grep("line_end")]),
    ("", [bash("git log --format='%H %ci %s' -n 12 -- router/backends")]),
    ("", [read("router/backends/scripted_replies.py", 25, 50), read("router/backends/scripted.py", 60, 60)]),
    ("", [bash("git ls-files -s router/backends | head -20")]),
    ("", [grep("sse\\.event"), grep("text/event-stream"), grep("DONE\\b")]),
    ("", [read("router/engine/server.py", 150, 60)]),
    ("", [read("router/api/anthropic_events.py", 60, 60)]),
    ("", [bash("head -n 24 requirements.lock")]),
    ("", [read("pyproject.toml", 1, 60), read("Makefile", 1, 48)]),
    ("", [bash("git show --stat --format='%h %s' HEAD~3 | tail -12")]),
    ("", [read("tests/support/recorder.py", 1, 60)]),
    ("", [grep('b"\\\\\\\\r'), grep("splitlines")]),
    ("", [read("router/backends/reading.py", 1, 60)]),
    ("Now the change.", [("edit", {"path": "router/backends/scripted_replies.py", "old": OLD, "new": NEW})]),
    ("", [bash("git diff HEAD~1 -- router/backends | head -60"), todo("done")]),
    ("", [bash("python -c 'import uuid; print(uuid.UUID(int=0x1234567890abcdef1234567890abcdef))'")]),
    ("", [read("docs/structures.md", 1, 40)]),
    ("", [bash("ls -la router/backends | awk '{print $5, $9}'")]),
    ("", [grep("class .*Protocol"), grep("def feed")]),
    ("", [read("router/types.py", 1, 60)]),
    ("", [read("policies/recipes/offline.yaml", 1, 43)]),
    ("", [bash("wc -l router/backends/*.py"), bash("git status --short | head -5")]),
    ("", [read("router/app.py", 1, 60)]),
    ("", [grep("aclosing"), grep("wait_for_first")]),
    ("", [read("router/backends/wire.py", 1, 60)]),
    ("", [bash("sha256sum LICENSE NOTICE pyproject.toml")]),
    ("", [read("router/engine/text.py", 1, 60)]),
    ("", [read("deploy/otel-collector.yaml", 1, 31)]),
    ("", [bash("git log --oneline -n 30")]),
    ("", [read("CHANGELOG.md", 1, 14)]),
    ("The reader ends a line at a lone carriage return now, and the table of tests shows it. Nothing else broke.", []),
]


def run(name: str, given: dict[str, Any]) -> str:
    """What a tool gives. Nothing is changed: an edit only says that it was made."""
    if name == "read_file":
        lines = (ROOT / given["path"]).read_text("utf-8").splitlines()
        first = given["offset"] - 1
        shown = "\n".join(f"{first + at + 1:6}\t{line}" for at, line in enumerate(lines[first:][: given["limit"]]))
    elif name == "grep":
        shown = _shell(["git", "grep", "-n", "-E", given["pattern"], "--", given["glob"]])
    elif name == "bash":
        shown = _shell(["bash", "-c", given["command"]])
    else:
        shown = "ok"
    return shown[:MOST] or "(nothing)"


def _shell(command: list[str]) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout


def steps() -> list[dict[str, Any]]:
    """Every turn: what the model says, its calls with ids of their own, and what they gave."""
    found = []
    for number, (text, calls) in enumerate(STEPS):
        made = [
            {"id": f"call_{number:02}{at}Zq7kT9wXvB3mNpLs", "name": name, "arguments": written(given)}
            for at, (name, given) in enumerate(calls)
        ]
        results = [run(name, given) for name, given in calls]
        found.append({"text": text, "calls": made, "results": results})
    return found


def written(given: dict[str, Any]) -> str:
    return json.dumps(given, ensure_ascii=False)


def schema(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def chat() -> dict[str, Any]:
    tools = [
        {"type": "function", "function": {"name": name, "description": about, "parameters": schema(*rest)}}
        for name, (about, *rest) in TOOLS.items()
    ]
    fixed = {"model": "gpt-5-agent", "tools": tools, "parallel_tool_calls": True, "max_completion_tokens": 4096,
             "temperature": 0.2, "reasoning_effort": "medium", "prompt_cache_key": "session-1"}  # fmt: skip
    begin = [{"role": "system", "content": RULES}, {"role": "user", "content": REQUEST}]
    return {"fixed": fixed, "begin": begin}


def messages() -> dict[str, Any]:
    tools: list[dict[str, Any]] = [
        {"name": name, "description": about, "input_schema": schema(*rest)} for name, (about, *rest) in TOOLS.items()
    ]
    tools[-1]["cache_control"] = {"type": "ephemeral"}
    system = [
        {"type": "text", "text": "You are a coding agent."},
        {"type": "text", "text": RULES, "cache_control": {"type": "ephemeral"}},
    ]
    fixed = {"model": "claude-agent-5", "max_tokens": 8192, "system": system, "tools": tools,
             "thinking": {"type": "enabled", "budget_tokens": 4000},
             "metadata": {"user_id": "user_5f2d_account__session_0b9a7c3e-52d1-4c6e-9a43-7f6f0c2d"}}  # fmt: skip
    reminder = "<system-reminder>The list of what is to be done is empty. Do not mention this.</system-reminder>"
    begin = [{"role": "user", "content": [{"type": "text", "text": reminder}, {"type": "text", "text": REQUEST}]}]
    return {"fixed": fixed, "begin": begin}


def responses() -> dict[str, Any]:
    tools = [
        {"type": "function", "name": name, "description": about, "strict": False, "parameters": schema(*rest)}
        for name, (about, *rest) in TOOLS.items()
    ]
    fixed = {"model": "gpt-5-agent", "instructions": RULES, "tools": tools, "tool_choice": "auto",
             "parallel_tool_calls": True, "reasoning": {"effort": "medium", "summary": "auto"}, "store": False,
             "include": ["reasoning.encrypted_content"], "prompt_cache_key": "session-1"}  # fmt: skip
    begin = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": REQUEST}]}]
    return {"fixed": fixed, "begin": begin}


def main() -> None:
    made = {"chat": chat(), "messages": messages(), "responses": responses(), "steps": steps()}
    (FOLDER / "agent.json").write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
