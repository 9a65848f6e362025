"""What goes in and out of the sink service over HTTP."""
