"""Currencies: the smallest coin of each by ISO 4217, and rounding to it.

Amounts finer than the smallest coin enter (a price per metre, a share of a discount), but none of them leaves as an
amount to be paid: no provider pays a fraction of a yen. The remainder is rounded up, in the customer's favour.
"""

from decimal import ROUND_CEILING, Decimal

_WITHOUT_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_EXPONENTS = {
    **dict.fromkeys(_WITHOUT_DECIMALS.split(), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}


def currency_exponent(currency: str) -> int:
    """Return the number of decimals of a currency."""
    return _EXPONENTS.get(currency, 2)


def round_up(amount: Decimal, currency: str) -> Decimal:
    """Return the amount in whole smallest coins, rounded up."""
    return amount.quantize(Decimal(1).scaleb(-currency_exponent(currency)), ROUND_CEILING)


def share_of(total: Decimal, part: int, whole: int, currency: str) -> Decimal:
    """Return the amount of the first `part` of `whole` equal units.

    The amount of further units is the difference of two shares: so all of them add up to the rounded total, and of
    three units for 100.00 the first costs 33.34 and the others 33.33.
    """
    return round_up(total * min(part, whole) / whole, currency) if part > 0 and whole > 0 else Decimal(0)
