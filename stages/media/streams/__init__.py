"""Live streams: one connection to a camera, its clock, its damage, and what goes wrong with it."""
