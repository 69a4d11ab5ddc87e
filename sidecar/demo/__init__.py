"""Workers to look at: jobs of the shipped types, at uneven speeds and with every trouble that jobs have.

Imports nothing else of the sidecar: it speaks HTTP as any worker does.
"""

from sidecar.demo.running import run

__all__ = ["run"]
