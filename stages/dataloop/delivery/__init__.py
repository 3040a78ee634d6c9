"""Annotations on their way to the platform: a journal on disk, and an upload that loses and doubles nothing."""
