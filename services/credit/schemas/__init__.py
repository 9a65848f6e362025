"""What goes in and out of credit over HTTP, by noun. Requests never carry a state, a decision or an institution."""
