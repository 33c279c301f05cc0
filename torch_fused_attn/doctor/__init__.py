"""``python -m torch_fused_attn doctor``: what works on this machine, what does not, and what to do about it.

Nothing here needs the extension in order to be imported, and :mod:`.command` and :mod:`.environment` need no torch either.
"""
