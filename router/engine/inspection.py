"""`python -P -m router.engine --inspect FILE`: a GGUF's facts as one line of JSON. It never loads native code."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from router.engine.gguf import BadModelError, inspect

_UNUSABLE = 3


class Inspect(argparse.Action):
    """Acts as soon as it is read, as `--help` does: ends with 0, or with 3 and one plain sentence on stderr."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Print the header of the file that was named."""
        try:
            header = inspect(str(values))
        except BadModelError as error:
            parser.exit(_UNUSABLE, f"{error}\n")
        sys.stdout.write(json.dumps(asdict(header)) + "\n")
        parser.exit()
