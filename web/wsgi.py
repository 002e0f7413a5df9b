"""What gunicorn serves."""

from shared import logs
from shared.config import settings
from web.app import create_app

logs.set_up(settings().log_level, settings().log_format)
app = create_app(settings())
