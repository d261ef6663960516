"""Every exit needs a permit for the very bytes that are written; without it, nothing is."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from policies.types import Model
from router.backends.cloud import CloudBackend
from router.backends.permits import digest_of
from router.errors import Denied, UpstreamError
from router.settings import Settings
from router.types import Outgoing
from tests.backends.conftest import MakeModel, outgoing, permit
from tests.support.certificates import Certificates
from tests.support.recorder import Recorder


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


def _other_bytes(model: Model, body: bytes) -> Outgoing:
    return Outgoing(body + b" ", stream=False, permit=permit(model, body))


def _one_bit(model: Model, body: bytes) -> Outgoing:
    digest = digest_of(body)
    return Outgoing(body, stream=False, permit=permit(model, body, digest=bytes([digest[0] ^ 1]) + digest[1:]))


def _short_digest(model: Model, body: bytes) -> Outgoing:
    return Outgoing(body, stream=False, permit=permit(model, body, digest=digest_of(body)[:16]))


def _other_model(model: Model, body: bytes) -> Outgoing:
    return Outgoing(body, stream=False, permit=permit(replace(model, name="another"), body))


def _no_payload(model: Model, body: bytes) -> Outgoing:
    return Outgoing(body, stream=False, permit=permit(model, body, payload="none"))


def _mutable(model: Model, body: bytes) -> Outgoing:
    changing: Any = bytearray(body)
    return Outgoing(changing, stream=False, permit=permit(model, body))


def _no_permit(model: Model, body: bytes) -> Outgoing:
    return Outgoing(body, stream=False)


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(
    "forge", [_no_permit, _other_bytes, _one_bit, _short_digest, _other_model, _no_payload, _mutable]
)
async def test_a_permit_that_is_not_for_these_bytes_and_this_model_writes_nothing(
    cloud_model: MakeModel,
    settings: Settings,
    upstream: Recorder,
    forge: Callable[[Model, bytes], Outgoing],
    is_stream: bool,
) -> None:
    model = cloud_model()
    backend = CloudBackend(model, settings)
    forged = forge(model, outgoing().body)
    with pytest.raises(Denied):
        await (backend.open_stream(forged) if is_stream else backend.complete(forged))
    await backend.close()
    assert upstream.connections == 0


async def test_a_permit_lets_exactly_its_bytes_out(
    cloud_model: MakeModel, settings: Settings, upstream: Recorder
) -> None:
    model = cloud_model()
    backend = CloudBackend(model, settings)
    request = outgoing(permit_for=model)
    await backend.complete(request)
    await backend.close()
    assert [exchange.body for exchange in upstream.exchanges] == [request.body]


@pytest.mark.parametrize("key", ["", "with\nnewline", "ключ"])
async def test_a_missing_or_broken_key_is_named_and_nothing_is_written(
    cloud_model: MakeModel, settings: Settings, upstream: Recorder, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("CLOUD_KEY", key)
    model = cloud_model(api_key_env="CLOUD_KEY")
    backend = CloudBackend(model, settings)
    with pytest.raises(UpstreamError, match="CLOUD_KEY"):
        await backend.complete(outgoing(permit_for=model))
    with pytest.raises(UpstreamError, match="CLOUD_KEY"):
        await backend.self_test()
    await backend.close()
    assert upstream.connections == 0


async def test_the_self_test_of_an_exit_sends_nothing(
    cloud_model: MakeModel, settings: Settings, upstream: Recorder
) -> None:
    backend = CloudBackend(cloud_model(), settings)
    await backend.self_test()
    await backend.close()
    assert upstream.connections == 0


async def test_an_unknown_certificate_is_refused_and_a_named_authority_is_trusted(
    cloud_model: MakeModel, settings: Settings, certificates: Certificates
) -> None:
    upstream = Recorder(tls=certificates.server_context())
    async with upstream:
        url = f"https://localhost:{upstream.port}/v1"
        distrusting = CloudBackend(cloud_model(base_url=url), settings)
        with pytest.raises(UpstreamError, match="TLS"):
            await distrusting.complete(outgoing(permit_for=distrusting.model))
        trusting = CloudBackend(cloud_model(base_url=url, ca_file=str(certificates.authority)), settings)
        await trusting.complete(outgoing(permit_for=trusting.model))
        assert len(upstream.exchanges) == 1
        await distrusting.close()
        await trusting.close()


async def test_a_client_certificate_is_shown_to_an_upstream_that_wants_one(
    cloud_model: MakeModel, settings: Settings, certificates: Certificates
) -> None:
    context = certificates.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates.authority)
    async with Recorder(tls=context) as upstream:
        files = {"ca_file": str(certificates.authority), "client_cert_file": str(certificates.client)}
        model = cloud_model(base_url=f"https://localhost:{upstream.port}/v1", **files)
        backend = CloudBackend(model, settings)
        await backend.complete(outgoing(permit_for=model))
        bare = CloudBackend(replace(model, client_cert_file=None), settings)
        with pytest.raises(UpstreamError):
            await bare.complete(outgoing(permit_for=model))
        await backend.close()
        await bare.close()


async def test_certificate_files_that_cannot_be_read_are_an_upstream_error(
    cloud_model: MakeModel, settings: Settings, tmp_path: Path
) -> None:
    model = cloud_model(ca_file=str(tmp_path / "absent.pem"))
    backend = CloudBackend(model, settings)
    with pytest.raises(UpstreamError, match="certificate file"):
        await backend.complete(outgoing(permit_for=model))
    await backend.close()
