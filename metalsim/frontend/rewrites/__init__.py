"""The rewrites, one module each: every one reads the declarations and adds edits of tokens."""
