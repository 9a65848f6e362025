"""The sink service: the register of forests and the one valuation every underwriter works from.

It decides what ground can be registered, what a forest's carbon is worth and how sure that is, and whose lien its units
stand under. It publishes AssetRegistered, CarbonAssetValued, ReversalReported, CreditsIssued, CreditsRetired and what
becomes of pledges: PledgePlaced, PledgeRefused, PledgeReleased, PledgeEnforced. It listens to credit alone: a loan that
is accepted asks for its pledges; one that is declined, withdrawn, expired or closed lets them go; a default freezes
them, and the bank's order enforces them.
"""
