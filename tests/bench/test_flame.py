"""Samples of stacks are counted to the right stage, and drawn to scale."""

from __future__ import annotations

import re
from collections import Counter

from tests.bench.flame import by_stage, folded, stage_of, svg

RAW = """\
<module> (runpy.py:1);main (/x/router/app.py:350);Endpoint._read (/x/router/api/endpoint.py:9);loads (json.py:3) 2
<module> (runpy.py:1);main (/x/router/app.py:350);Gateway.plan (/x/router/gateway.py:7);match (/x/classifiers/a.py:5) 5
<module> (runpy.py:1);main (/x/router/app.py:350);Gateway.plan (/x/router/gateway.py:8);match (/x/classifiers/a.py:6) 1
<module> (runpy.py:1);main (/x/router/app.py:350);run (asyncio/runners.py:2) 2
Thread.run (threading.py:1);_worker (thread.py:8) 90
"""


def test_lines_are_dropped_and_other_threads_left_out():
    stacks = folded(RAW)
    assert stacks.total() == 10
    assert stacks["main (router/app.py", "Gateway.plan (router/gateway.py", "match (classifiers/a.py"] == 6


def test_the_innermost_frame_that_is_known_says_what_a_sample_was_about():
    assert dict(by_stage(folded(RAW))) == {
        "classification": 0.6,
        "reading the request": 0.2,
        "event loop and system": 0.2,
    }
    inside = ("main (router/app.py", "ChatWire.complete (router/backends/wire.py", "post (aiohttp/client.py")
    assert stage_of(inside) == "call to the model"


def test_frames_are_as_wide_as_their_share_and_none_is_wider_than_the_one_around_it():
    drawn = svg(folded(RAW))
    widths = {
        title: float(width)
        for title, width in re.findall(r'<title>([^ <]+)[^<]*</title><rect .*? width="([\d.]+)"', drawn)
    }
    assert (widths["main"], widths["Gateway.plan"], widths["match"], widths["Endpoint._read"]) == (1200, 720, 720, 240)


def test_names_are_escaped():
    assert "<lambda>" not in svg(Counter({("main (router/app.py", "<lambda> (router/a.py"): 1}))
