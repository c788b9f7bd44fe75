"""Fetch one file over HTTP: complete and with the right checksum, or not at all.

Imported by a download only: what this loads (TLS, parsers for headers) takes some 25 ms.
"""

import hashlib
import os
import secrets
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import urlopen

_CHUNK = 1 << 20
_TIMEOUT = 30  # seconds without a byte


def fetch(url, path, md5, where):
    """Download ``url`` to ``path``, which appears only when its content has the MD5 sum ``md5``.

    The content goes to a hidden file beside ``path`` first, and a rename makes it visible: a
    failure leaves nothing, and another process never reads half a file. Nothing is tried twice.

    Raises OSError if the download fails, ValueError if the checksum is not ``md5``; messages
    begin with ``where``.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    # The sums were published as MD5. For telling whether content is what it was, as here, it will
    # do: nobody can make other content for a given sum.
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with part.open("xb") as file:
            for chunk in _chunks(url, where):
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != md5:
            raise ValueError(
                f"{where}: {url} has MD5 sum {digest.hexdigest()}; expected {md5}. The content is"
                " not what was published, and was not kept"
            )
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _chunks(url, where):
    """The body of ``url`` piece by piece."""
    failed = f"{where}: cannot download {url}"
    try:
        with urlopen(url, timeout=_TIMEOUT) as response:
            declared = response.headers.get("Content-Length")
            received = 0
            while chunk := response.read(_CHUNK):
                received += len(chunk)
                yield chunk
    except HTTPError as error:
        error.close()
        raise OSError(f"{failed}: HTTP status {error.code}: {error.reason}") from error
    except (OSError, HTTPException) as error:
        raise OSError(f"{failed}: {error}") from error
    if declared is not None and received != int(declared):
        raise OSError(f"{failed}: the connection ended after {received} of {declared} bytes")
