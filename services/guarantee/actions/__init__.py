"""What the guarantee service does: one function is one use case in one transaction.

Locks are taken in one order everywhere: the profile, the guarantee, its call, then the buckets (actions/capacity.py).
"""

from pathlib import Path

from shared.parameters import Parameters

PARAMETERS = Parameters(Path(__file__).parents[1] / "parameters.yaml")
