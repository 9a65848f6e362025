"""Credit decides on loans behind which forests stand, and keeps the loan from application to closing.

It owns the loan and coordinates its legs: it scores, prices and offers, asks insurance and guarantee, has the pledges
placed, disburses, watches the collateral, calls margins, declares default and collects. It publishes every event of
`credit.events`. It listens to sink for valuations and for what becomes of its pledges, to insurance for quotes,
policies and claims, and to guarantee for reservations, guarantees, calls and shared recoveries. Every loan belongs to
one bank; only the copies of valuations are common.
"""
