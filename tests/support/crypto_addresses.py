"""Makes valid addresses of crypto currencies from random bytes: base58check (Bitcoin and kin), bech32 and bech32m."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def _base58(data: bytes) -> str:
    number, digits = int.from_bytes(data), ""
    while number:
        number, rest = divmod(number, 58)
        digits = _BASE58[rest] + digits
    return "1" * (len(data) - len(data.lstrip(b"\x00"))) + digits


def _checked(data: bytes) -> str:
    return _base58(data + hashlib.sha256(hashlib.sha256(data).digest()).digest()[:4])


def _polymod(values: Iterable[int]) -> int:
    check = 1
    for value in values:
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ value
        for bit, term in enumerate(_GENERATOR):
            check ^= term if top >> bit & 1 else 0
    return check


def _segwit(prefix: str, version: int, program: bytes) -> str:
    bits = "".join(f"{byte:08b}" for byte in program)
    bits += "0" * (-len(bits) % 5)
    data = [version, *(int(bits[at : at + 5], 2) for at in range(0, len(bits), 5))]
    expanded = [*(ord(c) >> 5 for c in prefix), 0, *(ord(c) & 31 for c in prefix)]
    check = _polymod([*expanded, *data, 0, 0, 0, 0, 0, 0]) ^ (1 if version == 0 else 0x2BC830A3)
    data += [check >> 5 * (5 - at) & 31 for at in range(6)]
    return prefix + "1" + "".join(_BECH32[value] for value in data)


ADDRESSES: dict[str, Callable[[random.Random], str]] = {
    "btc-p2pkh": lambda chance: _checked(b"\x00" + chance.randbytes(20)),
    "btc-p2sh": lambda chance: _checked(b"\x05" + chance.randbytes(20)),
    "btc-segwit": lambda chance: _segwit("bc", 0, chance.randbytes(20)),
    "btc-segwit-script": lambda chance: _segwit("bc", 0, chance.randbytes(32)),
    "btc-taproot": lambda chance: _segwit("bc", 1, chance.randbytes(32)),
    "litecoin": lambda chance: _checked(b"\x30" + chance.randbytes(20)),
    "litecoin-segwit": lambda chance: _segwit("ltc", 0, chance.randbytes(20)),
    "dogecoin": lambda chance: _checked(b"\x1e" + chance.randbytes(20)),
    "tron": lambda chance: _checked(b"\x41" + chance.randbytes(20)),
    "ethereum": lambda chance: "0x" + chance.randbytes(20).hex(),
}
