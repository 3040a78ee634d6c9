"""Processes of our own: fed through a pipe, never waited for without an end, and none outlives us."""
