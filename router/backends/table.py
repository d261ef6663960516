"""Which backend serves a model: one line each. The only place that chooses."""

from __future__ import annotations

from policies.types import Model
from router.backends.base import Backend
from router.backends.cloud import CloudBackend
from router.backends.local import LocalBackend
from router.backends.local_server import LocalServer
from router.settings import Settings


def make_backend(model: Model, settings: Settings, lan_networks: tuple[str, ...] = ()) -> Backend:
    """The backend of one model of a policy whose `networks.lan` are `lan_networks`. Opens nothing yet."""
    if model.locality == "local":
        return LocalBackend(model, settings) if model.backend == "engine" else LocalServer(model, settings)
    if model.backend == "litellm":
        from router.backends.translated import LitellmBackend  # httpx and openai load only where they are needed

        return LitellmBackend(model, settings)
    return CloudBackend(model, settings, networks=lan_networks)
