"""Raw requests and what becomes of each: the table that HTTP/1.1 is held to.

Each case names its source: a section of RFC 9112 or 9110, or the public test case of another
implementation that it is taken from (llhttp `test/request/*.md`, waitress `tests/test_parser.py`
and `tests/test_receiver.py`, h11 `h11/tests/test_io.py` and `test_headers.py`), or the client that
sends it.
"""

from __future__ import annotations

from typing import NamedTuple


class Case(NamedTuple):
    """A raw request, and the status and the code of the problem that it gets."""

    name: str
    raw: bytes
    status: int
    code: str | None
    source: str


HOST = b"Host: a\r\n"
GET = b"GET /system/live HTTP/1.1\r\n" + HOST
POST = b"POST /system/smoke-test HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
PING = b'{"ping":"a"}'
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SIZED = POST + b"Content-Length: 12\r\n"
MAX_LINE = 8_190
MAX_FIELDS = 100


def line(method: bytes = b"GET", target: bytes = b"/system/live", version: bytes = b"1.1") -> bytes:
    return b"%b %b HTTP/%b\r\n%b\r\n" % (method, target, version, HOST)


def host(value: bytes) -> bytes:
    return b"GET /system/live HTTP/1.1\r\nHost: %b\r\n\r\n" % value


def get(fields: bytes) -> bytes:
    return GET + fields + b"\r\n"


def post(fields: bytes, body: bytes = PING) -> bytes:
    return POST + fields + b"\r\n" + body


def bad(name: str, raw: bytes, source: str, status: int = 400, code: str = "bad-request") -> Case:
    return Case(name, raw, status, code, source)


def broken(name: str, chunks: bytes, source: str) -> Case:
    return Case(name, CHUNKED + chunks, 400, "incomplete-body", source)


def good(name: str, raw: bytes, source: str) -> Case:
    return Case(name, raw, 200, None, source)


def chunked(name: str, chunks: bytes, source: str) -> Case:
    return Case(name, CHUNKED + chunks, 200, None, source)


