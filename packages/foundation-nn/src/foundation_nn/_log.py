"""The one logger of all five packages.

A library neither prints nor decides who listens: it tells the logger ``foundation`` what happens
besides what was asked for. ``logging.basicConfig(level="INFO")`` shows all of it; without that,
Python shows warnings alone.
"""

from __future__ import annotations

import logging

logger = logging.getLogger("foundation")
