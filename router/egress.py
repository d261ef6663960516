"""The only way out: what would leave is mapped to its target, serialised once, proven scanned, permitted; or it stays.

It sends nothing itself. A backend writes the bytes that come out of here, and only with the permit for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

import orjson

from classifiers.types import Scan, ScanRules, Signals
from classifiers.walk import strings_of
from policies.decide import permit
from policies.types import Decision, EgressPermit, Grant, Model, Policy
from router.backends.permits import digest_of
from router.embedding_fields import embedding_body
from router.errors import Denied
from router.fields import exit_body
from router.lockdown.exits import Exits
from router.pseudonyms.hiding import BodyScanner, Hidden, hide
from router.types import ChatRequest, JsonObject, Outgoing

# What the gateway itself adds to a body: never the caller's, so never scanned.
_OWN_WORDS = frozenset({"model", "stream", "stream_options", "include_usage", "encoding_format", "float"})


class TextScanner(BodyScanner, Protocol):
    """What egress needs of `classifiers.pipeline.Pipeline`."""

    async def scan_texts(self, texts: list[str], rules: ScanRules, tenant: str) -> Scan:
        """Findings and unknowns of loose texts; errors come back as unknowns."""
        ...


class Egress:
    """Makes permitted bytes of a request. Stateless beyond its scanner and the kill switch."""

    def __init__(self, scanner: TextScanner, exits: Exits | None = None) -> None:
        """`exits`: whether anything may leave now; without them nothing is ever locked (tests)."""
        self._scanner = scanner
        self._exits = exits

    async def prepare(
        self, request: ChatRequest, decision: Decision, policy: Policy, signals: Signals, grant: Grant
    ) -> Outgoing:
        """The bytes for the grant's target, with the permit for exactly them.

        Raises `Denied` when the policy withholds the permit, `Locked` while an admin has locked all exits,
        `InvalidRequest` for a field that the target cannot take.
        """
        model = policy.models[grant.model]
        if model.locality == "local":
            raise Denied(f"Model `{model.name}` is local: there is no exit to it.")
        if grant.payload == "none":
            raise Denied("A grant of nothing lets nothing leave.")
        ignored: tuple[str, ...] = ()
        if request.task == "embeddings":
            body = embedding_body(request.body, model)
        else:
            body, ignored = exit_body(request.body, model, stream=request.stream)
        scan, tenant, hidden = signals.scan, request.principal.tenant, None
        if grant.payload == "pseudonymized":
            hidden = await hide(self._scanner, body, scan, policy, decision.sensitivity, model, tenant)
            body, scan = hidden.body, hidden.scan
        written = _serialise(body, model)
        scan = await self._proven(body, model, scan, policy, tenant, hidden)
        if self._exits is not None:
            self._exits.require_open(tenant)  # after everything that may take time
        given = permit(policy, decision, grant, digest_of(written), scan)
        if not isinstance(given, EgressPermit):
            raise Denied(given.message, status=given.status, code=given.code, should_retry=given.should_retry)
        pseudonyms = hidden.pseudonyms if hidden else None
        return Outgoing(written, request.stream, given, request.id, request.task, ignored, pseudonyms, tenant)

    def require_open(self, outgoing: Outgoing) -> None:
        """Return if its tenant's exits are open. Raises `Locked`."""
        if self._exits is not None:
            self._exits.require_open(outgoing.tenant)

    async def _proven(
        self, body: JsonObject, model: Model, scan: Scan, policy: Policy, tenant: str, hidden: Hidden | None
    ) -> Scan:
        """The scan, extended until every string of the body has been seen by it."""
        unseen = list(dict.fromkeys(_unseen(body, model, scan, hidden.own if hidden else frozenset())))
        if not unseen:
            return scan
        more = await self._scanner.scan_texts(unseen, policy.scan_rules, tenant)
        if not more.texts.issuperset(unseen):
            raise Denied(
                "A part of this request could not be checked, so it may not leave.", code="unscannable_content"
            )
        return replace(
            scan,
            findings=scan.findings + more.findings,
            unknowns=scan.unknowns + more.unknowns,
            texts=scan.texts | more.texts,
        )


def _serialise(body: JsonObject, model: Model) -> bytes:
    """One JSON text; for litellm the canonical one (sorted keys) of its keyword arguments."""
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS if model.backend == "litellm" else 0)


def _unseen(body: JsonObject, model: Model, scan: Scan, own: frozenset[str]) -> Iterator[str]:
    seen = scan.texts
    for text in strings_of(body):
        if text not in seen and text not in _OWN_WORDS and text not in own and text != model.model:
            yield text
