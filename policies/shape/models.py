"""The shape of `models`, `defaults` and `networks`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from policies.good_at import GoodAtPart
from policies.shape.part import Part
from policies.shape.serving import DeadlinePart
from policies.shape.words import Address, FilePath, Locality, ModelName, Variable, Word
from policies.vocabulary import CAPABILITIES


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
    first_token_seconds: float | None = Field(
        default=None, gt=0, le=3600, allow_inf_nan=False, description="For a stream's first token, of this model."
    )
    timeout_seconds: float = Field(default=120.0, gt=0, le=3600, allow_inf_nan=False, description="For a whole answer.")


class DefaultsPart(Part):
    """Which model a bare locality means first."""

    local: ModelName = Field(description="The model that answers when no rule says otherwise.")
    cloud: ModelName | None = Field(default=None, description="The cloud model that is tried first.")
    fallback: list[ModelName] = Field(
        default=[], max_length=16, description="Who is asked, in this order, when a model outside fails; else nobody."
    )
    deadline: DeadlinePart | None = Field(
        default=None, description="How long a request may take whose rule does not say; absent: as long as its model."
    )


class NetworksPart(Part):
    """Address ranges."""

    lan: list[Annotated[str, Field(max_length=50)]] = Field(
        default=[], description="CIDR ranges in which lan models may be."
    )
