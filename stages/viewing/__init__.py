"""Live pictures on the desktop: several sources in one picture, shown by a process of its own."""
