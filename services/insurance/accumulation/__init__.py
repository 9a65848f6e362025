"""The bad years of a book: events that hit neighbours together, what the policies pay, what stays with whom.

Arrays only: no table, no session, no clock. `exposure` and `event_set` are the two inputs, `simulation` makes event
sets and `losses` turns both into a year loss table.
"""
