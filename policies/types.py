"""The nouns of policy: what an admin wrote, compiled; what is known of a request; what was decided and permitted.

Frozen values without logic. Only `policies.decide.permit` constructs an `EgressPermit`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum
from typing import Literal, NamedTuple

from classifiers.frozen import quickly_made
from classifiers.types import ScanRules, Signal
from policies.allowances import Budgets, Rates
from policies.escalation import NO_ESCALATION, EscalationPolicy, StreamMode
from policies.serving import IN_ANY_TIME, Serving

Locality = Literal["local", "lan", "cloud"]
Route = Literal["local", "lan", "cloud", "refused"]
Payload = Literal["none", "pseudonymized", "full"]
BackendKind = Literal["engine", "openai", "litellm"]
Operator = Literal["at_least", "at_most", "in", "is"]
CacheMode = Literal["off", "exact", "semantic"]
History = Literal["keep_local", "drop_turns"]
Notice = Literal["none", "field", "text"]
# Why a request inherits a level: an answer that it holds, marks that had to be forgotten, or nobody to ask for them.
TaintSource = Literal["", "answer", "forgotten", "unavailable"]
GoodAt = tuple[tuple[str, frozenset[str]], ...]  # (domain or task, its labels)


class Level(IntEnum):
    """Sensitivity, ordered: a higher level may never reach what a lower one may not."""

    PUBLIC = 0
    INTERNAL = 1
    CONFIDENTIAL = 2
    RESTRICTED = 3

    @property
    def word(self) -> str:
        """The level as it stands in YAML, headers and records."""
        return ("public", "internal", "confidential", "restricted")[self]  # an enum's own `name` takes far longer


@dataclass(frozen=True, slots=True)
class Price:
    """USD for a million tokens."""

    input_per_1m: float
    output_per_1m: float


@dataclass(frozen=True, slots=True)
class Model:
    """One model that the policy names; `name` is the policy's word for it, `model` the backend's."""

    name: str
    locality: Locality
    backend: BackendKind
    model: str
    base_url: str | None = None
    region: str | None = None
    attributes: frozenset[str] = frozenset()
    api_key_env: str | None = None
    api_key_file: str | None = None
    context: int = 8192  # tokens, prompt and answer together
    capabilities: frozenset[str] = frozenset()
    states_capabilities: bool = False  # the policy itself names them; else they are its backend's usual ones
    price: Price | None = None
    proxy: str | None = None
    ca_file: str | None = None
    client_cert_file: str | None = None
    timeout_seconds: float = 120.0
    first_token_seconds: float | None = None  # of a stream; None: as the operator's settings say
    good_at: GoodAt = ()  # of a local model: what it is preferred for


@dataclass(frozen=True, slots=True)
class Leaf:
    """`{signal: {operator: value}}`."""

    signal: str
    operator: Operator
    value: float | bool | str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """`all` or `any` over leaves and conditions, to depth 4. Three-valued: an unavailable signal is unknown."""

    kind: Literal["all", "any"]
    parts: tuple[Leaf | Condition, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """What conditions are asked about. `numbers` has every signal that is there and a number, but NaN, once more."""

    signals: Mapping[str, Signal]
    numbers: Mapping[str, float]
    level: Level  # of the request


# A compiled condition; None: unknown, a signal was unavailable.
Test = Callable[[Measured], bool | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of `decisions`: exactly one of `route` (a locality or a model's name) and `forbid` is set.

    `test`, `reads`, `demands` and `unmatched` are `when` made ready by `policies.conditions.ready`, to decide in
    microseconds: whoever replaces `test` says what the new one demands.
    """

    name: str
    priority: int
    when: Condition | None
    route: str | None = None
    forbid: frozenset[str] = frozenset()
    fallback: tuple[str, ...] | None = None  # of a route: localities or models; None: what `defaults` says
    cache: CachePolicy | None = None  # of a route; None: the policy's
    cel: str | None = None  # a condition in CEL that must hold beside `when`
    serving: Serving | None = None  # of a route; None: the policy's
    limits: Limits | None = None  # of a route; each number that is None is the policy's
    retention_days: int | None = None  # of a route: its requests' records are kept no longer; None: as the policy's are
    escalation: EscalationPolicy | None = None  # of a route home: what may follow its answers; None: nothing outside
    test: Test | None = field(default=None, compare=False, repr=False)
    reads: tuple[str, ...] = field(default=(), compare=False, repr=False)  # the signals that `when` names
    demands: tuple[Leaf, ...] = field(default=(), compare=False, repr=False)  # each must hold for `test` to hold
    unmatched: Reason | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class EgressRule:
    """What may leave at one level. A level without one stays."""

    payload: Payload
    localities: frozenset[Locality] = frozenset({"cloud"})
    regions: frozenset[str] | None = None  # None: any region
    require: frozenset[str] = frozenset()
    meaning_may_leave: frozenset[str] = frozenset()  # meanings that `pseudonymized` lets out; any other stays


