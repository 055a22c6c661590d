"""Values and rules. Pure: no I/O, no clock, no provider; everything here can be tested with plain calls."""
