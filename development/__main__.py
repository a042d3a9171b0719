"""`python -m development`: what `make run` runs."""

from __future__ import annotations

import sys

from development.supervisor import main

sys.exit(main())
