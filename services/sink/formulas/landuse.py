"""What is lost when a project takes forest land, and units of equal value.        docs/equations/sink.md (S210)-(S214)

C  stock of the stand [tCO2e]      P  price of a unit [CNY/tCO2e]      r  discount rate [1/yr]      n  years missed

The services are valued as (S74) and (S75) do, several times above any market: they say what society loses, never what a
pledge is worth. The stock is what stands today, the services what would have been bound and released from then on.
"""

import numpy as np

from services.sink.formulas.domain import Numbers, nonnegative


def annuity_factor(discount_rate: float, years: int) -> float:
    """Eq. (S210): value today of a yuan at the end of each of n years, Σ_(t=1..n) 1/(1+r)^t. [yr]

    Source: definition.

    >>> round(annuity_factor(0.08, 20), 4)
    9.8181
    """
    nonnegative("discount rate", discount_rate)
    return float(np.sum((1 + discount_rate) ** -np.arange(1, years + 1, dtype=np.float64)))


def stock_value(stock: Numbers, price: Numbers) -> Numbers:
    """Eq. (S211): value of the carbon that stands, C·P. [CNY]

    Source: this project.

    >>> stock_value(28.5, 70.0)
    1995.0
    """
    return nonnegative("stock", stock) * nonnegative("price", price)


def service_value(yearly_value: Numbers, discount_rate: float, years: int) -> Numbers:
    """Eq. (S212): value today of the yearly services that are missed, v times (S210). [CNY]

    Source: this project.

    >>> round(service_value(3500.0, 0.08, 20), 2)
    34363.52
    """
    return nonnegative("yearly value", yearly_value) * annuity_factor(discount_rate, years)


def ecological_loss(
    stock: Numbers,
    price: Numbers,
    yearly_carbon_value: Numbers,
    yearly_oxygen_value: Numbers,
    discount_rate: float,
    years: int,
) -> Numbers:
    """Eq. (S213): ecological loss of the land taken, (S211)+(S212) of carbon bound and oxygen released. [CNY]

    Source: this project, composition of the equations named.

    >>> round(ecological_loss(28.5, 70.0, 1150.0, 2350.0, 0.08, 20), 2)
    36358.52
    """
    yearly = nonnegative("carbon value", yearly_carbon_value) + nonnegative("oxygen value", yearly_oxygen_value)
    return stock_value(stock, price) + service_value(yearly, discount_rate, years)


def equal_value_units(loss: Numbers, price: Numbers) -> Numbers:
    """Eq. (S214): units worth as much as the loss, L/P; rounding up to a whole unit is the caller's. [tCO2e]

    Source: this project.

    >>> equal_value_units(36400.0, 70.0)
    520.0
    """
    if not np.all(np.asarray(price) > 0):
        raise ValueError("a unit without a price equals no value")
    return nonnegative("loss", loss) / price
