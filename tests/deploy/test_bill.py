"""What a bill of materials says of Debian's list of packages; that it is the image's own is test_images.py's."""

from deploy.bill import _debian

_STATUS = b"""Package: nginx
Status: install ok installed
Architecture: amd64
Version: 1.26.3-3

Package: removed
Status: deinstall ok config-files
Architecture: all
Version: 1.0

"""


def test_a_package_that_was_removed_and_left_its_settings_is_not_in_it() -> None:
    assert [str(one.purl) for one in _debian(_STATUS)] == ["pkg:deb/debian/nginx@1.26.3-3?arch=amd64"]
