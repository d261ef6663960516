"""Small tokenizers for the tiny models: byte-pair (gpt2), sentence-piece (llama) and word-piece (bert)."""

from __future__ import annotations

import string
from collections import Counter
from functools import cache
from itertools import pairwise

import gguf

_MERGES = 96
_CORPUS = (
    "the capital of the country is the city that the people of the country call their own and the rivers there run "
    "to the sea where ships come and go with the wind when the weather is fair you are a helpful assistant who "
    "answers in plain words and tells what is known about colours numbers names towns trees birds and stones "
    "user system assistant tool answer question please write read think say hello world"
)
_SPACE = "▁"


class Vocabulary:
    """Tokens, their kinds and scores; `unspoken` are the ids that an answer should not hold."""

    def __init__(self, model: str, *, add_bos: bool = False) -> None:
        self.model = model
        self.add_bos = add_bos
        self.tokens: list[str] = []
        self.types: list[int] = []
        self.scores: list[float] = []
        self.merges: list[str] = []
        self.unspoken: list[int] = []
        self.pre: str | None = None
        self.special: dict[str, str] = {}

    def add(self, token: str, kind: gguf.TokenType, score: float = 0.0, *, is_spoken: bool = True) -> None:
        """Append `token`. Control and odd byte tokens are not spoken."""
        if not is_spoken:
            self.unspoken.append(len(self.tokens))
        self.tokens.append(token)
        self.types.append(int(kind))
        self.scores.append(score)

    def write(self, writer: gguf.GGUFWriter) -> None:
        """The metadata below `tokenizer.ggml`."""
        writer.add_tokenizer_model(self.model)
        if self.pre is not None:
            writer.add_tokenizer_pre(self.pre)
        writer.add_token_list(self.tokens)
        writer.add_token_types(self.types)
        if self.merges:
            writer.add_token_merges(self.merges)
        else:
            writer.add_token_scores(self.scores)
        if self.model == "bert":
            writer.add_token_type_count(2)
        for name, token in self.special.items():
            writer.add_uint32(f"tokenizer.ggml.{name}_token_id", self.tokens.index(token))
        writer.add_add_bos_token(self.add_bos)


def BPE(  # noqa: N802 - the name of the method
    pre: str, control: tuple[str, ...], *, bos: str, eos: str, add_bos: bool = False
) -> Vocabulary:
    """Byte-level byte-pair encoding, as GPT-2 has it (Sennrich et al., 2016)."""
    vocabulary = Vocabulary("gpt2", add_bos=add_bos)
    vocabulary.pre = pre
    vocabulary.special = {"bos": bos, "eos": eos}
    for byte, letter in enumerate(_byte_letters()):
        vocabulary.add(letter, gguf.TokenType.NORMAL, is_spoken=chr(byte) in string.printable[:95])
    for first, second in _merges("Ġ"):
        vocabulary.add(first + second, gguf.TokenType.NORMAL)
        vocabulary.merges.append(f"{first} {second}")
    for token in control:
        vocabulary.add(token, gguf.TokenType.CONTROL, is_spoken=False)
    return vocabulary


def SPM(  # noqa: N802 - the name of the method
    first: tuple[str, ...], control: tuple[str, ...], *, bos: str, eos: str, add_bos: bool = False
) -> Vocabulary:
    """Sentence-piece with byte fall-back (Kudo, 2018): better scores are merged first."""
    vocabulary = Vocabulary("llama", add_bos=add_bos)
    vocabulary.special = {"bos": bos, "eos": eos, "unknown": "<unk>"}
    if "<pad>" in first:
        vocabulary.special["padding"] = "<pad>"
    for token in first:
        kind = gguf.TokenType.UNKNOWN if token == "<unk>" else gguf.TokenType.CONTROL
        vocabulary.add(token, kind, is_spoken=False)
    for byte in range(256):
        vocabulary.add(f"<0x{byte:02X}>", gguf.TokenType.BYTE, is_spoken=False)
    for letter in [_SPACE, *string.printable[:94]]:
        vocabulary.add(letter, gguf.TokenType.NORMAL, -1000.0)
    for rank, (left, right) in enumerate(_merges(_SPACE)):
        vocabulary.add(left + right, gguf.TokenType.NORMAL, -float(rank))
    for token in control:
        vocabulary.add(token, gguf.TokenType.CONTROL, is_spoken=False)
    return vocabulary


def WPM() -> Vocabulary:  # noqa: N802 - the name of the method
    """Word-piece, as bert has it: a word's first piece begins with the mark of a space."""
    vocabulary = Vocabulary("bert", add_bos=True)
    names = {"padding": "[PAD]", "unknown": "[UNK]", "cls": "[CLS]", "seperator": "[SEP]", "mask": "[MASK]"}
    vocabulary.special = {**names, "bos": "[CLS]", "eos": "[SEP]"}
    for token in names.values():
        kind = gguf.TokenType.UNKNOWN if token == "[UNK]" else gguf.TokenType.CONTROL
        vocabulary.add(token, kind, is_spoken=False)
    letters = string.ascii_lowercase + string.digits + string.punctuation
    for letter in letters:
        vocabulary.add(_SPACE + letter, gguf.TokenType.NORMAL)
        vocabulary.add(letter, gguf.TokenType.NORMAL)
    for word in sorted({word for word in _CORPUS.split() if len(word) > 1}):
        vocabulary.add(_SPACE + word, gguf.TokenType.NORMAL)
    return vocabulary


@cache
def _byte_letters() -> tuple[str, ...]:
    """GPT-2's letter for every byte: the printable ones of Latin-1 stand for themselves."""
    plain = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return tuple(chr(byte if byte in plain else next(others)) for byte in range(256))


@cache
def _merges(space: str) -> tuple[tuple[str, str], ...]:
    """The most frequent pairs of the corpus, in the order in which they are merged."""
    words = Counter(tuple(space + word) for word in _CORPUS.split())
    merges: list[tuple[str, str]] = []
    while len(merges) < _MERGES:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, count in words.items():
            for pair in pairwise(word):
                pairs[pair] += count
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        words = Counter({_merged(word, best): count for word, count in words.items()})
    return tuple(merges)


def _merged(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    parts: list[str] = []
    for part in word:
        if parts and (parts[-1], part) == pair:
            parts[-1] += part
        else:
            parts.append(part)
    return tuple(parts)
