"""The process: the only place that reads the environment, and where its thread begins."""

from uploader import create_app
from uploader.config import Config

application = create_app(Config.read("uploader"))
application.extensions["room"].notices.follow()
