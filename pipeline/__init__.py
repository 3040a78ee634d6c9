"""The engine: values, channels, stages, and the runner that joins them. It knows no model, codec or protocol."""
