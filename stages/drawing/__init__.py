"""Pictures: people, skeletons and names on a frame; a contact sheet; drawn figures. Pure functions on arrays."""
