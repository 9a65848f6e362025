"""Training of the scorecard, from a loan file to a card and its model card. Nothing here is needed to serve."""
