"""Names for who counts: no two stores, and no two lives of one, may count under the same."""

import secrets


def fresh_lineage() -> str:
    """Return a lineage that nobody has counted in."""
    return secrets.token_hex(4)
