"""TLS as a policy names it: a private authority, a client certificate. Without them, the system's trust and no less."""

from __future__ import annotations

import ssl

from policies.types import Model


def context_for(model: Model) -> ssl.SSLContext | bool:
    """A context, or True for the default one. Raises `OSError` (`ssl.SSLError` is one) for unreadable files."""
    if model.ca_file is None and model.client_cert_file is None:
        return True
    context = ssl.create_default_context(cafile=model.ca_file)
    if model.client_cert_file is not None:
        context.load_cert_chain(model.client_cert_file)
    return context
