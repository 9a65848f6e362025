"""What goes in and out of guarantee over HTTP, by noun. Requests never carry a state, a decision or an institution."""
