"""Problems and solutions with checkable answers."""
