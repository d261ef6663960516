"""Which backend serves a model: one line each. The only place that chooses."""

from __future__ import annotations

from policies.types import Model
from router.backends.base import Backend
from router.backends.circuit import Circuit
from router.backends.circuited import CircuitedBackend
from router.backends.cloud import CloudBackend
from router.backends.gated import GatedBackend, ReleaseGate
from router.backends.local import LocalBackend
from router.backends.local_server import LocalServer
from router.lockdown.exits import Exits
from router.settings import Settings


def make_backend(
    model: Model,
    settings: Settings,
    lan_networks: tuple[str, ...] = (),
    exits: Exits | None = None,
    circuit: Circuit | None = None,
    releases: ReleaseGate | None = None,
) -> Backend:
    """The backend of one model of a policy whose `networks.lan` are `lan_networks`. Opens nothing yet.

    `exits` is this process's kill switch; without one a backend outside has its own, of the settings' state folder.
    `circuit` is the model's breaker. The embedded engine has none: its supervisor knows how it stands.
    Without `releases` nothing leaves that would have to be released.
    """
    if model.backend == "engine":
        return LocalBackend(model, settings)
    circuit = circuit or Circuit()
    if model.locality == "local":
        return CircuitedBackend(LocalServer(model, settings), circuit)
    outside = CircuitedBackend(_outside(model, settings, lan_networks), circuit)
    return GatedBackend(outside, exits or Exits(settings.state_dir), releases)


def _outside(model: Model, settings: Settings, lan_networks: tuple[str, ...]) -> Backend:
    if model.backend == "litellm":
        from router.backends.translated import LitellmBackend  # httpx and openai load only where they are needed

        return LitellmBackend(model, settings)
    return CloudBackend(model, settings, networks=lan_networks)
