"""A decode loop whose native call is one of libc's, watched as an engine's is. Argument: what the call does.

`pause`: never returns. `work`: half a second, again and again. `idle`: nothing to do.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time

from router.engine.loop import DecodeLoop
from router.engine.watchdog import Watchdog

LIMIT_S = 2.5
LIBC = ctypes.CDLL(None)


class Lane:
    """Calls libc where an engine's lane calls llama.cpp."""

    def __init__(self, loop: DecodeLoop, kind: str) -> None:
        self._loop = loop
        self._kind = kind

    is_busy = False

    def interrupt(self) -> None:
        """Nothing of it can be given up."""

    def step(self, others_wait: object) -> bool:
        if self._kind == "idle":
            return False
        with self._loop.clock.running():
            self._decode()
        return True

    def _decode(self) -> None:
        if self._kind == "pause":
            LIBC.pause()
        else:
            LIBC.usleep(500_000)

    def end(self) -> None:
        """Nothing is unfinished."""


def main() -> None:
    loop = DecodeLoop()
    loop.attach(Lane(loop, sys.argv[1]))
    threading.Thread(target=loop.run, name="decode", daemon=True).start()
    Watchdog(lambda: loop.step_started, limit_s=LIMIT_S).start()
    print("watched", flush=True)
    time.sleep(2 * LIMIT_S)


if __name__ == "__main__":
    main()
