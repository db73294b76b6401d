"""The trainer: processes of its own that learn, checkpoint, resume and report as they go."""
