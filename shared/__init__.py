"""The application: values, verbs and the seams to the outside. Knows neither Flask nor Celery.

Arrows inside: `wiring -> adapters | services -> ports -> model -> errors`.
"""

from typing import Final

VERSION: Final = "0.1.0"
