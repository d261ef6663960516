"""Which backend serves a model: one line each. The only place that chooses."""

from __future__ import annotations

from policies.types import Model
from router.backends.base import Backend
from router.backends.cloud import CloudBackend
from router.backends.gated import GatedBackend
from router.backends.local import LocalBackend
from router.backends.local_server import LocalServer
from router.exits import Exits
from router.settings import Settings


def make_backend(
    model: Model, settings: Settings, lan_networks: tuple[str, ...] = (), exits: Exits | None = None
) -> Backend:
    """The backend of one model of a policy whose `networks.lan` are `lan_networks`. Opens nothing yet.

    `exits` is this process's kill switch; without one a backend outside has its own, of the settings' state folder.
    """
    if model.locality == "local":
        return LocalBackend(model, settings) if model.backend == "engine" else LocalServer(model, settings)
    return GatedBackend(_outside(model, settings, lan_networks), exits or Exits(settings.state_dir))


def _outside(model: Model, settings: Settings, lan_networks: tuple[str, ...]) -> Backend:
    if model.backend == "litellm":
        from router.backends.translated import LitellmBackend  # httpx and openai load only where they are needed

        return LitellmBackend(model, settings)
    return CloudBackend(model, settings, networks=lan_networks)
