"""The sandbox of chat templates: what real templates use works, what a hostile one tries does not."""

from __future__ import annotations

import pytest
from jinja2.exceptions import SecurityError

from router.engine.sandbox import MAX_TEMPLATE_BYTES, RENDER_ERRORS, TemplateSandbox, TemplateSourceError


def render(source: str, **values: object) -> str:
    return TemplateSandbox().compile_source(source).render(**values)


def test_the_marks_of_what_is_trained_on_change_nothing() -> None:
    source = "{% for m in messages %}{% generation %}[{{ m }}]{% endgeneration %}{% endfor %}"
    assert render(source, messages=["a", "b"]) == "[a][b]"


def test_loops_may_be_left() -> None:
    assert render("{% for n in range(9) %}{% if n == 3 %}{% break %}{% endif %}{{ n }}{% endfor %}") == "012"


def test_arithmetic_of_turns_works() -> None:
    assert render("{% for m in [1, 2, 3] %}{{ loop.index0 % 2 == 0 }} {% endfor %}{{ 3 * 4 }}") == "True False True 12"
    assert render("{{ '=' * 3 }}{{ ['a'] * 2 }}") == "===['a', 'a']"


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 9999999999 }}",
        "{{ 9999999999 * ['a'] }}",
        "{{ ('a' * 99999) * 99999 }}",
        "{{ 9 ** 9 }}",
        "{{ '%9999999999d' % 1 }}",
        "{{ (2 * 9223372036854775807) * 9223372036854775807 }}",
        "{% for n in range(100000000) %}{% endfor %}",
    ],
)
def test_operators_that_blow_up_are_refused_when_they_are_computed(source: str) -> None:
    template = TemplateSandbox().compile_source(source)
    with pytest.raises((SecurityError, OverflowError)):
        template.render()


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages.append('x') }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__ }}",
        "{% include 'x' %}",
        "{{ '{0.__class__}'.format(1).upper().no.such }}",
    ],
)
def test_nothing_is_changed_and_nothing_outside_is_reached(source: str) -> None:
    template = TemplateSandbox().compile_source(source)
    messages: list[str] = []
    with pytest.raises(RENDER_ERRORS):
        template.render(messages=messages)
    assert messages == []


@pytest.mark.parametrize(
    "source", ["{% if %}", "{{ a | nothing_like_it }}", "x" * (MAX_TEMPLATE_BYTES + 1), "{{ \ud800"]
)
def test_a_source_that_does_not_compile_is_refused_without_its_text(source: str) -> None:
    with pytest.raises(TemplateSourceError) as caught:
        TemplateSandbox().compile_source(source)
    assert source[:20] not in str(caught.value)
