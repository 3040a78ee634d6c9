"""Configurations that come with Kinestream: runnable pictures of the flow; each is a preset by its name."""
