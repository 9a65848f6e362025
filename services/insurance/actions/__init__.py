"""The room of insurance: one function is one use case in the caller's transaction."""

from pathlib import Path

from shared.parameters import Parameters

PARAMETERS = Parameters(Path(__file__).parents[1] / "parameters.yaml")
