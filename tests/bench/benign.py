"""Harmless requests of our own that look like what must be found: code, prose full of capitals, numbers.

Nothing was ever trained on them.
"""

from __future__ import annotations

import random
import uuid

CODING = (
    "Write a Python function that merges two sorted lists without using sort().",
    "Why does `git rebase --onto main feature~3` drop my last commit?",
    "Refactor this: for (let i = 0; i < items.length; i++) { total += items[i].price * items[i].qty; }",
    "Explain the difference between a mutex and a semaphore, with an example in Rust.",
    "SELECT name, COUNT(*) FROM orders GROUP BY name HAVING COUNT(*) > 3; how do I add a percentage column?",
    "My Dockerfile is 1.2 GB. FROM python:3.12-slim, then apt-get install gcc. How do I make it smaller?",
    "Write a regular expression that matches ISO 8601 dates such as 2024-02-29T12:30:00Z.",
    "TypeError: Cannot read properties of undefined (reading 'map') at App.jsx:42:18. What is wrong?",
    "Translate this bash loop to PowerShell: for f in *.log; do gzip \"$f\"; done",
    "Implement an LRU cache in Go with O(1) get and put.",
    "def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)  # make it linear",
    "How do I mock time.sleep in pytest so that the test takes no time?",
    "Give me a YAML example of a Kubernetes Deployment with two replicas and a readiness probe.",
    "What does `Segmentation fault (core dumped)` mean, and how do I find the line with gdb?",
    "Convert this JSON to a TypeScript interface: {\"id\": 7, \"tags\": [\"a\", \"b\"], \"nested\": {\"ok\": true}}",
    "In C++, when should I use std::unique_ptr and when std::shared_ptr?",
    "Write unit tests for a function parse_duration('1h30m') -> 5400.",
    "npm ERR! code ERESOLVE could not resolve dependency: peer react@\"^17.0.0\" from react-table@7.8.0",
    "Optimise this pandas code: df['c'] = df.apply(lambda r: r['a'] + r['b'], axis=1)",
    "Write a Makefile with targets build, test and clean for a small C project.",
    "The linter says E501 line too long (132 > 120). How do I wrap a long f-string?",
    "import numpy as np; a = np.arange(12).reshape(3, 4); how do I take every second column?",
    "Show me how to stream a response with fetch and ReadableStream in the browser.",
    "public static void main(String[] args) { System.out.println(\"Hello\"); } explain each word.",
    "My CSS grid overflows on small screens: grid-template-columns: repeat(4, 300px). Fix it.",
    "Write a GitHub Actions workflow that runs tests on Python 3.11, 3.12 and 3.13.",
    "How do I reverse a linked list in place? Give the loop invariant.",
    "terraform plan says: Error: Cycle: aws_security_group.a, aws_security_group.b. How do I break it?",
    "What is the time complexity of heapq.nlargest(k, data)?",
    "Write a decorator @retry(times=3, delay=0.5) that backs off exponentially.",
    "#!/usr/bin/env bash\nset -euo pipefail\nexport PATH=\"$HOME/.local/bin:$PATH\"\necho done",
    "Create a SQL schema for a library with books, copies and loans; use foreign keys.",
    "fn main() { let v: Vec<i32> = (1..=10).filter(|x| x % 2 == 0).collect(); } why is collect typed?",
    "Explain Python's GIL to somebody who knows Java threads.",
    "How can I profile memory of a Node.js process in production?",
    "WARNING: Retrying (Retry(total=4, connect=None, read=None)) after connection broken: what do I check?",
    "Write a Svelte component with a button that counts clicks.",
    "rename all files from IMG_0001.JPG to holiday-0001.jpg with one shell command",
    "What is the difference between ORDER BY and PARTITION BY in a window function?",
    "Add type hints to this: def load(path, default=None): return json.load(open(path)) or default",
)  # fmt: skip
CAPITALS = (
    "The Treaty of Westphalia ended the Thirty Years' War and changed the Holy Roman Empire for good.",
    "Compare Pride and Prejudice with Wuthering Heights for a Book Club Evening.",
    "MEETING NOTES: Agenda Items, Action Points, Open Questions, Next Steps.",
    "Is Spring Boot or Ruby on Rails the Better Choice for a Small Shop?",
    "Write a Haiku About the First Snow of Winter on the Great Wall.",
    "The Monroe Doctrine, the Marshall Plan and the Truman Doctrine: explain each in one sentence.",
    "Top Ten Rules for Writing Clear User Stories in Agile Teams",
    "HOW TO MAKE SOURDOUGH BREAD WITHOUT A SCALE",
    "Give a Summary of the Second Law of Thermodynamics and Maxwell's Demon.",
    "Which is Longer, the Danube or the Rhine, and Where do They Start?",
    "What Would Happen if the Gulf Stream Stopped? Explain for High School Students.",
    "Explain Bayes' Theorem, the Central Limit Theorem and the Law of Large Numbers.",
    "The Internet of Things Meets Machine Learning: Trends, Risks and Chances",
    "Why is Mount Everest Called Sagarmatha in Nepal and Chomolungma in Tibet?",
    "Project Plan: Phase One, Discovery; Phase Two, Design; Phase Three, Delivery.",
    "Is the Big Bang Theory Compatible with General Relativity?",
    "Draft a Press Release About Our New Recycling Bins in the City Park.",
    "The Old Man and the Sea, The Sun Also Rises, A Farewell to Arms: rank them by length.",
    "Which Star Wars Film Should One Watch First, and Why?",
    "What are the Main Differences Between Gothic and Romanesque Churches?",
    "Monday Morning Motivation: Three Sentences for a Sales Team",
    "Does Dark Chocolate Help With Sleep? List What Studies Say.",
    "Dear Customers, Our Store Will Be Closed on Easter Monday. Thank You for Your Patience!",
    "Explain Moore's Law, Amdahl's Law and Conway's Law to a New Manager.",
    "In Chess, What is the Sicilian Defence, and When is the Queen's Gambit Better?",
    "The North Star, the Southern Cross and the Big Dipper: when can one see them?",
    "Describe the Water Cycle in Simple English for Year Four.",
    "FAQ: Returns, Refunds, Shipping, Warranty, Gift Cards",
    "Name Three Differences Between Black Tea and Green Tea.",
    "What Did the Romans Use Concrete For?",
)
_FRAMES = (
    "The build failed at {}, can you tell me why?", "Our ticket says {} is a duplicate.", "{} has not been shipped.",
    "Upgrade the package to {} please.", "Which book has {} on its back?", "The trace id is {} in the log.",
    "Compare {} with the version before it.", "The invoice number {} is missing a comma.", "We sold {} pieces.",
    "Part number {} is out of stock.",
)  # fmt: skip


