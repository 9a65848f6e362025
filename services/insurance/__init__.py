"""Insurance prices and carries the cover behind a loan on a forest.

It decides whether a forest can be insured and for how much, what the cover costs, whether a quote may be bound, and
what a loss pays to whom. It publishes CoverQuoted, CoverRefused, PolicyBound, PolicyLapsed, ClaimOpened,
IndexTriggered and ClaimPaid. It listens to sink for valuations and reversals, and to credit for what becomes of the
loan: LegsRequested asks for a quote, LoanAccepted binds it, the loan's end or undoing lets it go, and every change of
the balance moves the bank's interest. Every row of a cover belongs to one insurer; only its copies of valuations and
reversals are common.
"""
