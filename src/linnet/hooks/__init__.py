"""Ready-made hooks and observers, written as any user would write theirs.

Whoever guards or watches a broker lives here. Nothing here may reach past the ports of the core.
"""
