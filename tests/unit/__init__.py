"""The state machine by itself: what one input does to one order, and all that a small world can bring about."""
