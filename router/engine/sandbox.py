"""The sandbox in which chat templates are compiled and rendered: immutable, and nothing is computed while compiling.

A template comes with a model file, so it is a stranger's program; a compiled one that does too much is the caller's
to stop. Nothing of a template is ever printed.
"""

from __future__ import annotations

from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, LoopControlExtension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_TEMPLATE_BYTES = 128 * 1024  # the longest in use have about 20 KB
_MAX_REPEATED = 1_000_000  # characters or items that one operator may make

# What rendering may raise: a template is a program, and Python's own errors come out of it too.
RENDER_ERRORS = (
    jinja2.TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


class TemplateSourceError(jinja2.TemplateError):
    """The template does not compile; the message says nothing of its text."""


class _GenerationTag(Extension):
    """`{% generation %}` marks for training what the assistant said: here it says what stands in it."""

    tags = {"generation"}  # noqa: RUF012 - jinja2 reads it from the class

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class TemplateSandbox(ImmutableSandboxedEnvironment):
    """As `transformers` renders templates, with operators that cannot blow up."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # constants would be computed by the compiler, outside of the sandbox
            cache_size=0,
            extensions=[LoopControlExtension, _GenerationTag],
        )

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Numbers of a sane size are multiplied; a text or a list is repeated only so often."""
        is_number = isinstance(left, int | float) and isinstance(right, int | float)
        if operator == "**":
            raise SecurityError("powers are not computed")
        if operator == "%" and not is_number:
            raise SecurityError("texts are not formatted so")
        if operator == "*" and is_number and max(abs(left), abs(right)) > 2**62:
            raise SecurityError("the number is too large")
        if operator == "*" and not is_number:
            sizes = [len(side) if hasattr(side, "__len__") else abs(side) for side in (left, right)]
            if sizes[0] * sizes[1] > _MAX_REPEATED:
                raise SecurityError("the repetition is too long")
        return super().call_binop(context, operator, left, right)

    def compile_source(self, source: str) -> jinja2.Template:
        """Raises TemplateSourceError, whatever is wrong with `source`."""
        if len(source.encode("utf-8", "surrogatepass")) > MAX_TEMPLATE_BYTES:
            raise TemplateSourceError(f"the chat template is longer than {MAX_TEMPLATE_BYTES} bytes")
        try:
            return self.from_string(source)
        except (jinja2.TemplateError, SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
            # jinja2 makes Python of it, which has limits of its own on nesting and on numbers.
            raise TemplateSourceError("the chat template does not compile") from None
