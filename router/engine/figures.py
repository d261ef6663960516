"""What a lane counts: the figures of one model behind `/stats`. No content."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class LaneFigures:
    """Counters since the model was loaded (`…_total`) and the present state. Seconds, tokens, requests."""

    waiting: int = 0
    running: int = 0
    slots: int = 0
    queue_tokens: int = 0
    requests_total: int = 0
    cancelled_total: int = 0
    refused_total: int = 0
    expired_total: int = 0
    wait_seconds_total: float = 0.0
    first_tokens_total: int = 0
    first_token_seconds_total: float = 0.0
    prompt_tokens_total: int = 0  # decoded; reused ones are `prefix_tokens_total`
    prefill_seconds_total: float = 0.0
    decoded_tokens_total: int = 0
    decode_seconds_total: float = 0.0
    steps_total: int = 0
    batched_tokens_total: int = 0
    prefix_hits_total: int = 0
    prefix_tokens_total: int = 0
    speculated_total: int = 0
    accepted_total: int = 0
    sampling_seconds_total: float = 0.0
    # What a step costs now, as learned: of a pass, and of each token in it; 0 until something was decoded.
    pass_seconds: float = 0.0
    answer_token_seconds: float = 0.0
    prompt_token_seconds: float = 0.0

    def count_step(self, read: int, said: int, seconds: float) -> None:
        """One step of so many prompt tokens and so many of answers."""
        count = read + said
        self.steps_total += 1
        self.batched_tokens_total += count
        self.prompt_tokens_total += read
        self.prefill_seconds_total += seconds * read / count
        self.decode_seconds_total += seconds * said / count
