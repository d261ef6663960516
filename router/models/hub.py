"""Fetches one file from a model hub through huggingface_hub: resumed where it broke, as the bytes of one commit.

The only importer of huggingface_hub, which is loaded only here, with its telemetry off. It honours HF_ENDPOINT,
HF_TOKEN and HF_HUB_OFFLINE, and judges nothing: digests are compared by the caller.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from router.settings import set_for_library

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MARGIN_BYTES = 64 << 20  # disk space to leave free

OnProgress = Callable[[int, int], None]  # bytes so far, bytes in all


class HubError(Exception):
    """The hub cannot be reached, or does not give the file. The message says which."""


class RevisionGoneError(HubError):
    """The hub has the repository, and not the commit that was asked for."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file as the hub announces it. `sha256` is what the hub says itself; None for a file it keeps in git."""

    url: str
    revision: str  # the commit
    size: int
    sha256: str | None


def look_up(repository: str, file: str, revision: str | None, endpoint: str | None = None) -> HubFile:
    """What the hub has under this name at `revision`, None being its newest. Raises HubError."""
    hub = _library()
    url = hub.hf_hub_url(repository, file, revision=revision, endpoint=endpoint)
    with _translated(repository, file):
        found = hub.get_hf_file_metadata(url, endpoint=endpoint)
        if not found.commit_hash or found.size is None:
            raise HubError(f"{url} does not answer as a model hub does; see HF_ENDPOINT")
    digest = found.etag if found.etag and _SHA256.fullmatch(found.etag) else None
    pinned = hub.hf_hub_url(repository, file, revision=found.commit_hash, endpoint=endpoint)
    return HubFile(pinned, found.commit_hash, found.size, digest)


def fetch(found: HubFile, part: Path, on_progress: OnProgress) -> None:
    """Download `found` into `part`, going on where an earlier attempt stopped. Raises HubError.

    What has arrived stays in `part` when it breaks; the caller names `part` after what is expected, so that two
    different files are never joined.
    """
    hub = _library()
    have = part.stat().st_size if part.exists() else 0
    if have > found.size:
        part.unlink()
        have = 0
    _require_space(part.parent, found.size - have)
    headers = hub.build_hf_headers()
    with part.open("ab") as file, _translated(found.url, part.name):
        hub.http_get(
            found.url,
            file,
            resume_size=have,
            headers=headers,
            expected_size=found.size,
            tqdm_class=_progress_class(on_progress, found.size),
        )


def _require_space(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size + _MARGIN_BYTES:
        raise HubError(f"{size / 1e9:.2f} GB are needed in {folder}, and {free / 1e9:.2f} GB are free")


class _Library:
    """The functions of huggingface_hub that are used here."""

    def __init__(self) -> None:
        set_for_library({"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"})
        import huggingface_hub
        from huggingface_hub import file_download
        from huggingface_hub.utils import logging

        logging.set_verbosity(40)  # errors only: it repeats what our own errors say
        self.hf_hub_url = huggingface_hub.hf_hub_url
        self.get_hf_file_metadata = huggingface_hub.get_hf_file_metadata
        self.build_hf_headers = huggingface_hub.utils.build_hf_headers  # type: ignore[attr-defined]  # not in __all__
        self.http_get = file_download.http_get


def _library() -> _Library:
    return _Library()


@contextlib.contextmanager
def _translated(repository: str, file: str) -> Iterator[None]:
    """Turns the library's errors, and those of the HTTP client below it, into HubError."""
    import httpx
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError:
        raise HubError(
            f"{repository} is gated: accept its licence on the hub's page, then set HF_TOKEN to a token of that account"
        ) from None
    except errors.RevisionNotFoundError:
        raise RevisionGoneError(f"{repository} does not have the commit that the catalogue names") from None
    except (errors.RepositoryNotFoundError, errors.EntryNotFoundError):
        raise HubError(f"the hub does not have {file} in {repository}, or shows it only to some (HF_TOKEN)") from None
    except errors.OfflineModeIsEnabled:
        raise HubError("HF_HUB_OFFLINE is set, so no hub is asked") from None
    except errors.HfHubHTTPError as error:
        raise HubError(f"the hub answered {error.response.status_code}") from None
    except errors.FileMetadataError:
        raise HubError("what answered is not a model hub; see HF_ENDPOINT") from None
    except httpx.HTTPError as error:
        raise HubError(f"the hub cannot be reached ({type(error).__name__})") from None
    except OSError as error:
        raise HubError(
            f"the transfer did not end well: {error.strerror or 'fewer bytes came than were announced'}"
        ) from None


def _progress_class(report: OnProgress, total: int) -> type[Any]:
    """What huggingface_hub takes for a progress bar: it hands every count on to `report`."""

    class Reporting:
        def __init__(self, *_arguments: object, initial: int = 0, **_options: object) -> None:
            self._done = initial  # 0 where the hub sends the whole file although the rest was asked for
            report(initial, total)

        def update(self, count: float | None = 1) -> None:
            self._done += int(count or 0)
            report(self._done, total)

        def __enter__(self) -> Reporting:
            return self

        def __exit__(self, *_exception: object) -> None:
            pass

        def close(self) -> None:
            pass

    return Reporting
