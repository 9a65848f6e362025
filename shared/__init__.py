"""Plumbing that knows no service: web, auth, db, events, outbox, inbox, kafka, money, parameters, audit, jobs."""
