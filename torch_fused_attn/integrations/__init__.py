"""The operators inside of other libraries. None of those is imported before it is asked for."""