REQUEST_LINES = [
    bad("no method", b" / HTTP/1.1\r\n" + HOST + b"\r\n", "RFC 9112 3"),
    bad("lower case method", line(b"get"), "waitress test_crack_first_line_lowercase_method"),
    bad("method that is no token", line(b"GE[T"), "RFC 9110 9.1"),
    bad("unknown method", line(b"MKCOLA"), "llhttp invalid.md: Invalid method"),
    bad("method of RTSP", line(b"ANNOUNCE"), "llhttp invalid.md: HTTP protocol and ANNOUNCE"),
    bad("no target", b"GET HTTP/1.1\r\n" + HOST + b"\r\n", "RFC 9112 3"),
    bad("HTTP/0.9", b"GET /\r\n\r\n", "waitress test_crack_first_line_missing_version"),
    bad("HTTP/1.10", line(version=b"1.10"), "RFC 9112 2.3"),
    bad("HTTP/2.0", line(version=b"2.0"), "RFC 9112 2.3"),
    bad("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "RFC 9113 3.4"),
    bad("lower case http", b"GET / http/1.1\r\n" + HOST + b"\r\n", "RFC 9112 2.3"),
    bad("ICE", b"GET / ICE/1.0\r\n" + HOST + b"\r\n", "llhttp invalid.md: ICE protocol"),
    bad("RTSP", b"PUT / RTSP/1.0\r\n" + HOST + b"\r\n", "llhttp invalid.md: RTSP protocol"),
    bad("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xab" * 40, "RFC 8446 4.1.2"),
    bad("two blanks before the target", line(b"GET "), "RFC 9112 3"),
    bad("two blanks after the target", line(target=b"/ "), "RFC 9112 3"),
    bad("blank after the version", line(version=b"1.1 "), "RFC 9112 3"),
    bad("tab in the request line", b"GET\t/ HTTP/1.1\r\n" + HOST + b"\r\n", "RFC 9112 3"),
    bad("blank in the target", line(target=b"/a b"), "RFC 9112 3.2"),
    bad("NUL in the target", line(target=b"/\x00"), "RFC 9112 3.2"),
    bad("raw bytes in the target", line(target=b"/\xc3\xa9"), "waitress test_split_uri_unicode"),
    bad("line break in the target", line(target=b"/a\n"), "waitress extra_lf_in_first_line"),
    good("HTTP/1.2 is served as HTTP/1.1", line(version=b"1.2"), "RFC 9110 2.5"),
    good("an empty line first", b"\r\n" + line(), "RFC 9112 2.2"),
    good("many empty lines first", b"\r\n" * 1_000 + line(), "RFC 9112 2.2"),
    bad("empty lines and a lone CR first", b"\r\n\r" + line(), "RFC 9112 2.2"),
    bad("a blank first", b" " + line(), "RFC 9112 2.2"),
]  # fmt: skip

TARGETS = [
    good("query", line(target=b"/system/live?a=/b?c#"[:-1]), "RFC 9112 3.2.1"),
    good("percent-encoded path", line(target=b"/system/%6cive"), "RFC 3986 2.1"),
    good("absolute form", line(target=b"http://b/system/live?a"), "RFC 9112 3.2.2"),
    good("absolute form, https", line(target=b"https://b/system/live"), "waitress split_url_https"),
    good("absolute form without a path", line(target=b"http://b"), "RFC 9112 3.2.2"),
    bad("absolute form with a user", line(target=b"http://u@a/"), "RFC 9110 4.2.4"),
    bad("absolute form without a host", line(target=b"http:///"), "RFC 9110 4.2.1"),
    bad("absolute form of another scheme", line(target=b"ftp://a/"), "RFC 9112 3.2.2"),
    bad("absolute form and no Host", b"GET http://a/ HTTP/1.1\r\n\r\n", "RFC 9112 3.2"),
    bad("fragment", line(target=b"/#a"), "RFC 9112 3.2"),
    good("asterisk form", line(b"OPTIONS", b"*"), "RFC 9112 3.2.4"),
    bad("asterisk form with GET", line(target=b"*"), "RFC 9112 3.2.4"),
    Case("two slashes are no authority", line(target=b"//b/system/live"), 404, "not-found",
         "waitress test_split_uri_path"),
    Case("CONNECT", line(b"CONNECT", b"a:80"), 405, "method-not-allowed", "RFC 9110 9.3.6"),
    bad("CONNECT to a port that is none", line(b"CONNECT", b"a:65536"), "RFC 9110 9.3.6"),
    bad("authority form with GET", line(target=b"a:80"), "RFC 9112 3.2.3"),
]  # fmt: skip

HOSTS = [
    bad("no Host", b"GET / HTTP/1.1\r\n\r\n", "RFC 9112 3.2"),
    bad("two Hosts", get(b"Host: b\r\n"), "RFC 9112 3.2"),
    bad("empty Host", host(b""), "RFC 9110 4.2.1"),
    bad("Host with a blank", host(b"a b"), "RFC 9112 3.2"),
    bad("Host list", host(b"a,b"), "RFC 9112 3.2"),
    bad("Host with a port that is none", host(b"a:b"), "RFC 9112 3.2"),
    bad("Host with a port too high", host(b"a:65536"), "RFC 9112 3.2"),
    bad("Host that is no IPv6 address", host(b"[::g]"), "RFC 9112 3.2"),
    bad("Host in raw bytes", host(b"\xc3\xa9"), "RFC 9112 3.2"),
    bad("bad Host in HTTP/1.0", b"GET / HTTP/1.0\r\nHost: a b\r\n\r\n", "RFC 9112 3.2"),
    good("Host of an upstream group", host(b"my_upstream"), "nginx proxy_pass"),
    good("Host as an IPv6 address", host(b"[::1]:80"), "RFC 9110 7.2"),
]

FIELDS = [
    bad("no colon", get(b"X\r\n"), "waitress test_parse_header_invalid_no_colon"),
    bad("no name", get(b": x\r\n"), "llhttp invalid.md: Invalid header token #3"),
    bad("blank before the colon", get(b"X : x\r\n"), "RFC 9112 5.1"),
    bad("blank before the first header", b"GET / HTTP/1.1\r\n X: x\r\n" + HOST + b"\r\n",
        "RFC 9112 2.2"),
    bad("folded name", get(b"X\r\n : x\r\n"), "llhttp invalid.md: field name line folding"),
    bad("folded value", get(b"X: x\r\n y\r\n"), "RFC 9112 5.2"),
    bad("at sign in a name", get(b"Fo@: x\r\n"), "llhttp invalid.md: Invalid header token #1"),
    bad("NUL in a value", get(b"X: \x00\r\n"), "RFC 9110 5.5"),
    bad("vertical tab in a value", get(b"X:\x0bx\r\n"), "waitress invalid_whitespace_vtab"),
    bad("lone CR in a value", get(b"Foo: 1\rBar: 2\r\n"), "llhttp invalid.md: separated by CR"),
    bad("lone LF in a value", POST + b"x:x\nTransfer-Encoding: chunked\r\n\r\n1\r\nA\r\n0\r\n\r\n",
        "llhttp invalid.md: Headers separated by LF"),
    bad("dummy characters after the head", GET + b"\rZGET /evil: HTTP/1.1\r\n" + HOST + b"\r\n",
        "llhttp invalid.md: separated by dummy characters"),
    bad("lone LF after the request line", b"GET / HTTP/1.1\n" + HOST + b"\r\n", "RFC 9112 2.2"),
    bad("lone LF at the end of the head", GET + b"\n", "RFC 9112 2.2"),
    bad("only lone LFs", b"GET / HTTP/1.1\nHost: a\n\n", "llhttp invalid.md: Only LFs present"),
    bad("two media types", post(b"Content-Type: c/d\r\nContent-Length: 12\r\n"), "RFC 9110 5.3"),
    good("empty value", get(b"X:\r\n"), "waitress test_parse_header_empty"),
    good("raw bytes in a value", get(b"X: \xa0\xc3\xa9\x85\r\n"), "RFC 9110 5.5 (obs-text)"),
    good("every character of a name", get(b"!#$%&'*+-.^_`|~0aZ: x\r\n"), "RFC 9110 5.6.2"),
    good("the same name three times", get(b"X: 1\r\nX: 2\r\nx: 3\r\n"), "RFC 9110 5.3"),
]  # fmt: skip

LIMITS = [
    good("longest request line", line(target=b"/system/live?" + b"a" * (MAX_LINE - 26)), "2.3"),
    bad("request line one byte longer", line(target=b"/system/live?" + b"a" * (MAX_LINE - 25)),
        "RFC 9112 3", 414, "uri-too-long"),
    bad("endless request line", b"GET /" + b"a" * 9_000, "RFC 9112 3", 414, "uri-too-long"),
    good("longest header", get(b"X: " + b"y" * (MAX_LINE - 3) + b"\r\n"), "RFC 6585 5"),
    bad("header one byte longer", get(b"X: " + b"y" * (MAX_LINE - 2) + b"\r\n"),
        "RFC 6585 5", 431, "headers-too-large"),
    good("most headers", get(b"X: y\r\n" * (MAX_FIELDS - 1)), "RFC 6585 5"),
    bad("one header more", get(b"X: y\r\n" * MAX_FIELDS),
        "RFC 6585 5", 431, "headers-too-large"),
    bad("large headers", get((b"X: " + b"y" * 8_000 + b"\r\n") * 9),
        "RFC 6585 5", 431, "headers-too-large"),
    bad("endless header", GET + b"X: " + b"y" * 9_000, "RFC 6585 5", 431, "headers-too-large"),
    bad("endless headers", GET + b"X: y\r\n" * 20_000, "RFC 6585 5", 431, "headers-too-large"),
    bad("body over the limit", post(b"Content-Length: 65537\r\n", b""),
        "RFC 9110 15.5.14", 413, "body-too-large"),
    bad("chunks over the limit", CHUNKED + b"ffff\r\n" + b" " * 65_535 + b"\r\n3\r\n   \r\n",
        "RFC 9110 15.5.14", 413, "body-too-large"),
    Case("body over the limit for nobody", b"POST /none HTTP/1.1\r\nHost: a\r\n"
         b"Content-Length: 10737418240\r\n\r\n", 404, "not-found", "404 goes before 413"),
]  # fmt: skip

FRAMING = [
    bad("length and chunks", post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"0\r\n\r\n"), "RFC 9112 6.1"),
    bad("chunks and length", post(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"0\r\n\r\n"), "RFC 9112 6.1"),
    bad("two lengths", post(b"Content-Length: 0\r\nContent-Length: 12\r\n"), "RFC 9112 6.3"),
    bad("the same length twice", post(b"Content-Length: 12\r\n" * 2), "RFC 9112 6.3"),
    bad("length with a sign", post(b"Content-Length: +12\r\n"), "RFC 9112 6.3"),
    bad("negative length", post(b"content-length: -10\r\n"), "waitress bad_content_length_minus"),
    bad("empty length", post(b"Content-Length:\r\n"), "RFC 9112 6.3"),
    bad("length that wraps around", post(b"Content-Length: 18446744073709551628\r\n"),
        "RFC 9110 8.6"),
    bad("gzip, chunked", post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"),
        "RFC 9112 6.1", 501, "not-implemented"),
    bad("gzip and chunked", post(b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", b""),
        "waitress transfer_encoding_invalid_multiple", 501, "not-implemented"),
    bad("gzip", post(b"Transfer-Encoding: gzip\r\n"),
        "h11 test_normalize_and_validate", 501, "not-implemented"),
    bad("identity", post(b"Transfer-Encoding: identity\r\n"),
        "RFC 9112 7.3", 501, "not-implemented"),
    bad("pigeons", post(b"Transfer-Encoding: pigeons\r\n"),
        "llhttp transfer-encoding.md: pigeons", 501, "not-implemented"),
    bad("chunked, gzip", post(b"Transfer-Encoding: chunked, gzip\r\n"), "RFC 9112 6.3"),
    bad("chunked, chunked", post(b"Transfer-Encoding: chunked, chunked\r\n"), "RFC 9112 6.1"),
    bad("empty coding", post(b"Transfer-Encoding:\r\nContent-Length: 12\r\n"),
        "llhttp transfer-encoding.md: Empty"),
    bad("coding after a comma", post(b"Transfer-Encoding: ,chunked\r\n", b"0\r\n\r\n"),
        "RFC 9112 6.1"),
    bad("coding with a vertical tab", post(b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"),
        "waitress invalid_whitespace_vtab"),
    bad("coding that lowers to chunked", post(b"Transfer-Encoding: chun\xe2\x84\xaaed\r\n", b""),
        "waitress transfer_encoding_invalid_unicode"),
    bad("chunks in HTTP/1.0", CHUNKED.replace(b"1.1", b"1.0", 1) + b"0\r\n\r\n", "RFC 9112 6.1"),
    good("length with leading zeros", post(b"Content-Length: 0012\r\n"), "RFC 9110 8.6"),
    good("coding in another case", post(b"transfer-encoding: ChUnKed\r\n",
         b"c\r\n" + PING + b"\r\n0\r\n\r\n"), "waitress test_parse_header_11_te_chunked"),
    good("GET with a body", get(b"Content-Length: 3\r\n") + b"abc", "RFC 9110 9.3.1"),
    good("an empty line after the body", SIZED + b"\r\n" + PING + b"\r\n", "RFC 9112 2.2"),
]  # fmt: skip

_C = b"\r\n" + PING + b"\r\n0\r\n\r\n"  # what follows the size of a chunk with the whole ping
CHUNKS = [
    chunked("two chunks", b'5\r\n{"pin\r\n7\r\ng":"a"}\r\n0\r\n\r\n', "RFC 9112 7.1"),
    chunked("leading zeros", b"000c\r\n" + PING + b"\r\n000\r\n\r\n",
            "llhttp transfer-encoding.md: triple zero prefixed end chunk"),
    chunked("upper case size", b"C" + _C, "llhttp transfer-encoding.md: uppercase size"),
    chunked("extensions", b"c;ilovew3;somuchlove=aretheseparametersfor;another=withvalue" + _C,
            "llhttp transfer-encoding.md: Chunk extensions"),
    chunked("quoted extension", b'c;ilovew3="I \\"love\\"; \\\\extensions\\\\";blah;foo=bar' + _C,
            "llhttp transfer-encoding.md: Chunk extensions quoting"),
    chunked("blanks around the semicolon", b"c ; hello=there" + _C, "RFC 9112 7.1.1"),
    chunked("blanks everywhere", b'c\t;\ta \t= \tb ;c\t=\t"d"' + _C, "RFC 9112 7.1.1"),
    chunked("extensions of the last chunk", b"c\r\n" + PING + b'\r\n0; random="junk"; some=more\r\n'
            b"\r\n", "h11 test_ChunkedReader"),
    chunked("trailers", b"c\r\n" + PING + b"\r\n0\r\nVary: *\r\nContent-Type: text/plain\r\n"
            b"Content-Length: 99\r\nHost: b\r\nX:\r\n\r\n",
            "llhttp transfer-encoding.md: Trailing headers"),
    chunked("an empty line after the chunks", b"c" + _C + b"\r\n", "RFC 9112 2.2"),
    broken("size that is no number", b"garbage" + _C, "waitress garbage_in_input"),
    broken("empty size", _C, "RFC 9112 7.1"),
    broken("size with a sign", b"+c" + _C, "waitress test_received_invalid_size"),
    broken("size with 0x", b"0xc" + _C, "waitress test_received_invalid_size"),
    broken("blank before the size", b" c" + _C, "waitress test_received_invalid_size"),
    broken("blank after the size", b"c " + _C, "RFC 9112 7.1"),
    broken("size of many digits", b"9" * 100 + _C, "h11 test_ChunkedReader"),
    broken("size that wraps around", b"1000000000000000c" + _C, "RFC 9112 7.1"),
    broken("lone LF after the size", b"c\n" + PING + b"\r\n0\r\n\r\n", "RFC 9112 2.2"),
    broken("words without a semicolon", b"c erfrferferf" + _C,
           "llhttp transfer-encoding.md: No semicolon before chunk extensions"),
    broken("semicolon alone", b"c;" + _C, "llhttp transfer-encoding.md: No extension"),
    broken("extension without a value", b"c;invalid=" + _C, "waitress invalid_extensions"),
    broken("extension without a name", b"c;=a" + _C, "RFC 9112 7.1.1"),
    broken("open quote", b'c;a="abc";b="def; ghi' + _C,
           "llhttp transfer-encoding.md: Unbalanced chunk extensions quoting"),
    broken("lone LF in an extension", b"c;\n" + _C, "waitress invalid_extensions"),
    broken("endless extension", b"c;" + b"a" * 10_000, "RFC 9112 7.1.1"),
    broken("chunk longer than its size", b"4\r\nWikibadchunk\r\n0\r\n\r\n",
           "waitress chunk_not_properly_terminated"),
    broken("chunk shorter than its size", b"d" + _C, "RFC 9112 7.1"),
    broken("trailer without a colon", b"c\r\n" + PING + b"\r\n0\r\nX\r\n\r\n", "RFC 9112 7.1.2"),
    broken("trailer folded", b"c\r\n" + PING + b"\r\n0\r\nX: y\r\n z\r\n\r\n", "RFC 9112 5.2"),
    broken("trailer with a lone LF", b"c\r\n" + PING + b"\r\n0\r\nX: y\n\r\n", "RFC 9112 2.2"),
    broken("endless trailers", b"0\r\n" + b"X: y\r\n" * 3_000, "RFC 9112 7.1.2"),
]  # fmt: skip

# What clients and proxies send, byte for byte where it matters.
CLIENTS = [
    good("curl", b"GET /system/live HTTP/1.1\r\nHost: a:8000\r\nUser-Agent: curl/7.88.1\r\n"
         b"Accept: */*\r\n\r\n", "curl"),
    good("curl --http2", b"POST /system/smoke-test HTTP/1.1\r\nHost: a:8000\r\n"
         b"User-Agent: curl/7.88.1\r\nAccept: */*\r\nConnection: Upgrade, HTTP2-Settings\r\n"
         b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
         b"Content-Type: application/json\r\nContent-Length: 12\r\n\r\n" + PING, "curl"),
    good("curl -T -", b"PUT /system/smoke-test HTTP/1.1\r\n".replace(b"PUT", b"POST") + HOST +
         b"User-Agent: curl/7.88.1\r\nAccept: */*\r\nTransfer-Encoding: chunked\r\n"
         b"Content-Type: application/json\r\nExpect: 100-continue\r\n\r\nc" + _C, "curl"),
    good("Java HttpClient", b"POST /system/smoke-test HTTP/1.1\r\n"
         b"Connection: Upgrade, HTTP2-Settings\r\nContent-Length: 12\r\nHost: a:8000\r\n"
         b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nUpgrade: h2c\r\n"
         b"User-Agent: Java-http-client/17\r\nContent-Type: application/json\r\n\r\n" + PING,
         "java.net.http"),
    good("Java HttpURLConnection", b"GET /system/live HTTP/1.1\r\nUser-Agent: Java/17.0.1\r\n"
         b"Host: a:8000\r\nAccept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2\r\n"
         b"Connection: keep-alive\r\n\r\n", "java.net"),
    good("node", b"POST /system/smoke-test HTTP/1.1\r\nContent-Type: application/json\r\n"
         b"Host: a:8000\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\nc" + _C,
         "node:http"),
    good("nginx as a proxy", b"POST /system/smoke-test HTTP/1.0\r\nHost: app_servers\r\n"
         b"Connection: close\r\nContent-Length: 12\r\nContent-Type: application/json\r\n"
         b"X-Real-IP: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.1, 10.0.0.1\r\n\r\n" + PING, "nginx"),
    good("HAProxy's check", b"OPTIONS / HTTP/1.0\r\n\r\n", "HAProxy option httpchk"),
    good("HAProxy's check with a Host", b"GET /system/live HTTP/1.1\r\nhost: a\r\n"
         b"content-length: 0\r\n\r\n", "HAProxy http-check send"),
    good("Kubernetes' probe", b"GET /system/live HTTP/1.1\r\nHost: 10.0.0.7:8000\r\n"
         b"User-Agent: kube-probe/1.30\r\nAccept: */*\r\nConnection: close\r\n\r\n", "kubelet"),
    good("AWS's health check", b"GET /system/live HTTP/1.1\r\nHost: 10.0.0.7:8000\r\n"
         b"Connection: close\r\nUser-Agent: ELB-HealthChecker/2.0\r\nAccept-Encoding: gzip, "
         b"compressed\r\n\r\n", "AWS ALB"),
    good("websocket handshake", get(b"Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
         b"Sec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\nOrigin: http://example.com\r\n"),
         "llhttp connection.md: Upgrade GET request"),
]  # fmt: skip

CASES = [
    *(*REQUEST_LINES, *TARGETS, *HOSTS, *FIELDS),
    *(*LIMITS, *FRAMING, *CHUNKS, *CLIENTS),
]
# What would be served if the server took the bytes after a rejected request for another one.
SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
