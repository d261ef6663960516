"""`python -P -m router.engine`: models behind a unix socket. Ends with 0 when asked to.

It ends with 3 when the model or the socket cannot be used, with 4 when a native call hangs, and never prints a prompt
or an answer.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import NoReturn

import uvicorn

from router.engine.confine import confine, drop_environment
from router.engine.inspection import Inspect
from router.engine.process import (
    SocketError,
    die_with_parent,
    leave_no_core,
    listen,
    say,
    spin_briefly,
    usable_cpus,
    usable_memory,
)
from router.engine.watchdog import Watchdog

_UNUSABLE = 3
_KEEP_ALIVE_S = 120  # longer than a client keeps an idle connection, so that it never writes to a closed one
_GRACE_S = 5
# The decode thread takes Python's lock back after each native call; the default of 5 ms is a seventh of a step.
_SWITCH_S = 0.0005


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -P -m router.engine", description="Serve GGUF models on a unix socket."
    )
    served = parser.add_mutually_exclusive_group(required=True)
    served.add_argument("--model", help="the GGUF file, the only one to be served")
    served.add_argument("--manifest", type=Path, help="a JSON file that names all models; read anew when it changes")
    parser.add_argument("--socket", required=True, type=Path, help="where to listen; created with mode 0600")
    parser.add_argument("--alias", default="smollm2-135m-instruct", help="the name of --model on the wire")
    parser.add_argument("--threads", type=int, default=0, help="0: the processors that this process may use")
    parser.add_argument("--context", type=int, default=8192, help="tokens, prompt and answer together")
    parser.add_argument("--queue", type=int, default=64, help="requests that may wait")
    parser.add_argument("--queue-tokens", type=int, default=131_072, help="tokens that they may ask for together")
    parser.add_argument("--slots", type=int, default=0, help="requests answered at the same time; 0: what fits, to 8")
    parser.add_argument("--memory", type=int, default=0, help="MB for models and caches; 0: half of what may be used")
    parser.add_argument("--gpu-layers", type=_layers, default=None, help="auto, or how many layers a GPU takes")
    parser.add_argument("--speculation", choices=("on", "off"), default="on", help="prompt lookup for a lone stream")
    parser.add_argument("--hang-limit", type=float, default=30.0, help="seconds that one decode call may take")
    parser.add_argument("--log-level", choices=("error", "debug"), default="error", help="debug: llama.cpp's own log")
    parser.add_argument("--inspect", metavar="FILE", action=Inspect, help="only check FILE and say what it is, as JSON")
    return parser.parse_args(argv)


def _layers(text: str) -> int | None:
    return None if text == "auto" else int(text)


def _die(reason: str) -> NoReturn:
    say(reason)
    os._exit(_UNUSABLE)


def _report(failure: threading.ExceptHookArgs) -> None:
    """A thread's exception by its class and place: what it says could be content."""
    frame = failure.exc_traceback
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = "" if frame is None else f" in {frame.tb_frame.f_code.co_name}, line {frame.tb_lineno}"
    say(f"{failure.exc_type.__name__}{place}")


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT, or until the parent dies."""
    arguments = _arguments(argv)
    parent = os.getppid()
    leave_no_core()
    threading.excepthook = _report
    logging.disable()  # uvicorn would log exceptions with their texts; the application names their classes
    try:
        listener = listen(arguments.socket)
    except SocketError as error:
        say(f"cannot listen: {error}")
        return _UNUSABLE
    _serve(arguments, listener, parent)
    arguments.socket.unlink(missing_ok=True)
    return 0


def _serve(arguments: argparse.Namespace, listener: socket.socket, parent: int) -> None:
    sys.setswitchinterval(_SWITCH_S)
    spin_briefly()
    # These import llama_cpp, which reads its environment when it is loaded.
    from router.engine.manifest import ManifestError
    from router.engine.server import create_app
    from router.engine.service import Engine, Options

    memory = arguments.memory * 1_000_000 or usable_memory() // 2
    confinement = confine(arguments.socket.absolute().parent, memory)  # before the first thread
    die_with_parent(parent)
    options = Options(
        model=arguments.model or "",
        alias=arguments.alias,
        manifest=arguments.manifest,
        threads=arguments.threads or usable_cpus(),
        context=arguments.context,
        queue=arguments.queue,
        queue_tokens=arguments.queue_tokens,
        slots=arguments.slots,
        memory=memory,
        gpu_layers=arguments.gpu_layers,
        speculates=arguments.speculation == "on",
        verbose=arguments.log_level == "debug",
        confined=confinement.is_complete,
    )
    try:
        engine = Engine(options, _die)
    except ManifestError as error:
        arguments.socket.unlink(missing_ok=True)
        _die(str(error))
    config = uvicorn.Config(
        create_app(engine),
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        date_header=False,
        lifespan="off",
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal again when it has shut down; nothing is left to be done for it then.
        signal.signal(number, lambda _number, _frame: None)
    Watchdog(lambda: engine.loop.step_started, limit_s=arguments.hang_limit).start()
    engine.start()
    uvicorn.Server(config).run(sockets=[listener])
    engine.stop()


if __name__ == "__main__":
    drop_environment()
    sys.stdout.flush()
    code = main()
    sys.stderr.flush()
    os._exit(code)  # native threads have nothing to tell, and llama.cpp's own exit handlers may abort
