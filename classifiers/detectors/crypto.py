"""Addresses of crypto currencies, and their private keys, by checksum or by an unmistakable form. Never a hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from stdnum.bitcoin import b58decode, bech32_checksum

from classifiers.detectors.base import Piece, pattern
from classifiers.types import Match

_B58 = "[1-9A-HJ-NP-Za-km-z]"
_BASE58 = pattern(f"\\b[13LMDTXA9t5KLc]{_B58}{{24,51}}\\b")
_BECH32 = pattern(
    "(?i)\\b(?:bc|tb|bcrt|ltc|tltc|addr|stake|cosmos|osmo|bitcoincash|nostr|npub|nsec|lnbc|zs|inj|terra|celestia)1[02-9ac-hj-np-z]{20,110}\\b"
)
_HEX = pattern("\\b0x[0-9a-fA-F]{40}\\b")
_OTHER = pattern(
    f"\\b4[0-9AB]{_B58}{{93}}\\b|\\b(?:bitcoincash:)?[qp][02-9ac-hj-np-z]{{41}}\\b|\\br[1-9A-HJ-NP-Za-km-z]{{24,34}}\\b|\\bx(?:prv|pub){_B58}{{107}}\\b|"
    f"\\b[yz](?:prv|pub){_B58}{{107}}\\b"
)
_NAMED = pattern(
    f"(?i)\\b(?:solana|\\bsol\\b|phantom|polkadot|wallet address)\\b[^\\x00\\n]{{0,40}}?\\b((?-i:{_B58}{{32,48}}))\\b"
)
_WORDS = pattern(
    "(?i)bitcoin|\\bbtc\\b|crypto|wallet|coin|ripple|\\bxrp\\b|\\bltc\\b|\\bbch\\b|monero|address|send|pay|donat"
)
# First byte of what base58check holds: addresses of Bitcoin, Litecoin, Dogecoin, Dash, Tron and test nets.
_VERSIONS = frozenset({0x00, 0x05, 0x30, 0x32, 0x1E, 0x16, 0x4C, 0x10, 0x41, 0x6F, 0xC4, 0x17})
_PRIVATE = frozenset({0x80, 0xEF, 0xB0, 0x9E, 0xCC})  # Wallet Import Format
_BECH32_CONSTANTS = frozenset({1, 0x2BC830A3})  # BIP 173, BIP 350
_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


class CryptoDetector:
    """CRYPTO, and SECRET for private keys."""

    name = "crypto"
    entities = frozenset({"CRYPTO", "SECRET"})
    triggers = (
        f"\\b[13LMDTXA9t5KLc]{_B58}{{24}}",
        "(?i)\\b(?:bc|tb|bcrt|ltc|tltc|addr|stake|cosmos|osmo|nsec|npub|inj|terra|celestia|lnbc)1[02-9ac-hj-np-z]{20}",
        "\\b0x[0-9a-fA-F]{40}",
        f"\\b(?:4[0-9AB]|[qp]|r|[xyz](?:prv|pub)){_B58}{{24}}",
        "(?i)solana|phantom|polkadot|wallet address",
    )

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        """Addresses whose checksum is right, or whose form is nothing else's."""
        found: list[Match] = []
        if 0 in hits:
            found += [
                Match(kind, hit.start(), hit.end(), 1.0)
                for hit in piece.find(_BASE58)
                if (kind := _base58_kind(hit.group()))
            ]
        if 1 in hits:
            found += [
                Match("SECRET" if hit.group()[:4].lower() == b"nsec" else "CRYPTO", hit.start(), hit.end(), 1.0)
                for hit in piece.find(_BECH32)
                if _is_bech32(hit.group())
            ]
        if 2 in hits:
            found += [Match("CRYPTO", hit.start(), hit.end(), 0.95) for hit in piece.find(_HEX)]
        if 3 in hits:
            found += self._others(piece)
        if 4 in hits:
            found += [
                Match("CRYPTO", hit.start(1), hit.end(1), 0.7) for hit in piece.find(_NAMED) if _is_mixed(hit.group(1))
            ]
        return found

    def _others(self, piece: Piece) -> list[Match]:
        found = []
        for hit in piece.find(_OTHER):
            text = hit.group()
            if b"prv" in text[:4]:
                found.append(Match("SECRET", hit.start(), hit.end(), 1.0))
            elif len(text) > 90 or (_is_mixed(text) and _WORDS.search(piece.before(hit.start(), 64))):
                found.append(Match("CRYPTO", hit.start(), hit.end(), 0.8))
        return found


def _base58_kind(text: bytes) -> str:
    """What a base58check text is: the entity of its version byte; empty where the checksum is wrong."""
    data = b58decode(text.decode("ascii"))
    if len(data) not in (25, 37, 38) or hashlib.sha256(hashlib.sha256(data[:-4]).digest()).digest()[:4] != data[-4:]:
        return ""
    if len(data) > 25:
        return "SECRET" if data[0] in _PRIVATE else ""
    return "CRYPTO" if data[0] in _VERSIONS else ""


def _is_bech32(text: bytes) -> bool:
    """BIP 173 and 350: the checksum over prefix and data. A Lightning invoice is longer than the code allows for."""
    plain = text.decode("ascii").lower()
    prefix, _, data = plain.rpartition("1")
    if text not in (text.lower(), text.upper()):
        return False
    values = [_ALPHABET.index(character) for character in data]
    expanded = [*(ord(character) >> 5 for character in prefix), 0, *(ord(character) & 31 for character in prefix)]
    return bech32_checksum([*expanded, *values]) in _BECH32_CONSTANTS


def _is_mixed(text: bytes) -> bool:
    return any(48 <= byte <= 57 for byte in text) and text.lower() != text.upper() and len(set(text)) > 12
