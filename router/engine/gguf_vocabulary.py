"""A GGUF's vocabulary, checked: tokens that llama.cpp can look up whatever the text, and special tokens that exist."""

from __future__ import annotations

from router.engine.gguf_layout import FLOAT32, INT32, STRING, TOKENS_KEY, Array, BadModelError
from router.engine.gguf_metadata import Metadata

MAX_ID = 2**32 - 1

# The tokenizers, each with the ids that llama.cpp assumes when the file names none.
_DEFAULT_IDS: dict[str, dict[str, int]] = {
    "llama": {"bos": 1, "eos": 2, "unknown": 0},
    "gpt2": {"bos": 11, "eos": 11},
    "bert": {"bos": 101, "unknown": 100, "seperator": 102},
    "t5": {"eos": 1, "unknown": 2},
}
_SPECIAL = (
    "bos", "eos", "eot", "eom", "unknown", "seperator", "padding", "cls", "mask", "prefix", "suffix", "middle",
    "fim_pre", "fim_suf", "fim_mid", "fim_pad", "fim_rep", "fim_sep",
)  # fmt: skip


def check_vocabulary(facts: Metadata, architecture: str) -> int:
    """How many tokens there are. Raises BadModelError."""
    tokenizer = facts.text("tokenizer.ggml.model")
    if tokenizer not in _DEFAULT_IDS:
        raise BadModelError("`tokenizer.ggml.model` names a tokenizer that the engine does not serve")
    tokens = facts.array(TOKENS_KEY, (STRING,))
    if tokens is None or not tokens.items:
        raise BadModelError(f"`{TOKENS_KEY}` is missing or empty")
    _check_beside(facts.array("tokenizer.ggml.token_type", (INT32,)), tokens.count, "tokenizer.ggml.token_type")
    _check_beside(facts.array("tokenizer.ggml.scores", (FLOAT32, INT32)), tokens.count, "tokenizer.ggml.scores")
    size = facts.integer(f"{architecture}.vocab_size", 0, MAX_ID, tokens.count)
    if size != tokens.count:
        raise BadModelError(f"`{architecture}.vocab_size` is {size}, but there are {tokens.count} tokens")
    if tokenizer == "gpt2" and facts.array("tokenizer.ggml.merges", (STRING,)) is None:
        raise BadModelError("`tokenizer.ggml.merges` is missing")
    _check_texts(tokens, tokenizer)
    _check_special(facts, tokenizer, tokens.count)
    return tokens.count


def _check_beside(array: Array | None, tokens: int, key: str) -> None:
    if array is not None and array.count != tokens:
        raise BadModelError(f"`{key}` has {array.count} entries for {tokens} tokens")


def _check_texts(tokens: Array, tokenizer: str) -> None:
    """llama.cpp ends the process when two tokens are the same, or when a sentence-piece vocabulary lacks a byte."""
    texts = {text or b"[EMPTY_%d]" % index for index, text in enumerate(tokens.items or ())}
    if len(texts) != tokens.count:
        raise BadModelError(f"`{TOKENS_KEY}` has a token twice")
    if tokenizer == "llama" and not all(b"<0x%02X>" % byte in texts or bytes([byte]) in texts for byte in range(256)):
        raise BadModelError(f"`{TOKENS_KEY}` lacks a token for some byte")


def _check_special(facts: Metadata, tokenizer: str, tokens: int) -> None:
    """Ids lie within the vocabulary, and those that tokenizing needs exist: llama.cpp ends the process otherwise."""
    known = set()
    for name in _SPECIAL:
        key = f"tokenizer.ggml.{name}_token_id"
        if facts.has(key):
            facts.integer(key, 0, tokens - 1)
            known.add(name)
    known |= {name for name, token in _DEFAULT_IDS[tokenizer].items() if token < tokens}
    needed = {"bert": {"seperator", "unknown"}, "t5": {"unknown"}}.get(tokenizer, set())
    if facts.boolean("tokenizer.ggml.add_bos_token", tokenizer != "t5"):
        needed = needed | {"bos"}
    if facts.boolean("tokenizer.ggml.add_eos_token", tokenizer == "t5"):
        needed = needed | {"eos"}
    facts.boolean("tokenizer.ggml.add_sep_token", False)
    for name in sorted(needed - known):
        raise BadModelError(f"`tokenizer.ggml.{name}_token_id` is missing")
