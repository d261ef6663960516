"""The last check of every exit: these are the bytes that were permitted, for the model that was permitted."""

from __future__ import annotations

import hashlib
import hmac

from policies.types import Model
from router.errors import Denied
from router.types import Outgoing


def digest_of(body: bytes) -> bytes:
    """BLAKE2b-256 (RFC 7693), as permits hold it."""
    return hashlib.blake2b(body, digest_size=32).digest()


def require_permit(model: Model, outgoing: Outgoing) -> None:
    """Return if `outgoing` holds a permit for exactly these bytes and this model. Raises `Denied` otherwise."""
    permit = outgoing.permit
    if permit is None:
        raise Denied(f"Nothing may be sent to model `{model.name}` without a permit.")
    if type(outgoing.body) is not bytes:  # anything mutable could change after the check
        raise Denied(f"The body for model `{model.name}` is not immutable.")
    is_same_model = hmac.compare_digest(permit.model.encode(), model.name.encode())
    is_same_body = hmac.compare_digest(permit.digest, digest_of(outgoing.body))
    if not (is_same_model and is_same_body) or permit.payload == "none":
        raise Denied(f"The permit is not for these bytes and model `{model.name}`; nothing was sent.")
