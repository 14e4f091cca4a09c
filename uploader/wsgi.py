"""The process: the only place that reads the environment."""

from uploader import create_app
from uploader.config import Config

application = create_app(Config.read("uploader"))
