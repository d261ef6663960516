"""What coding agents send: files, parts of files, differences, listings, logs, calls and results of tools.

All of it harmless. Real files come from Python's standard library and from packages of the lock; their forms, and
code of other languages, are made here. Code is somebody's own only where it says so: `marked` puts such a head on the
same files.
"""

from __future__ import annotations

import json
import random
import re
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from classifiers.training.meaning_snippets import LICENCES, OWNERS, listings, snippets

PACKAGES = (
    "numpy",
    "sklearn",
    "litellm",
    "botocore",
    "pygments",
    "aiohttp",
    "cryptography",
    "redis",
    "starlette",
    "openai",
)
_ENDINGS = (".py", ".pyi", ".h", ".c", ".js", ".css", ".html", ".json", ".md", ".txt", ".toml", ".pyx", ".pxd", ".yaml")
_LARGEST = 200_000
_BY_FOLDER = 5  # files of one folder and ending
_WIDEST = 200
_LONG = 1600
_DOCSTRING = re.compile(r'"""(.*?)"""', re.DOTALL)

Form = Callable[[random.Random, str, int, Sequence[str]], str]


def code_texts(seed: int, count: int) -> Iterator[tuple[str, str]]:
    """(group, text): about half real files, half made; the same seed and files give the same texts."""
    draw = random.Random(f"{seed}/code")  # noqa: S311  # reproducible texts, not a secret
    files = list(_files(draw))
    for number in range(count // 2):
        path, lines = files[number % len(files)]
        yield f"file/{path.parent.name}", _shown(draw, path, lines)
    makers = (*listings(draw), *snippets(draw))
    for _ in range(count // 2):
        group, make = draw.choice(makers)
        yield f"made/{group}", make()[:_LONG]


def prose(seed: int, count: int) -> Iterator[tuple[str, str]]:
    """(group, text): what files say about themselves in plain sentences: paragraphs of their docstrings."""
    draw = random.Random(f"{seed}/prose")  # noqa: S311  # as above
    found = []
    for path, lines in _files(draw):
        if path.suffix == ".py":
            for text in _DOCSTRING.findall("\n".join(lines)):
                found += [(f"prose/{path.parent.name}", part) for part in map(_flowing, text.split("\n\n")) if part]
    draw.shuffle(found)
    yield from found[:count]


def _flowing(paragraph: str) -> str:
    """A paragraph as one line; empty where it is a list, an example or a phrase."""
    text = " ".join(paragraph.split())
    is_prose = text[:1].isupper() and text.endswith(".") and text.count(" ") > 8 and ">>>" not in text
    return text[:_LONG] if is_prose and not re.search(r"::|:param|\w\(|\bArgs:|--", text) else ""


def marked(seed: int, count: int) -> Iterator[tuple[str, str]]:
    """(group, text): files under a head that says whose they are, and that nobody else may have them."""
    draw = random.Random(f"{seed}/marked")  # noqa: S311  # as above
    files = [each for each in _files(draw) if each[0].suffix in (".py", ".h", ".c", ".js", ".pyi")]
    for number in range(count):
        path, lines = files[number % len(files)]
        owner = draw.randrange(len(OWNERS))
        head = OWNERS[owner](draw).splitlines()
        sign = {".py": "# ", ".pyi": "# ", ".js": "// "}.get(path.suffix, " * ")
        yield (
            f"marked/{owner}",
            _shown(draw, path, [sign + line for line in head] + list(lines[: draw.randint(4, 30)]), 0),
        )


def _files(draw: random.Random) -> Iterator[tuple[Path, list[str]]]:
    """Readable files in an order of the seed, few of one folder."""
    roots = [Path(sysconfig.get_paths()["stdlib"]), Path(sysconfig.get_paths()["include"])]
    roots += [Path(spec.origin).parent for name in PACKAGES if (spec := find_spec(name)) and spec.origin]
    taken: dict[tuple[Path, str], int] = {}
    for root in roots:
        paths = sorted(
            path
            for path in root.rglob("*")
            if path.suffix in _ENDINGS and "site-packages" not in path.parts[len(root.parts) :]
        )
        draw.shuffle(paths)
        for path in paths:
            place = (path.parent, path.suffix)
            if taken.get(place, 0) >= _BY_FOLDER or not 200 < path.stat().st_size < _LARGEST:
                continue
            try:
                lines = path.read_text("utf-8").splitlines()
            except UnicodeDecodeError:
                continue
            taken[place] = taken.get(place, 0) + 1
            yield path, lines


def _shown(draw: random.Random, path: Path, lines: Sequence[str], start: int | None = None) -> str:
    count = draw.choice((4, 10, 25, 60))
    first = draw.randrange(max(1, len(lines) - count + 1)) if start is None and draw.random() < 0.6 else 0
    shown = [line[:_WIDEST] for line in lines[first : first + (count if start is None else len(lines))]]
    return draw.choice(_FORMS)(draw, "/".join(path.parts[-draw.randint(1, 4) :]), first, shown)[:_LONG]


def _plain(draw: random.Random, name: str, first: int, lines: Sequence[str]) -> str:
    head = draw.choice(("", "", f"{name}\n", f"```\n{name}\n", "Here is the file:\n", "Contents of the file:\n\n"))
    return head + "\n".join(lines)


def _licensed(draw: random.Random, name: str, first: int, lines: Sequence[str]) -> str:
    sign = {"py": "# ", "js": "// "}.get(name.rpartition(".")[2], " * ")
    return "\n".join([sign + line for line in draw.choice(LICENCES)(draw).splitlines()] + list(lines))


def _numbered(draw: random.Random, name: str, first: int, lines: Sequence[str]) -> str:
    mark = draw.choice(("\t", "→", ": ", " | "))
    return "\n".join(f"{number:6}{mark}{line}" for number, line in enumerate(lines, first + 1))


def _found(draw: random.Random, name: str, first: int, lines: Sequence[str]) -> str:
    return "\n".join(f"{name}:{number}:{line}" for number, line in enumerate(lines, first + 1) if draw.random() < 0.6)


def _changed(draw: random.Random, name: str, first: int, lines: Sequence[str]) -> str:
    marks = [draw.choice((" ", " ", " ", "+", "-")) for _ in lines]
    old, new = (sum(mark != sign for mark in marks) for sign in "+-")
    head = f"diff --git a/{name} b/{name}\nindex {draw.getrandbits(28):07x}..{draw.getrandbits(28):07x} 100644\n"
    head = head if draw.random() < 0.7 else ""
    hunk = f"--- a/{name}\n+++ b/{name}\n@@ -{first + 1},{old} +{first + 1},{new} @@\n"
    return head + hunk + "\n".join(mark + line for mark, line in zip(marks, lines, strict=True))


def _as_json(draw: random.Random, name: str, first: int, lines: Sequence[str]) -> str:
    text = "\n".join(lines)
    made: object = draw.choice(
        (
            {"path": name, "content": text},
            {"file_path": name, "old_string": "\n".join(lines[:2]), "new_string": text[:300]},
            {"stdout": text, "stderr": "", "exit_code": 0},
            {"matches": [{"path": name, "line": first + 1, "text": line.strip()} for line in lines[:8]]},
        )
    )
    return json.dumps(made, ensure_ascii=False, indent=draw.choice((None, None, 2)))


def _trace(draw: random.Random, name: str, first: int, lines: Sequence[str]) -> str:
    calls = "\n".join(
        f'  File "/home/user/project/{name}", line {number}, in {draw.choice(("run", "main", "<module>", "get"))}\n'
        f"    {line.strip()}"
        for number, line in enumerate(lines[:6], first + 1)
        if line.strip()
    )
    error = draw.choice(("KeyError: 'name'", "ValueError: too many values", "TypeError: 'NoneType' is not iterable"))
    return f"Traceback (most recent call last):\n{calls}\n{error}"


_FORMS: tuple[Form, ...] = (
    *(_plain, _plain, _licensed, _numbered, _numbered, _found, _changed, _changed, _as_json, _trace),
)
