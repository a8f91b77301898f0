"""Pictures of what the engine does."""
