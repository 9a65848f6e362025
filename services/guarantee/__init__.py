"""Guarantee: the sharing of a loan's risk between guarantor, province, national fund, bank and local pool.

It decides whether a guarantor still has room for a loan under every limit that binds it (leverage, one obligor, county,
quotas, pool), holds that room until the loan is taken or let go, opens and pays calls, and shares recoveries back. It
publishes GuaranteeReserved, GuaranteeRefused, GuaranteeIssued, GuaranteeReleased, GuaranteeCalled, GuaranteePaid and
RecoveryShared; it listens to the loan: LegsRequested, LoanAccepted, LoanDeclined, LoanWithdrawn, LoanExpired,
LoanDisbursed, LoanRepaid, LoanDefaulted, RecoveryReceived and LoanClosed.
"""
