"""The shape of a policy file: every key with its type, bounds and description. Also the source of the JSON Schema.

It says what may be written, not whether it makes sense together: that is checked after it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from classifiers.types import UnknownKind
from policies.good_at import GoodAtPart
from policies.part import Part
from policies.vocabulary import CAPABILITIES

# Names that end up in headers, records and command lines: ASCII, so that no two can look alike.
NAME = r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,63}$"
RULE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
ENTITY = r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"
WORD = r"^[a-z0-9][a-z0-9._-]{0,31}$"
MEDIUM = 0.4  # the complexity from which a request is not easy, as `classifiers.complexity.band` has it
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]{0,127}$"
COUNTRY = r"^[A-Z]{2}$"
DOMAIN = r"^[a-z0-9-]+(\.[a-z0-9-]+)+$"
ALIAS = r"^[!-)+-~]*\*?$"
DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
HASH = r"^sha256:[A-Za-z0-9_-]{8,64}:[0-9a-f]{64}$"
DIGEST = r"^[0-9a-f]{8}:[0-9a-f]{32}$"

PATTERN_WORDS = {
    NAME: "up to 64 letters, digits and . _ : / @ + -, beginning with a letter or digit",
    RULE_NAME: "up to 64 letters, digits and . _ -, beginning with a letter or digit",
    ENTITY: "up to 64 letters, digits, _ and -, beginning with a letter",
    WORD: "up to 32 lower-case letters, digits and . _ -",
    VARIABLE: "the name of an environment variable, never the key itself",
    COUNTRY: "an ISO 3166 country code of two capital letters",
    DOMAIN: "a lower-case domain such as example.com",
    ALIAS: "a model name, with at most one * and that at its end",
    DATE: "a date such as 2027-01-31",
    HASH: "sha256:SALT:DIGEST, as `gatehouse policy hash` makes it",
    DIGEST: "what `gatehouse policy approve-text` wrote",
}

Locality = Literal["local", "lan", "cloud"]
LevelWord = Literal["public", "internal", "confidential", "restricted"]
Entity = Annotated[str, Field(pattern=ENTITY)]
Word = Annotated[str, Field(pattern=WORD)]
ModelName = Annotated[str, Field(pattern=NAME)]
Reason = Annotated[str, Field(min_length=3, max_length=500, description="Why; for those who read the policy later.")]
Unit = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Address = Annotated[str, Field(min_length=1, max_length=2000)]
FilePath = Annotated[str, Field(min_length=1, max_length=4000)]
Variable = Annotated[str, Field(pattern=VARIABLE)]
Hash = Annotated[str, Field(pattern=HASH)]
Regex = Annotated[str, Field(min_length=1, max_length=2000)]
Expiry = Annotated[
    str | None, Field(pattern=DATE, description="The first day (UTC) on which this no longer counts, as 2027-01-31.")
]


class PricePart(Part):
    """What a model costs."""

    input_per_1m: float = Field(ge=0, allow_inf_nan=False, description="USD for a million tokens of input.")
    output_per_1m: float = Field(ge=0, allow_inf_nan=False, description="USD for a million tokens of output.")


class ModelPart(Part):
    """One model."""

    locality: Locality = Field(
        description="local: this host (loopback or a unix socket). lan: a range of networks.lan. cloud: anywhere else."
    )
    backend: Literal["engine", "openai", "litellm"] = Field(
        description="engine: the embedded one. openai: any OpenAI-compatible server. litellm: other providers."
    )
    model: str = Field(min_length=1, max_length=200, description="The backend's own name for the model.")
    base_url: Address | None = Field(
        default=None, description="Where the server is: http(s)://HOST[:PORT]/PATH, or unix:///PATH for a local one."
    )
    region: Word | None = Field(default=None, description="Where the model runs; egress rules name regions.")
    attributes: list[Word] = Field(default=[], description="Promises of the provider that egress rules may require.")
    api_key_env: Variable | None = Field(default=None, description="The environment variable that holds the key.")
    api_key_file: FilePath | None = Field(
        default=None, description="The file that holds the key; read again on change."
    )
    context: int | None = Field(
        default=None,
        ge=1,
        le=100_000_000,
        description="Tokens, prompt and answer together. Default 8192; cloud 128000.",
    )
    capabilities: list[Literal[CAPABILITIES]] | None = Field(  # type: ignore[valid-type]  # a tuple of constants
        None, description="What the model can do. Default: what its backend usually can."
    )
    good_at: GoodAtPart | None = Field(default=None, description="Local models: for which requests it is preferred.")
    price: PricePart | None = Field(default=None, description="For the accounts; absent means not counted.")
    proxy: Address | None = Field(
        default=None, description="The one proxy for this model; environment proxies are ignored."
    )
    ca_file: FilePath | None = Field(default=None, description="Certificates to trust for this model, PEM.")
    client_cert_file: FilePath | None = Field(default=None, description="Certificate and key to present, PEM.")
    timeout_seconds: float = Field(default=120.0, gt=0, le=3600, allow_inf_nan=False, description="For a whole answer.")


class DefaultsPart(Part):
    """Which model a bare locality means first."""

    local: ModelName = Field(description="The model that answers when no rule says otherwise.")
    cloud: ModelName | None = Field(default=None, description="The cloud model that is tried first.")


class NetworksPart(Part):
    """Address ranges."""

    lan: list[Annotated[str, Field(max_length=50)]] = Field(
        default=[], description="CIDR ranges in which lan models may be."
    )


class LevelsPart(Part):
    """Which entity means which level."""

    public: list[Entity] = Field(default=[], description="Not sensitive.")
    internal: list[Entity] = Field(default=[], description="The organisation's own, harmless alone.")
    confidential: list[Entity] = Field(default=[], description="What is not listed anywhere counts as this.")
    restricted: list[Entity] = Field(default=[], description="Never reaches a cloud.")


class ExceptionPart(Part):
    """What is not a finding here."""

    entity: Entity = Field(description="The entity type; never SECRET.")
    terms: list[Annotated[str, Field(min_length=1, max_length=500)]] | None = Field(
        default=None, min_length=1, description="The whole matched text must be one of these."
    )
    domains: list[Annotated[str, Field(pattern=DOMAIN, max_length=253)]] | None = Field(
        default=None, min_length=1, description="The matched address must be at one of these."
    )
    patterns: list[Regex] | None = Field(
        default=None, min_length=1, description="RE2; one of these must match the whole matched text."
    )
    hashes: list[Hash] | None = Field(
        default=None, min_length=1, description="For values that must not stand in a file: gatehouse policy hash."
    )
    reason: Reason
    expires: Expiry = None
    tenant: Annotated[str, Field(pattern=NAME)] | None = Field(
        default=None, description="Only for this tenant; absent: for all."
    )


class DictionaryPart(Part):
    """An exact list of terms of your own."""

    name: Entity = Field(description="What a hit is called: an entity type of its own.")
    level: LevelWord = Field(description="The level of a hit.")
    terms: list[Annotated[str, Field(min_length=2, max_length=500)]] | None = Field(
        default=None, min_length=1, max_length=20_000, description="Whole words, in any case."
    )
    hashes: list[Hash] | None = Field(
        default=None,
        min_length=1,
        max_length=20_000,
        description="For terms that must not stand in a file, all with one salt: gatehouse policy hash.",
    )
    words: int = Field(default=4, ge=1, le=8, description="How many words the longest of the hashed terms has.")


class PatternPart(Part):
    """A pattern of your own."""

    name: Entity = Field(description="What a hit is called: an entity type of its own.")
    level: LevelWord = Field(description="The level of a hit.")
    regex: str = Field(min_length=1, max_length=2000, description="RE2 syntax: no look-around, no back-references.")


class OnUnknownPart(Part):
    """What one kind of unreadable part counts as."""

    counts_as: LevelWord = Field(description="Its level; without this entry it is restricted.")
    reason: Reason


class ApprovedTextPart(Part):
    """A whole text that somebody has looked at; `gatehouse policy approve-text` writes it."""

    name: Annotated[str, Field(min_length=1, max_length=200)] = Field(description="What the text is; for readers.")
    digest: Annotated[str, Field(pattern=DIGEST)] = Field(
        description="Keyed with this installation's secret: nobody can try texts against it."
    )
    kind: Literal["system", "tool", "signature", "any"] = Field(
        description="Where the text may stand: system prompts, tools, sealed members, or anywhere."
    )
    reason: Reason
    approved: Annotated[str, Field(pattern=DATE)] = Field(description="When, as 2026-11-27.")
    expires: Expiry = None


class SensitivityPart(Part):
    """What makes a request sensitive."""

    levels: LevelsPart = Field(default=LevelsPart(), description="Which finding means which level.")
    min_score: dict[Entity, Unit] = Field(default={}, description="Findings below this score do not count.")
    exceptions: list[ExceptionPart] = Field(default=[], description="What is not a finding here, each with its reason.")
    dictionaries: list[DictionaryPart] = Field(default=[], description="Exact terms of your own.")
    patterns: list[PatternPart] = Field(default=[], description="RE2 patterns of your own.")
    countries: list[Annotated[str, Field(pattern=COUNTRY)]] = Field(
        default=[], description="Countries whose national ids are looked for, beside the usual ones."
    )
    on_unknown: dict[UnknownKind, OnUnknownPart] = Field(
        default={}, description="Kinds of unreadable parts that count as less than restricted."
    )


class MeaningPart(Part):
    """A meaning that does not keep a request at home."""

    entity: Entity = Field(description="The meaning of a whole segment, such as MEDICAL.")
    reason: Reason


class EgressRulePart(Part):
    """What may leave at one level."""

    payload: Literal["none", "pseudonymized", "full"] = Field(description="How much of the request may leave.")
    localities: list[Literal["lan", "cloud"]] = Field(default=["cloud"], min_length=1, description="Where it may go.")
    regions: list[Word] | None = Field(default=None, min_length=1, description="Regions it may go to; absent: any.")
    require: list[Word] = Field(default=[], description="Attributes that the model must have.")
    meaning_may_leave: list[MeaningPart] = Field(
        default=[], description="Meanings that may leave with payload pseudonymized; any other keeps the request."
    )


class EgressPart(Part):
    """What may leave; a level without an entry stays."""

    public: EgressRulePart | None = Field(default=None, description="For public requests.")
    internal: EgressRulePart | None = Field(default=None, description="For internal requests.")
    confidential: EgressRulePart | None = Field(default=None, description="For confidential requests.")
    restricted: EgressRulePart | None = Field(
        default=None, description="For restricted requests: lan at most, never cloud."
    )


class DecisionPart(Part):
    """One rule: exactly one of route and forbid."""

    name: Annotated[str, Field(pattern=RULE_NAME)] = Field(description="Stands in headers and records.")
    priority: int | None = Field(default=None, ge=0, le=1_000_000, description="Higher first; unique among routes.")
    when: Any = Field(default=None, description="all / any, to depth 4, over signals; absent: always.")
    route: ModelName | None = Field(default=None, description="local, lan, cloud or a model's name.")
    forbid: list[ModelName] | None = Field(
        default=None, min_length=1, description="lan, cloud, or names of models outside."
    )


class TargetPart(Part):
    """What escalation shall keep to: exactly one of the three. `gatehouse calibrate` makes it a threshold."""

    max_bad_local: Share | None = Field(
        default=None, description="Of the answers that stay at home at most this share is bad, with 95 % probability."
    )
    max_cloud_share: Share | None = Field(default=None, description="At most this share of judged answers escalates.")
    max_usd_per_month: float | None = Field(
        default=None, gt=0, le=1e9, allow_inf_nan=False, description="What escalations may cost in a month, USD."
    )


class AffinityPart(Part):
    """A conversation stays where it was answered."""

    minutes: float = Field(
        default=30.0, gt=0, le=1440, allow_inf_nan=False, description="For how long after its last answer."
    )


def _race_bound(value: Any) -> Any:
    """`true` is the bound of what is not easy, `false` no bound; anything else is checked as a number."""
    return (MEDIUM if value else None) if isinstance(value, bool) else value


def _unless_off(value: Any) -> Any:
    return None if value == "off" else value


class EscalationPart(Part):
    """When a local answer is handed on to the cloud."""

    threshold: float | None = Field(
        default=None, ge=0, le=1, allow_inf_nan=False, description="Confidence below it escalates; 0 never."
    )
    target: TargetPart | None = Field(default=None, description="In place of a threshold: what it shall keep to.")
    max_hops: int = Field(default=1, ge=0, le=1, description="How many times a request may escalate.")
    stream: Literal["before", "hold", "commit"] = Field(
        default="before",
        description="before: streams are decided from the signals alone. hold: judge the whole answer first. "
        "commit: judge its first tokens, then let it go for good.",
    )
    hold_tokens: int = Field(default=16, ge=1, le=512, description="commit: how many tokens are held back at most.")
    hold_ms: int = Field(default=1500, ge=10, le=60_000, description="commit: how many milliseconds at most.")
    deadline_ms: int | None = Field(None, ge=100, le=3_600_000, description="Slower at home than this: out at once.")
    race: Annotated[
        Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None,
        BeforeValidator(_race_bound),
        WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "number", "minimum": 0, "maximum": 1}]}),
    ] = Field(
        default=None,
        description="Ask the cloud at once, beside home, from this complexity on; true: 0.4. The loser is cancelled.",
    )
    second_look: Literal["none", "verify", "agreement"] = Field(
        default="none",
        description="Ask the local model again about a doubtful answer: whether it is right, or the same again.",
    )
    samples: int = Field(default=4, ge=2, le=8, description="agreement: how many answers are compared.")
    affinity: Annotated[
        AffinityPart | None,
        BeforeValidator(_unless_off),
        WithJsonSchema({"anyOf": [{"const": "off"}, AffinityPart.model_json_schema()]}),
    ] = Field(default=None, description="A conversation that was answered outside goes on there, where it may.")


class CachePart(Part):
    """Whether answers are kept."""

    mode: Literal["off", "exact"] = Field(description="exact: the very same request is answered from the cache.")
    ttl_seconds: int = Field(default=3600, ge=1, le=2_592_000, description="How long an answer is kept.")


class FallbackPart(Part):
    """What happens when something is not there."""

    local_unavailable: Literal["refuse", "cloud"] = Field(
        default="refuse", description="cloud: only where that is lawful."
    )


class EnergyPart(Part):
    """What the energy of local answers costs."""

    price_per_kwh: float = Field(ge=0, le=1000, allow_inf_nan=False, description="USD; savings are net of it.")


class PolicyFile(Part):
    """A Gatehouse policy: who may go where."""

    version: int = Field(ge=1, le=1_000_000_000, description="Your own number for this policy; shown in headers.")
    mode: Literal["enforce", "shadow"] = Field(
        default="enforce", description="shadow: answer auto at home, note what would have been; egress is enforced."
    )
    models: dict[ModelName, ModelPart] = Field(min_length=1, description="The models, by your names for them.")
    defaults: DefaultsPart = Field(description="Which model answers by default.")
    aliases: dict[Annotated[str, Field(pattern=ALIAS, min_length=1, max_length=64)], ModelName] = Field(
        default={}, description="Callers' model names, with * at the end if need be, and what they mean here."
    )
    networks: NetworksPart = Field(default=NetworksPart(), description="Address ranges.")
    sensitivity: SensitivityPart = Field(default=SensitivityPart(), description="What makes a request sensitive.")
    approved_texts: list[ApprovedTextPart] = Field(
        default=[], max_length=2000, description="Whole texts in which nothing but a SECRET is a finding."
    )
    egress: EgressPart = Field(default=EgressPart(), description="What may leave at each level.")
    decisions: list[DecisionPart] = Field(
        default=[], description="Forbids first, all of them; then the highest-priority lawful route; none: local."
    )
    escalation: EscalationPart = Field(
        default=EscalationPart(max_hops=0), description="When a doubtful answer is handed on."
    )
    cache: CachePart = Field(default=CachePart(mode="off"), description="Whether answers are kept.")
    energy: EnergyPart | None = Field(default=None, description="For the accounts; absent means energy has no price.")
    fallback: FallbackPart = Field(default=FallbackPart(), description="What happens when something is not there.")
    audit: Literal["best_effort", "required"] = Field(
        default="best_effort", description="required: nothing leaves before its record is durable."
    )
    on_pinned_denied: Literal["refuse", "local"] = Field(
        default="refuse", description="For a model that is asked for and may not be used: refuse, or answer at home."
    )
    history: Literal["keep_local", "drop_turns"] = Field(
        default="keep_local",
        description="When only earlier turns are sensitive: keep the request, or drop those turns from what leaves.",
    )
    headers_after: float = Field(
        default=10.0, gt=0, le=300, allow_inf_nan=False, description="Seconds that a held stream's headers may wait."
    )


# Keys and values that the language will have and that nothing implements yet: refused, never ignored.
LATER_KEYS: dict[type[Part], frozenset[str]] = {
    PolicyFile: frozenset(
        {"extends", "probes", "tenants", "limits", "budgets", "retention", "release", "notice"}
        | {"approvals", "policy"}
    ),
    DecisionPart: frozenset({"cache", "tools", "cel", "deadline", "fallback", "retention"}),
    CachePart: frozenset({"similarity", "threshold"}),
}
LATER_VALUES = frozenset({("cache", "mode", "semantic")})
