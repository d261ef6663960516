"""The text of an answer as it becomes final: whole characters, stop strings, and the tokens that belong to it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from router.engine.text import TextAssembler
from router.engine.types import Piece, TokenLogprob


def run(pieces: list[bytes], stops: tuple[str, ...]) -> tuple[list[Piece], bool]:
    assembler = TextAssembler(stops)
    out: list[Piece | None] = []
    for piece in pieces:
        out.append(assembler.push(piece, TokenLogprob(piece, 0.0)))
        if assembler.is_stopped:
            break
    out.append(assembler.finish())
    return [piece for piece in out if piece is not None], assembler.is_stopped


@settings(deadline=None)
@given(
    st.text(alphabet="abß🎉 ", max_size=40),
    st.lists(st.text(alphabet="abß🎉 ", min_size=1, max_size=4), max_size=4),
    st.lists(st.integers(1, 5), min_size=1, max_size=12),
)
def test_any_cut_into_tokens_gives_the_text_up_to_the_first_stop_string(
    text: str, stops: list[str], sizes: list[int]
) -> None:
    pieces: list[bytes] = []
    raw, at = text.encode(), 0
    while at < len(raw):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(raw[at : at + size])
        at += size
    out, is_stopped = run(pieces, tuple(stops))
    said = "".join(piece.text for piece in out)
    found = [text.index(stop) for stop in stops if stop in text]
    assert is_stopped == bool(found)
    if not found:
        assert said == text
        assert [entry.token for piece in out for entry in piece.logprobs] == pieces
    else:
        # Tokens come one by one, so of two stop strings the one that is complete first ends the answer.
        assert text.startswith(said)
        assert len(said) >= min(found)
        assert not any(stop in said for stop in stops)
        assert any(text.startswith(stop, len(said)) for stop in stops)


def test_text_that_cannot_become_a_stop_string_is_not_held() -> None:
    assembler = TextAssembler(("END",))
    assert assembler.push(b"abE") == Piece("ab")
    assert assembler.push(b"N") is None
    assert assembler.push(b"x") == Piece("ENx")


def test_a_character_cut_off_by_the_end_is_dropped() -> None:
    out, _ = run([b"ok ", "🎉".encode()[:2]], ())
    assert "".join(piece.text for piece in out) == "ok "


def test_bytes_that_are_no_character_become_the_replacement_character() -> None:
    out, _ = run([b"a\xff", b"b"], ())
    assert "".join(piece.text for piece in out) == "a\ufffdb"


def test_tokens_behind_the_cut_are_left_out_and_the_one_that_holds_it_stays() -> None:
    out, is_stopped = run([b"one", b" two!", b" three"], ("!",))
    assert is_stopped
    assert "".join(piece.text for piece in out) == "one two"
    assert [entry.token for piece in out for entry in piece.logprobs] == [b"one", b" two!"]
