"""What the sink's tables say of themselves."""

from decimal import Decimal

from services.sink.tables import Asset


def balance(**tonnes: str) -> Asset:
    names = ("forecast", "issued", "retired", "pledged", "enforced", "transferred", "cancelled")
    asset = Asset(**{f"{name}_tonnes": Decimal(tonnes.get(name, "0")) for name in names})
    asset.settle()
    return asset


def test_what_there_is_is_free_or_spoken_for() -> None:
    asset = balance(forecast="100", issued="50", retired="20", pledged="30", enforced="10")
    assert asset.total_tonnes == 130
    assert asset.free_tonnes == 90
    assert not asset.over_pledged
    units = asset.units
    assert units["forecast"] + units["issued"] - units["retired"] == (
        units["free"] + units["pledged"] + units["enforced"]
    )


def test_more_spoken_for_than_there_is_leaves_nothing_free_and_is_told() -> None:
    asset = balance(forecast="10", pledged="30")
    assert asset.free_tonnes == 0
    assert asset.over_pledged