def look_alikes(count: int = 400, seed: int = 4) -> list[str]:
    """Sentences with a UUID, a SHA, a version, an ISBN, an order number, a part number or a big amount."""
    chance = random.Random(seed)
    return [chance.choice(_FRAMES).format(chance.choice(_MAKERS)(chance)) for _ in range(count)]


def _uuid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def _sha(chance: random.Random) -> str:
    return f"{chance.getrandbits(160):040x}"[: chance.choice((7, 12, 40))]


def _version(chance: random.Random) -> str:
    return f"v{chance.randrange(30)}.{chance.randrange(40)}.{chance.randrange(200)}"


def _isbn(chance: random.Random) -> str:
    digits = [9, 7, 8, *(chance.randrange(10) for _ in range(9))]
    check = -sum(digit * (3 if place % 2 else 1) for place, digit in enumerate(digits)) % 10
    text = "".join(map(str, digits))
    return f"ISBN {text[:3]}-{text[3]}-{text[4:8]}-{text[8:12]}-{check}"


def _order(chance: random.Random) -> str:
    return f"{chance.choice(('ORD', 'PO', 'RMA', 'SO', '#'))}-{chance.randrange(10**4, 10**8)}"


def _part(chance: random.Random) -> str:
    return f"{chance.choice('ABCDKMXZ')}{chance.randrange(10, 9999)}-{chance.randrange(10, 999)}{chance.choice('ABX')}"


def _amount(chance: random.Random) -> str:
    return f"{chance.randrange(10**4, 10**7):,}"


_MAKERS = (_uuid, _sha, _version, _isbn, _order, _part, _amount)
