"""Opening web addresses, with a say in which ones: https, or the loopback. No torch here."""

from __future__ import annotations

import http.client
import ipaddress
import urllib.request
from collections.abc import Mapping
from typing import IO
from urllib.parse import urlsplit


class ForbiddenAddressError(Exception):
    """The address, or one it redirects to, must not be opened."""


def open_url(url: str, headers: Mapping[str, str], timeout_s: float) -> http.client.HTTPResponse:
    """Open `url` for reading; the caller closes it.

    Raises:
        ForbiddenAddressError: neither https nor the loopback, here or in a redirect.
        urllib.error.URLError, http.client.HTTPException, OSError: as urllib does.
    """
    if not is_allowed(url):
        raise ForbiddenAddressError("only https addresses are opened")
    handlers: list[urllib.request.BaseHandler] = [_SafeRedirect()]
    if _is_loopback(urlsplit(url).hostname or ""):
        handlers.append(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, headers=dict(headers))
    response: http.client.HTTPResponse = urllib.request.build_opener(*handlers).open(request, timeout=timeout_s)
    return response


def is_allowed(url: str) -> bool:
    """True for https, and for plain http on the loopback (a local mirror)."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return (parts.scheme == "https" and bool(host)) or (parts.scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _SafeRedirect(urllib.request.HTTPRedirectHandler):
    """Follows redirects to allowed addresses only, and never from the outside to the loopback."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        to_loopback = _is_loopback(urlsplit(newurl).hostname or "")
        if not is_allowed(newurl) or (to_loopback and not _is_loopback(urlsplit(req.full_url).hostname or "")):
            fp.close()
            raise ForbiddenAddressError("the server redirects to an address that is not allowed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
