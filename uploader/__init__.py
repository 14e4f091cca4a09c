"""The uploader: what comes in, what is it called, who may have it back, is it really gone?"""

from dataclasses import replace

from flask import Flask

from thumbstack.buckets import Buckets, s3_client
from thumbstack.edge import Edge
from thumbstack.inspection import Limits
from thumbstack.intake import Intake
from thumbstack.metrics import watch
from thumbstack.notices import Notices
from thumbstack.scanner import read_scanner
from uploader import direct, errors, files, incoming, openapi, pictures, readiness, uploads, website
from uploader.config import Config
from uploader.metrics import count_requests
from uploader.newest import Newest
from uploader.room import Room, bound_json
from uploader.warming import Warming


def create_app(config: Config) -> Flask:
    """The WSGI application; whatever it works with is made here, from `config` alone."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = config.max_request_bytes
    # A path is taken as it came: the double slash of a malformed URL is refused, not redirected.
    app.url_map.merge_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]
    buckets = Buckets(
        watch(s3_client(config.s3_endpoint, config.aws_region, patience_seconds=config.s3_patience_seconds)),
        pictures=config.pictures_bucket,
        results=config.results_bucket,
        cache_control=config.cache_control,
        website=config.website_bucket,
    )
    # Readiness must be told in seconds, also when S3 hangs.
    hasty = replace(buckets, client=s3_client(config.s3_endpoint, config.aws_region, patience_seconds=2, attempts=1))
    presets = config.presets()
    edge = Edge(config.edge_cache, config.tombstones, config.security_keys, presets)
    intake = Intake(
        buckets,
        read_scanner(config.scanner),
        Limits(max_bytes=config.max_upload_bytes),
        config.rules(),
        at_once=config.decodes_at_once,
    )
    warm = [presets[name] for name in config.warm_presets]
    app.extensions["room"] = Room(
        apps=config.apps(),
        buckets=buckets,
        edge=edge,
        notices=Notices(buckets, edge),
        intake=intake,
        warming=Warming(config.thumbor_servers, warm, config.security_keys[0]),
        newest=Newest(buckets),
        public_url=config.public_url,
        presets=presets,
        security_key=config.security_keys[0],
        website_url=config.website_url,
        edge_server=config.edge_server,
    )
    count_requests(app)
    app.before_request(bound_json)
    app.register_blueprint(uploads.routes)
    app.register_blueprint(pictures.routes)
    app.register_blueprint(incoming.routes)
    app.register_blueprint(website.routes)
    app.register_blueprint(direct.routes)
    app.register_blueprint(files.routes)
    app.register_blueprint(openapi.routes)
    app.register_blueprint(readiness.routes(hasty, config.thumbor_servers, config.signer_server))
    errors.answer_in_json(app)
    return app
