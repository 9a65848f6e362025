"""What credit does: one function is one use case in the caller's transaction, one file for each noun."""
