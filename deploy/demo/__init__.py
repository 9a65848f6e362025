"""The demo: a synthetic forest programme, borrowers drawn from real loan records, and the story told with them."""