@dataclass(frozen=True, slots=True)
class Loosening:
    """One thing that a policy lets pass although detectors or caution would hold it back. Never holds a value."""

    path: str  # as `sensitivity.exceptions[0]`
    what: str
    reason: str
    expires: date | None = None


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """Whether, for which questions and for how long answers are kept."""

    mode: CacheMode = "off"
    ttl_seconds: int = 3600
    similarity: float = 0.95  # semantic: how near two questions must be


@dataclass(frozen=True, slots=True)
class Limits:
    """How big a request may be; None: as big as its model takes."""

    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    max_messages: int | None = None
    max_tools: int | None = None


@dataclass(frozen=True, slots=True)
class ReleaseRule:
    """Which held requests may leave whole, once, with consent: the user's own, or another one's."""

    levels: frozenset[Level]
    by: Literal["user", "approver"]
    ttl_seconds: int
    groups: frozenset[str] | None = None  # of the keys that are offered it; None: of all


@dataclass(frozen=True, slots=True)
class ToolRule:
    """Which tools a request from `level` on may offer outside. Patterns may end in `*`."""

    level: Level
    allow: frozenset[str] | None  # these and no others; None: any
    forbid: frozenset[str]


@dataclass(frozen=True, slots=True)
class ToolPolicy:
    """Which tools may be offered: `forbid` to no model at all, `outside` by the request's level."""

    forbid: frozenset[str] = frozenset()
    outside: Mapping[Level, tuple[ToolRule, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy, compiled and checked. `digest` is the SHA-256 (hex) of the file's canonical content."""

    version: int
    digest: str
    source: str
    mode: Literal["enforce", "shadow"]
    models: Mapping[str, Model]
    default_local: str
    default_cloud: str | None
    default_fallback: tuple[str, ...] = field(default=(), kw_only=True)  # who answers where a model outside fails
    aliases: tuple[tuple[str, str], ...]  # (pattern, `*` at its end at most; target), the most specific first
    lan_networks: tuple[str, ...]
    levels: Mapping[str, Level]  # entity, dictionary or pattern name -> level; unlisted counts as confidential
    min_score: Mapping[str, float]
    on_unknown: Mapping[str, Level]  # unknown kind -> level; unlisted counts as restricted
    scan_rules: ScanRules
    egress: Mapping[Level, EgressRule]
    rules: tuple[Rule, ...]  # by falling priority
    escalation: EscalationPolicy
    cache: CachePolicy
    tools: ToolPolicy = field(default_factory=ToolPolicy)
    limits: Limits = field(default_factory=Limits)
    audit: Literal["best_effort", "required"] = "best_effort"
    on_pinned_denied: Literal["refuse", "local"] = "refuse"
    fallback_local_unavailable: Literal["refuse", "cloud"] = "refuse"
    headers_after_seconds: float = 10.0
    default_serving: Serving = IN_ANY_TIME
    price_per_kwh: float | None = None  # USD; None: energy is not priced
    retention_days: int | None = None  # decision records older than this are deleted; None: none are
    notice: Notice = "none"  # what an answer that was kept at home says of it
    notice_by_key: Mapping[str, Notice] = field(default_factory=dict)  # public id of a key -> the same for it
    history: History = "keep_local"  # when only earlier turns are sensitive
    kept_in: Literal["file", "store"] = "file"  # where the policy in force comes from
    approvals_loosening: int = 0  # how many must approve a change that may let more out
    rates: Rates | None = None  # how much may be asked for; None: as much as comes
    budgets: Budgets | None = None  # what models outside may cost; None: not limited
    release: ReleaseRule | None = None  # None: what is held stays held
    reads: frozenset[str] = frozenset()  # the signals that anything in it depends on
    warnings: tuple[str, ...] = ()
    loosenings: tuple[Loosening, ...] = ()
    next_expiry: date | None = None  # the first day on which less is let pass than today
    tenant: str = ""  # whose view of the policy this is; "": everybody's whom `tenants` does not name
    tenants: Mapping[str, Policy] = field(default_factory=dict, repr=False)  # the views of those who have their own
    parsed: str = field(default="", compare=False, repr=False)  # what the files say, as JSON: `compile_parsed` reads it
    # What `policies.prepared` has made of all this, once it was asked for; empty in every copy.
    prepared: list[object] = field(default_factory=list, init=False, compare=False, repr=False)

    @property
    def has_pseudonyms(self) -> bool:
        """Whether anything may leave with placeholders."""
        return any(rule.payload == "pseudonymized" for rule in self.egress.values())

    @property
    def label(self) -> str:
        """What `x-gatehouse-policy` and records say: the version and the start of the digest."""
        return f"{self.version}-{self.digest[:12]}"


class Inherited(NamedTuple):
    """What one message of a body brings in from the answer that it holds; message -1: another part of the body."""

    message: int
    level: Level
    kept: Level  # that part of it which no placeholder can stand for


@dataclass(frozen=True, slots=True)
class Release:
    """Consent to let one request leave whole, once, to this model, as long as it is no more than this level."""

    id: str
    model: str
    level: Level
    until: float = 0.0  # Unix time; whoever spends it looks, for whoever decides has no clock


@quickly_made
@dataclass(frozen=True, slots=True)
class Facts:
    """What `decide` knows of a request beside its signals: shapes and sizes, never text."""

    tenant: str = "default"
    requested: str = "auto"  # the model's name as the caller wrote it
    local_only: bool = False  # x-gatehouse-privacy: local-only
    stream: bool = False
    needs: frozenset[str] = frozenset()  # capabilities: tools, json_mode, json_schema, vision, audio, n, logprobs, …
    hints: frozenset[str] = frozenset()  # fields that a backend may lack without harm
    unknown_fields: frozenset[str] = frozenset()  # may go to the cloud, are a 400 for a local model
    messages: int = 0
    tools: tuple[str, ...] = ()  # the names of those that it offers, as the caller wrote them: never written down
    input_tokens: int = 0  # an estimate that errs high
    output_tokens: int = 0  # what the caller asked for at most; 0: not said
    bounded: bool = False  # the caller named no bound: `output_tokens` is the policy's own
    unavailable: Mapping[str, str] | None = None  # model's name -> `missing_key`, `local_down`, …
    no_store: bool = False
    replaceable: frozenset[int] = frozenset()  # the scan's findings, by index, that a placeholder can stand for
    taint: Level = Level.PUBLIC  # what the request inherits from the answers that it holds
    taint_kept: Level = Level.PUBLIC  # that part of it which no placeholder can stand for
    taint_source: TaintSource = ""
    taint_at: tuple[str, ...] = ()  # pointers to the parts that brought it in
    answered_by: tuple[str, ...] = ()  # models that have answered this conversation lately, the farthest first
    locked: bool = False  # an admin has locked all exits for this tenant: everything stays
    release: Release | None = None  # that the caller brought; its token was checked against this very request
    waits: Mapping[str, float] | None = None  # local model's name -> ms until its whole answer would be there, if known


class Reason(NamedTuple):
    """One line of the explanation; made by the evaluator that decided."""

    rule: str
    matched: bool | None  # None: unknown, a signal was unavailable
    why: str


class Candidate(NamedTuple):
    """One model as `decide` saw it."""

    model: str
    lawful: bool
    able: bool
    why: tuple[str, ...]  # what forbids it or what it lacks; empty for a lawful and able one


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to ask for a permit: this target, this payload level, because of this rule, under this policy."""

    model: str
    payload: Payload
    rule: str
    policy_digest: str
    purpose: Literal["answer", "escalation", "fallback"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request or an exit is refused; `message` names the fix and holds no content."""

    code: str
    status: int
    message: str
    should_retry: bool = False


@quickly_made
@dataclass(frozen=True, slots=True)
class Decision:
    """The whole plan for a request, with its reasons; made once."""

    route: Route
    model: str | None  # the policy's name; None when refused
    rule: str  # the deciding rule's name, or "" when none decided
    reason: str  # the header's word: a rule's name, default, pinned, sensitivity, capability
    payload: Payload
    sensitivity: Level
    policy_digest: str
    grants: tuple[Grant, ...] = ()
    escalation: Grant | None = None  # set when a local answer may escalate; also in `grants`
    further: tuple[Grant, ...] = ()  # who is asked, in this order, where that one cannot answer; also in `grants`
    threshold: float = 0.0
    stream: StreamMode = "before"
    terms: EscalationPolicy = NO_ESCALATION  # by which an answer at home is judged, where it is
    via: str | None = None  # the local model that is asked where the first one's answer is not good enough
    races: bool = False  # the escalation is asked for at once, beside the local model
    fallback: Grant | None = None  # set when the policy lets an unavailable local model fall back; also in `grants`
    after: tuple[str, ...] = ()  # models tried when the one outside fails before its first byte; exits are in `grants`
    serving: Serving = IN_ANY_TIME
    held: str | None = None  # the route rule that would have sent an `auto` request out, had that been lawful
    cacheable: bool = False
    cache_seconds: int = 0  # how long an answer is kept if it is
    cache_similarity: float | None = None  # how near another question must be; None: only the very same request counts
    max_output_tokens: int | None = None  # the rule's bound on an answer for which the caller names none
    refusal: Refusal | None = None
    candidates: tuple[Candidate, ...] = ()
    reasons: tuple[Reason, ...] = ()
    shadow_route: str | None = None  # mode shadow: what `decisions` would have done
    tenant: str = ""  # whose view of the policy decided
    release: Release | None = None  # that some of the grants may need; spent when one of them does

    @property
    def hops(self) -> tuple[Grant, ...]:
        """Who is asked when a local answer is not good enough, in this order, until one answers."""
        return (self.escalation, *self.further) if self.escalation is not None else ()


@dataclass(frozen=True, slots=True)
class EgressPermit:
    """Leave for exactly one target and one byte string. Constructed by `policies.decide.permit` and nowhere else."""

    model: str
    payload: Payload
    digest: bytes  # BLAKE2b-256 of the bytes that may be written
    rule: str
    policy_digest: str
    purpose: Literal["answer", "escalation", "fallback"]
    release: Release | None = None  # without which it would not have been given: spent before the first byte
