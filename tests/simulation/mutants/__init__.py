"""Planted bugs. Each has to be found by the simulation; `make mutants` says by which seed."""

from tests.simulation.mutants import dispatch, lane, lifecycle, relay

ALL = (*lane.MUTANTS, *relay.MUTANTS, *dispatch.MUTANTS, *lifecycle.MUTANTS)
