"""`python -m shared.embedded`: what `make run` runs."""

from __future__ import annotations

import sys

from shared.embedded.supervisor import main

sys.exit(main())
