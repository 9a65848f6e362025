"""Borrowers that do not exist: numbers with right check characters in places that do not exist."""

from datetime import timedelta
from typing import Any

from services.credit.formulas.identity import identity_check_character, uscc_check_character
from shared import clock

#: Words that must never be found where they have no business.
NAME, STREET, TRADE = "苗木森", "虚构村九十九号", "假想护林员"


def resident(serial: int = 1, born: str = "19790203", male: bool = True) -> str:
    """An identity number of Shanxi, of a county that does not exist."""
    first17 = f"140699{born}{serial:02d}{1 if male else 2}"
    return first17 + identity_check_character(first17)


def code(prefix: str = "93", serial: int = 1) -> str:
    """A unified social credit code of a region that does not exist."""
    first17 = f"{prefix}990000MA{serial:06d}X"
    return first17 + uscc_check_character(first17)


def amount(value: int) -> dict[str, str]:
    return {"amount": f"{value}.00", "currency": "CNY"}


def verification(days: int = 365) -> dict[str, str]:
    today = clock.today()
    return {"verified_on": today.isoformat(), "valid_until": (today + timedelta(days=days)).isoformat()}


def person(serial: int = 1, **more: Any) -> dict[str, Any]:
    """A farmer whose file was checked today."""
    return {
        "kind": "natural_person",
        "name": NAME,
        "identity_number": resident(serial),
        "document": {"kind": "resident_id", "valid_until": (clock.today() + timedelta(days=2000)).isoformat()},
        "phone": f"139{serial:08d}",
        "address": f"{STREET}之{serial}",
        "account": f"62220000000{serial:06d}",
        "sex": "male",
        "nationality": "中国",
        "occupation": TRADE,
        "industry": "022",
        "employees": 2,
        "established_on": "2015-01-01",
        "small_or_farmer": True,
        "verification": verification(),
        "finances": {
            "yearly_income": amount(300_000),
            "yearly_costs": amount(120_000),
            "debts": [{"balance": amount(50_000), "yearly_service": amount(12_000)}],
        },
    } | more


def firm(serial: int = 1, prefix: str = "93", **more: Any) -> dict[str, Any]:
    """A cooperative, signed for by somebody of its own."""
    kind = {"91": "enterprise", "92": "individual_business", "93": "cooperative", "N1": "collective"}[prefix]
    document = "registration_certificate" if kind == "collective" else "business_licence"
    return {
        "kind": kind,
        "name": f"并不存在{serial}号林业社",
        "identity_number": code(prefix, serial),
        "document": {"kind": document, "valid_until": None},
        "phone": f"0349-{7_000_000 + serial}",
        "address": f"无名镇{serial}号",
        "account": f"0200{serial:010d}",
        "representative": {"name": f"甲{serial}", "identity_number": resident(40 + serial % 50)},
        "owners": [{"name": f"乙{serial}", "identity_number": resident(serial % 90, "19600101"), "share": "0.6"}],
        "industry": "022",
        "employees": 8,
        "established_on": "2012-05-01",
        "small_or_farmer": True,
        "verification": verification(),
        "finances": {"yearly_income": amount(5_000_000), "yearly_costs": amount(3_500_000), "debts": []},
    } | more
