"""What is planted in a cell of the matrix: a unique value of a kind, disguised, with the words that it stands beside.

The same cell always plants the same, so that a failure can be repeated.
"""

from __future__ import annotations

import random
from functools import lru_cache

from tests.egress.covering import Cell
from tests.egress.values import ENTITIES as OWN_ENTITIES
from tests.egress.values import Value
from tests.support import identifiers
from tests.support.mutations import MUTATIONS, fits

PLAIN = "as it is"
DISGUISES = (PLAIN, *MUTATIONS)

# Kinds of value beside those of `values`: the entity of `identifiers` that makes each.
_MORE = {
    "mac_address": "MAC_ADDRESS",
    "crypto_address": "CRYPTO",
    "us_itin": "US_ITIN",
    "imei": "IMEI",
    "vin": "VIN",
    "us_passport": "US_PASSPORT",
    "us_driver_license": "US_DRIVER_LICENSE",
    "dea_number": "MEDICAL_LICENSE",
    "us_npi": "US_NPI",
    "german_tax_id": "DE_TAX_ID",
    "italian_fiscal_code": "IT_FISCAL_CODE",
    "polish_pesel": "PL_PESEL",
    "indian_aadhaar": "IN_AADHAAR",
    "french_nir": "FR_NIR",
}
ENTITIES = (*OWN_ENTITIES, *_MORE)
# Positions that cut a value up themselves: what is cut there are the value's own characters.
_CUTTING = "split over two "
# Nobody could read the value out of these: which of its marks were its own, which letters were digits.
_UNREADABLE = frozenset(
    {
        ("policy_pattern", "dashed"),
        *((entity, "json_in_string") for entity in ("connection_string", "password")),
        *((entity, "homoglyph") for entity in ("italian_fiscal_code", "crypto_address", "vin")),
    }
)
# Nine digits are a social security number where something says so, or by their form; some disguises take that away.
_LABELS = {"us_ssn": "SSN "}


def can_stand(position: str, disguise: str, entity: str) -> bool:
    """Whether this kind of value can be planted there like that."""
    if disguise == PLAIN:
        return True
    if _CUTTING in position or (entity, disguise) in _UNREADABLE:
        return False
    return fits(disguise, _sample(entity).text)


def planted(cell: Cell) -> Value:
    """The text to plant; `needle` is what of the value itself nobody outside may see, in no view."""
    value = _value(cell.entity, str(cell))
    if cell.disguise == PLAIN:
        return value
    disguised = value.text.replace(value.needle, MUTATIONS[cell.disguise](value.needle))
    return Value(_LABELS.get(cell.entity, "") + disguised, value.needle)


def marks(cell: Cell, value: Value) -> tuple[str, ...]:
    """What is searched for: the value, and its disguise, which a view need not see through."""
    disguised = value.needle if cell.disguise == PLAIN else MUTATIONS[cell.disguise](value.needle)
    return tuple({value.needle, disguised})


def _value(entity: str, cell: str) -> Value:
    dice = random.Random(f"{entity} in {cell}")
    return OWN_ENTITIES[entity](dice) if entity in OWN_ENTITIES else _identifier(_MORE[entity], dice)


def _identifier(entity: str, dice: random.Random) -> Value:
    (made,) = identifiers.values(entity, 1, seed=dice.randrange(1 << 40))
    text = made.carrier.format(made.text)
    return Value(f"{made.label} {text}".strip(), made.text)


@lru_cache
def _sample(entity: str) -> Value:
    value = _value(entity, "sample")
    return Value(value.needle, value.needle)
