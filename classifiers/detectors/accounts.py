"""Bank accounts that are no IBAN, by the word in front; routing numbers by their check digit. Never a bare number."""

from __future__ import annotations

from classifiers.detectors.numbered import Kind, NumberedDetector, triggers_of


def is_account(number: str) -> bool:
    """Whether it has the digits of an account."""
    return sum(character.isdigit() for character in number) >= 6


KINDS: tuple[Kind, ...] = (
    Kind(
        "US_BANK_NUMBER",
        "",
        "\\b\\d{4,17}(?:[ -]\\d{2,9}){0,3}\\b",
        is_account,
        "follows",
        "(?:bank|checking|savings?|current|deposit|brokerage)[ _]account(?:[ _](?:number|no\\.?|#|num))?|"
        "account[ _]?(?:number|no\\.?|#|num)\\b|\\bacct\\b\\.?(?: ?(?:#|no\\.?|number))?|"
        "\\ba/c\\b(?: no\\.?)?",
    ),
    Kind(
        "BANK_ACCOUNT",
        "",
        "\\b\\d{4,17}(?:[ -]\\d{1,9}){0,4}\\b",
        is_account,
        "follows",
        "konto-?(?:nummer|nr\\.?)|bankkonto|num[ée]ro de compte|compte bancaire|n[úu]mero de cuenta|"
        "cuenta bancaria|numero (?:di |del )?conto|"
        "conto corrente|rekeningnummer|bankrekening|numer konta|\\bclabe\\b|\\bcbu\\b",
    ),
    Kind("BANK_ACCOUNT", "GB", "\\b(?:\\d{2}-\\d{2}-\\d{2}|\\d{6})\\b", is_account, "follows", "sort[ _-]?code"),
    Kind(
        "ABA_ROUTING_NUMBER",
        "US",
        "\\d{4}-?\\d{4}-?\\d",
        "us.rtn",
        "always",
        "\\brouting|\\baba\\b|\\brtn\\b|transit (?:number|no)",
    ),
)


class AccountDetector(NumberedDetector):
    """The kinds of the table."""

    name = "accounts"
    entities = frozenset(kind.entity for kind in KINDS)
    triggers = triggers_of(KINDS)

    def __init__(self) -> None:
        super().__init__(KINDS)
