"""Flows: which steps make a run of a forecast, and in what order, as its files declare it."""
