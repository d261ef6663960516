"""How a server that batches works off requests side by side, as a flow: tokens a second for those who read and talk.

Pure arithmetic over token counts. It follows `router/engine/pace.py`: a step holds one token for everybody who talks,
and as many prompt tokens as fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

_STEP_S = 0.09  # of a step that both reads and talks, as the engine plans it
_LEAST = 8  # prompt tokens of such a step, however slow the machine is


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds: of a pass over the weights, and of each token of an answer and of a prompt in it."""

    a_pass: float
    answer: float
    prompt: float


@dataclass(slots=True)
class Job:
    """One request on its way. Tokens: `prompt` still to be read, `said` so far, `cap` that it may say at most."""

    prompt: float
    cap: int
    said: float = 0.0


def rates(costs: Costs, talkers: int, readers: int) -> tuple[float, float]:
    """Tokens a second of each talker's answer, and of each reader's prompt."""
    if not readers:
        return (1 / (costs.a_pass + costs.answer * talkers) if talkers else 0.0), 0.0
    if not talkers:
        return 0.0, 1 / (costs.prompt * readers)
    besides = 2 * costs.a_pass + costs.answer * talkers  # who reads and who talks need a pass each
    tokens = max(_LEAST, (_STEP_S - besides) / costs.prompt)
    step = besides + tokens * costs.prompt
    return 1 / step, tokens / readers / step


def advance(jobs: Sequence[Job], costs: Costs, slots: int, seconds: float) -> None:
    """Move the first `slots` jobs on by so much time. None ends: that is for the server to say."""
    served = jobs[:slots]
    while seconds > 0 and served:
        readers = [job for job in served if job.prompt > 0]
        talking, reading = rates(costs, len(served) - len(readers), len(readers))
        span = min([seconds, *(job.prompt / reading for job in readers)])
        for job in served:
            if job.prompt > 0:
                left = job.prompt - reading * span
                job.prompt = left if left > 1e-6 else 0.0
            else:
                job.said = min(float(job.cap), job.said + talking * span)
        seconds -= span


def seconds_to_last(work: Sequence[tuple[float, float]], costs: Costs, slots: int) -> float:
    """When the last of the requests ends, if none comes after it. Each is (prompt tokens, answer tokens) still to do.

    Reading and talking have a clock each, in tokens of one request: everybody's end is a reading of it.
    """
    reading: list[tuple[float, int]] = []
    talking: list[tuple[float, int]] = []
    read = said = seconds = 0.0
    coming, last = 0, len(work) - 1
    while True:
        while coming <= last and len(reading) + len(talking) < slots:
            prompt, answer = work[coming]
            heappush(*((reading, (read + prompt, coming)) if prompt > 0 else (talking, (said + answer, coming))))
            coming += 1
        talk_rate, read_rate = rates(costs, len(talking), len(reading))
        to_read = (reading[0][0] - read) / read_rate if reading else float("inf")
        to_talk = (talking[0][0] - said) / talk_rate if talking and talk_rate else float("inf")
        span = max(0.0, min(to_read, to_talk))
        seconds, read, said = seconds + span, read + read_rate * span, said + talk_rate * span
        if to_read <= to_talk:
            _, ended = heappop(reading)
            heappush(talking, (said + max(0.0, work[ended][1] - 1), ended))  # reading ends with the first token
        else:
            _, ended = heappop(talking)
            if ended == last:
                return seconds
