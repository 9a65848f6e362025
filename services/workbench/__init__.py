"""The workbench: pages on which officers, insurers, guarantors and the bureau see a case whole and act on it.

It decides nothing and keeps nothing: it asks the four services over HTTP with the user's own token, so that nobody
sees or does here what their token would not let them see or do there. It publishes and listens to no events.
"""
