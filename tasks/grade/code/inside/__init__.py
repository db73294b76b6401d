"""Code that runs inside the sandbox only: standard library, no import from the rest of the project."""
