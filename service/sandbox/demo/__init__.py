"""`make demo`: everything on one machine, and seven orders that show what can happen to one."""
