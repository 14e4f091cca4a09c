"""The signer: who may have which size of which picture, and who may post to S3. It signs; it touches no bucket."""

from flask import Flask

from signer import errors, tickets, urls, website
from signer.config import Config
from signer.facts import Facts
from signer.metrics import count_requests
from thumbstack.link import Links
from thumbstack.ticket import Terms


def create_app(config: Config) -> Flask:
    """The WSGI application; whatever it works with is made here, from `config` alone."""
    app = Flask(__name__)
    # A path is taken as it came: the double slash of a malformed URL is refused, not redirected.
    app.url_map.merge_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]
    presets = config.presets()
    app.extensions["room"] = urls.Room(
        apps=config.apps(),
        security_key=config.security_keys[0],
        links=Links(config.security_keys),
        facts=Facts(config.uploader_server),
        presets=presets,
        allowed_options=frozenset({*presets.values(), *config.allowed_options}),
        public_url=config.public_url,
    )
    count_requests(app)
    app.extensions["office"] = tickets.Office(
        apps=config.apps(),
        rules=config.rules(),
        terms=Terms(config.pictures_bucket, config.aws_region, config.max_upload_bytes, config.ticket_seconds),
        credentials=tickets.credential_source(
            config.aws_access_key_id, config.aws_secret_access_key, config.aws_session_token
        ),
        upload_url=config.upload_url,
        public_url=config.public_url,
    )
    app.extensions["website"] = website.Website(
        config.security_keys, config.website_bucket is not None, config.website_url, config.public_url
    )
    app.register_blueprint(urls.routes)
    app.register_blueprint(tickets.routes)
    app.register_blueprint(website.routes)
    errors.answer_in_json(app)
    return app
