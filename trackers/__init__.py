"""Trackers: pure synchronous numpy, one file an algorithm."""
