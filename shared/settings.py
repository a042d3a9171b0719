"""Reads the environment once, into one frozen `Settings`. Nothing else in the project reads it, except for the packages
of OpenTelemetry, which have further variables (shared/tracing/variables.py).

Every limit has a name, a default for development, and a check for production where that matters.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

from shared.access.origins import origin_fault
from shared.access.secret_faults import secrets_fault
from shared.access.smtp_server import SmtpServer, is_mailbox

_MAY_BE_0 = frozenset({"new_account_days", "similar_messages_people"})
"""Settings that 0 switches off."""
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
LOG_FORMATS = ("", "json", "text")
_MOST_SECONDS = 2_000_000.0
"""About three weeks: close to the longest time that Postgres and timers accept in milliseconds."""
_MOST_TOKEN_SECONDS = 10 * 365 * 24 * 3600
_MOST_DAYS = 100 * 365
_MOST_BYTES = 2**62
_MOST = 2**31 - 1
MOST_WORKERS = 128
"""Beyond any machine; each worker has connections to Postgres of its own."""


_SECRET = "secret"
"""The key, in a field's metadata, of a setting that may come from a file."""


class InvalidSettings(ValueError):
    """The environment cannot be used. The message is one line that names the variable."""


def _secret(default: str | tuple[str, ...] = "") -> Any:
    """A setting whose value is not shown, and may be in the file that the variable NAME_FILE names instead."""
    return field(default=default, repr=False, metadata={_SECRET: True})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings. A field's name is its variable in lower case; its unit is in the name or in the sentence below.

    A secret NAME is read from the file NAME_FILE if that variable is given instead, as container engines mount secrets.
    """

    environment: str = "development"
    """`development` or `production`."""
    database_url: str = _secret()
    """In any form that libpq reads, also Unix sockets and several hosts; required in production."""
    database_password: str = _secret()
    """The password for `database_url`, unless that has one."""
    database_pooler: str = ""
    """`on`: between the process and Postgres is a pooler that lends a session for one transaction, as PgBouncer does in
    transaction mode. `off`: there is none, or it lends a session for as long as the connection. Empty: the process
    notices it."""
    redis_url: str = _secret()
    """In any form that redis-py reads; `redis+cluster://` for a Redis Cluster; `redis+sentinel://host:port,host:port/service`
    for sentinels; required in production."""
    redis_password: str = _secret()
    """The password for `redis_url`, unless that has one."""
    redis_sentinel_password: str = _secret()
    """The password of the sentinels in `redis_url`, unless that has one, as `sentinel_password`."""
    jwt_secrets: tuple[str, ...] = _secret(default=())
    """The keys of tokens and of messages between processes, with commas between them, each of at least 32 random bytes.
    The first one signs; what any of them signed is accepted. A single key may be given as JWT_SECRET instead. Required
    in production; development makes one and keeps it."""
    data_directory: Path = Path(".daveslist")
    """The folder for development's servers, secret and pictures."""
    allowed_origins: tuple[str, ...] = ()
    """Origins that may connect or call: `https://example.com`, `https://*.example.com` (this domain and all below it),
    both also without the scheme; `null` and `file://` for apps made of local files; `*` for any. Empty: any in
    development, the same host and port in production."""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks of proxies whose X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host are trusted."""
    log_level: str = "INFO"
    """`DEBUG`, `INFO`, `WARNING` or `ERROR`."""
    log_format: str = ""
    """`json` for JSON lines, `text` for short lines that a person reads. Empty: `text` where standard error is a
    terminal, else `json`."""
    no_color: str = ""
    """With any value, lines for people have no colours. They have none where standard error is no terminal."""
    term: str = ""
    """The kind of terminal, which the terminal itself sets. `dumb`: it shows no colours."""
    otel_exporter_otlp_endpoint: str = ""
    """The receiver of traces (OpenTelemetry, OTLP over HTTP), such as `http://127.0.0.1:4318`. Empty: no traces are
    made. The further variables of OpenTelemetry count too, such as `OTEL_EXPORTER_OTLP_HEADERS` and
    `OTEL_TRACES_SAMPLER`. A value that cannot be used ends the start."""
    otel_exporter_otlp_traces_endpoint: str = ""
    """The same with its whole path, such as `http://127.0.0.1:4318/v1/traces`."""
    otel_exporter_otlp_traces_protocol: str = ""
    """`http/protobuf` is the only one. Empty: `otel_exporter_otlp_protocol` counts."""
    otel_exporter_otlp_protocol: str = ""
    """`http/protobuf` is the only one."""
    otel_traces_exporter: str = ""
    """`otlp` makes traces, and `none` makes none. Empty: the endpoint decides."""
    otel_sdk_disabled: str = ""
    """`true` switches traces off, and `false` does not."""
    otel_service_name: str = ""
    """The name of the processes in traces. Empty: `service.name` of `OTEL_RESOURCE_ATTRIBUTES`, else `daveslist-api`
    and `daveslist-gateway`."""
    log_lines_per_second: float = 20.0
    """Log lines about one event that a process writes, per second in the long run. Further lines are left out; the next
    line about the event has their number in `left_out`."""
    log_line_burst: int = 200
    """Log lines about one event that a process may write at once."""
    log_lines_per_user_second: float = 1.0
    """Log lines about one event and one user, per second in the long run."""
    log_line_user_burst: int = 10
    """Log lines about one event and one user that may come at once."""
    request_lines_per_second: float = 200.0
    """Log lines about requests that change nothing, per second in the long run. Answers with 2xx, 3xx, 4xx and 5xx are
    counted apart. A request that changes something always has a line."""
    request_line_burst: int = 2000
    """Such lines that may come at once."""
    request_lines_per_client_second: float = 20.0
    """Such lines about one user, or about one address without a user, per second in the long run."""
    request_line_client_burst: int = 500
    """Such lines about one user or address that may come at once."""

    api_host: str = "127.0.0.1"
    """The address on which the API listens; `0.0.0.0` means all addresses."""
    api_port: int = 4001
    """The port on which the API listens."""
    api_workers: int = 1
    """Processes of `python -m api` that share its port, each a node of its own; `--workers` overrides it."""
    gateway_host: str = "127.0.0.1"
    """The address on which the gateway listens."""
    gateway_port: int = 4000
    """The port on which the gateway listens; the second gateway of `make run` takes this port plus two."""
    gateway_workers: int = 1
    """Processes of `python -m gateway` that share its port, each a node of its own; `--workers` overrides it."""
    gateway_url: str = ""
    """The gateway's address for browsers, such as `https://chat.example.com`. Empty: in development the page's own host
    with `gateway_port`; in production the page's own address, whose `/socket` the load balancer sends to gateways."""

    site_url: str = ""
    """The page's own address, such as `https://cars.example.com`, for the links in previews of shared pages, in feeds,
    in sitemaps and in mails. Empty: the address of the request; set it wherever a cache may keep pages, because anybody
    can name any host. With `smtp_url` it is required; development's mails lead to `api_port` without it."""

    smtp_url: str = _secret()
    """The server that sends mail: `smtp://host:25` (with STARTTLS if the server offers it), `smtp+starttls://host:587`
    (never without) or `smtps://host:465` (TLS from the start), with `user:password@` before the host for a log-in;
    characters that an address cannot have are percent-encoded. The server's certificate must be valid. Empty:
    development writes mails into `data_directory`, and production sends none and switches off what needs them."""
    mail_from: str = ""
    """The sender of all mails, as `cars@example.com` or `Cars <cars@example.com>`. Empty: `no-reply@` the host of
    `site_url`."""
    mail_seconds: float = 1.0
    """How often an API looks for mails that are to be sent."""
    mails_at_once: int = 5
    """Mails that an API sends at the same time, each over a connection of its own."""
    mail_timeout_seconds: float = 30.0
    """Sending a mail ends after this long, and is tried again later. A mail that an API has begun to send when it dies
    is sent by another one after twice this time."""
    mail_retry_seconds: float = 60.0
    """A mail that could not be sent is tried again after about this long, and after about twice as long each time after
    that."""
    mail_longest_retry_seconds: float = 3600.0
    """The longest time between two attempts to send a mail."""
    mail_give_up_seconds: float = 86400.0
    """A mail that has not been sent for this long is given up. One that the server refuses for good is given up at
    once."""
    daily_mail_seconds: float = 86400.0
    """A person gets at most one daily mail of each kind in this time; a fiftieth of it late at most."""
    confirm_addresses: str = ""
    """`on`: until people have confirmed their e-mail address by a link in a mail, they may neither publish nor write
    first, and a changed address counts when it has been confirmed. `off`: they get the link, and may do everything.
    Empty: `on` with `smtp_url`."""
    address_link_seconds: float = 259200.0
    """A link that confirms an e-mail address works for this long."""
    max_address_links: int = 5
    """Such links that one account gets in that time without using them, of which the last address's work; past it, no
    further mail is sent, and the address is not changed."""
    failed_mail_days: int = 30
    """A mail that was given up leaves a row without address and text, which is removed after this many days."""
    mail_cleaning_seconds: float = 3600.0
    """How often one of the APIs removes these rows, and links that have expired."""

    database_pool_size: int = 10
    """Connections to Postgres that a process may open."""
    database_timeout_seconds: float = 5.0
    """A statement that takes longer is ended, and counts as if Postgres were away: the client is told to try again."""

    analysis_seconds: float = 60.0
    """How often one of the APIs looks for listings whose words another version has made, to make them anew."""
    vocabulary_seconds: float = 900.0
    """How often one of the APIs collects the words that correct searches, and suggestions, from listings on show."""
    correction_seconds: float = 0.2
    """A search whose unknown words cannot be corrected within this time goes on without corrections."""

    currency: str = "USD"
    """The currency of all prices, by its code of ISO 4217. It says what the stored numbers mean, and changes none."""
    distance_unit: str = "mi"
    """The unit of all mileages, `mi` or `km`. It says what the stored numbers mean, and changes none."""

    listing_days: int = 60
    """A listing ends this many days after it was made or renewed: then only its seller and moderators see it."""
    end_warning_days: int = 7
    """The seller is told this many days before a listing ends. Keep it below `listing_days`."""
    new_account_days: int = 3
    """An account is new for so many days after it was made. Those of moderators and admins never are."""
    new_account_listings: int = 20
    """The most listings that a new account may make within a day, also counting those that it has deleted since."""
    new_account_people: int = 30
    """The most people to whom a new account may write first within a day."""
    similar_messages_people: int = 5
    """The same or nearly the same message to more people than this who have not answered is held for a moderator. With
    0, or with `RATE_LIMITS=off`, none is."""
    similar_questions_people: int = 20
    """The same for short questions, and for messages about the recipient's own listing."""
    similar_messages_seconds: float = 3600.0
    """Messages are compared with those of this time before."""
    held_message_seconds: float = 86400.0
    """A held message that no moderator has decided about for this long is delivered."""
    renewal_seconds: float = 86400.0
    """A listing can be renewed again this long after its last renewal, which puts it on top of the newest ones."""

    facets_seconds: float = 0.04
    """A search whose listings cannot be counted for each make, fuel and so on within this time is counted in part."""
    telling_seconds: float = 0.25
    """How often an API looks for changed listings of which somebody has to be told, after it has found none."""
    max_told_changes: int = 50
    """The most changed listings of which an API tells in one transaction."""
    looking_seconds: float = 2.0
    """How often an API looks for new pictures whose copies nobody has looked for yet, and for changes in the
    moderators' queue, after it has found none."""
    seen_alert_days: int = 30
    """An alert that its person has seen is removed this many days after it was told."""
    unseen_alert_days: int = 180
    """An alert that its person has not seen is removed this many days after it was told."""
    max_alerts_per_user: int = 5000
    """Alerts of one person that are kept; past it the oldest are removed."""
    alert_cleaning_seconds: float = 3600.0
    """How often one of the APIs removes old alerts."""

    repeatable_seconds: float = 86400.0
    """A request with an `Idempotency-Key` can be repeated for this long, and then has the same answer."""
    repeatable_cleaning_seconds: float = 3600.0
    """How often one of the APIs removes the keys and answers of older requests."""

    own_trash_days: int = 30
    """How long people can restore a listing of their own that they deleted; moderators can at any time."""
    erase_after_days: int = 30
    """Of people who have left, what is personal is erased after this many days."""
    erasure_seconds: float = 3600.0
    """How often one of the APIs looks whether there is somebody to erase, or an old address that needs its account."""

    waiting_seconds: float = 1.0
    """How often an API looks for messages and alerts of which somebody who is away has to be told."""
    waiting_unseen_seconds: float = 2.0
    """Only messages and alerts that nobody has seen for this long are looked at."""
    max_waiting_read: int = 2000
    """The most messages, and the most alerts, that one such look reads."""
    away_seconds: float = 10.0
    """Somebody is away who was found nowhere online twice, this long apart. Keep it above the time in which clients
    connect again, ten seconds at most."""
    away_again_seconds: float = 30.0
    """While somebody with unread messages is online, an API looks again after this long, and later less often: at
    intervals of a quarter of the time that the messages have waited, up to twenty times this."""
    message_mail_seconds: float = 300.0
    """Somebody who is away is told by mail of a message that has waited for this long."""

    vapid_private_key: str = _secret()
    """The key with which push messages are signed (RFC 8292): `python -m api push-key` prints a new one. Without it
    production sends none; development makes one and keeps it. With another key, browsers have to subscribe anew."""
    vapid_contact: str = ""
    """How push services reach the operator, `mailto:...` or `https://...`. Empty: `site_url`."""
    push_life_seconds: float = 86400.0
    """How long a push service keeps a message for a browser that is away."""
    push_retry_seconds: float = 3600.0
    """A push message is given up when its push service has not taken it for this long."""
    push_timeout_seconds: float = 10.0
    """A push service that has not answered for this long is asked again later."""
    max_pushes: int = 50
    """Push messages that an API sends at once."""
    push_private_endpoints: bool = False
    """`PUSH_PRIVATE_ENDPOINTS=on` allows push services without TLS and at private addresses, for tests only."""

    max_message_batch: int = 200
    """The most private messages that one statement stores."""
    max_waiting_messages: int = 20_000
    """Private messages of one process that may wait to be stored; past it, senders are told to try again."""

    catch_up_overlap_seconds: float = 60.0
    """Catching up begins this long before the last message that a client has seen, because that message may have
    overtaken older ones."""

    away_catch_up_seconds: float = 3.0
    """While a gateway has no link to Redis, it looks this often in Postgres for what it missed. Keep it well below
    `catch_up_overlap_seconds`, so that clients that leave in the meantime lose nothing."""

    password_workers: int = 2
    """Threads that hash passwords; each uses a core and 19 MiB while it works."""
    max_waiting_passwords: int = 200
    """Log-ins and registrations that may wait for such a thread; past it, clients are told to try again."""
    max_body_bytes: int = 128 * 1024
    """The largest body of a REST request, except pictures. A listing with the longest texts needs about half of it."""
    body_seconds: float = 30.0
    """The body of a REST request must arrive within this time, except pictures."""
    keepalive_seconds: float = 75.0
    """A REST connection without a request for this long is closed."""

    node_lease_seconds: float = 5.0
    """An API or gateway that has not reported to Postgres for this long counts as dead. Gateways then read from
    Postgres what it may have committed and not published."""

    redis_prefix: str = "daveslist:"
    """The beginning of every key and channel name. Deployments that share a Redis need different prefixes."""
    redis_timeout_seconds: float = 3.0
    """A Redis that has not answered for this long counts as away."""
    max_publish_queue: int = 10_000
    """Messages that may wait for Redis; past it the oldest are dropped, and nodes catch up from Postgres."""

    password_link_seconds: float = 3600.0
    """A link by which somebody who has forgotten the password chooses a new one works for this long."""
    max_password_links: int = 3
    """Such links of one account that work at the same time; past it, no further mail is sent."""
    access_token_seconds: int = 3600
    """The lifetime of an access token."""
    refresh_token_seconds: int = 30 * 24 * 3600
    """The lifetime of a refresh token, and how long a log-out is stored; at least `access_token_seconds`."""
    session_seconds: int = 90 * 24 * 3600
    """A session ends this long after its log-in, however often it is refreshed."""
    refresh_grace_seconds: float = 30.0
    """A refresh token may be used again for this long after its use, for clients that did not get the answer. A second
    use ends the session if it comes later, or if the successor has been used."""
    second_factor_for_staff: bool = False
    """`SECOND_FACTOR_FOR_STAFF=on`: without a second factor, moderators and admins may do only what users may."""
    rate_limits: bool = True
    """`RATE_LIMITS=off` turns all rate limits off, for load tests."""
    rate_limit_timeout_seconds: float = 0.5
    """When an API counts requests in Redis and gets no answer for this long, Redis counts as away. Until it is back,
    each API counts by itself: with two APIs, the limits are twice as high."""
    registrations_per_minute: int = 30
    """Registrations from one address. This limit and those down to `pictures_per_account_minute` hold for all APIs
    together. Of IPv6, a /64 network counts as one address; a /56 has four times, and a /48 sixteen times the limit."""
    logins_per_minute: int = 120
    """Log-ins from one address, right or wrong, except from devices that have logged in to the account before.
    Refreshes with a forged token have a limit of the same size, and are counted apart."""
    logins_per_account_minute: int = 20
    """Wrong passwords for one account. They are counted apart for each network (IPv4: /24, IPv6: /64), for each device
    that has logged in to the account before, and for each session that gives the current password."""
    guesses_per_account_minute: int = 200
    """Wrong passwords for one account from all networks together. Devices that have logged in to the account before are
    counted apart: all of them together have this many log-ins, right or wrong."""
    recoveries_per_minute: int = 30
    """Requests for a new password by mail, from one address."""
    recoveries_per_account_minute: int = 5
    """Requests for a new password of one account, or of one e-mail address without an account."""
    codes_per_account_minute: int = 10
    """Wrong codes of an account's second factor. Only somebody who knows the password can send one."""
    refreshes_per_session_minute: int = 30
    """Refreshes of one session."""
    writes_per_minute: int = 600
    """Requests that change something, from one address."""
    writes_per_account_minute: int = 300
    """Requests that change something, of one account."""
    pictures_per_account_minute: int = 30
    """Uploads of pictures, of one account."""
    exports_per_account_minute: int = 3
    """Copies of everything that is stored about a person, which one account reads."""
    reads_per_minute: int = 3000
    """Requests that read, from one address; and as many others, or `WRITES_PER_MINUTE` if that is more, also of those
    who may not. Each API counts these, searches and profiles by itself, so that a read does not wait for Redis."""
    searches_per_minute: int = 120
    """Searches for listings, from one address."""
    profiles_per_minute: int = 120
    """Profiles of users that one account reads."""
    max_searches: int = 3
    """Searches of one API that run at once; of one address at most half, so that others' need not wait for them. Keep
    it well below `database_pool_size`."""
    max_waiting_searches: int = 50
    """Searches of one API that may wait for others, half of them from one address; past it, clients are told to try
    again."""

    pictures_url: str = ""
    """`file://...` or `s3://bucket/prefix`; empty: a folder in the data directory."""
    aws_endpoint_url: str = ""
    """An S3-compatible server for `s3://` pictures, instead of Amazon's. The S3 client itself reads the other usual
    AWS_* variables for region and credentials."""
    aws_endpoint_url_s3: str = ""
    """The same, for S3 only; it takes precedence over `aws_endpoint_url`."""
    aws_access_key_id: str = _secret()
    """The key to the bucket of `s3://` pictures, unless the S3 client finds one by itself."""
    aws_secret_access_key: str = _secret()
    """The secret that belongs to `aws_access_key_id`."""
    pictures_timeout_seconds: float = 10.0
    """A request to the pictures' storage that takes longer, including retries, fails, and the client gets 503."""
    max_picture_bytes: int = 10 * 1024 * 1024
    """The largest uploaded picture."""
    max_picture_pixels: int = 60_000_000
    """The most pixels (width times height) of an uploaded picture that is no JPEG."""
    max_jpeg_pixels: int = 200_000_000
    """The most pixels of an uploaded JPEG, which needs less memory and time for each; phones make up to 200 million.
    The page makes pictures that are too large smaller before it sends them."""
    picture_side: int = 2048
    """The longer side of a stored picture, in pixels."""
    medium_side: int = 800
    """The longer side of a picture's medium size, in pixels: a car's page on a phone, or a list on a fine screen."""
    thumbnail_side: int = 480
    """The longer side of a thumbnail, in pixels."""
    picture_workers: int = 2
    """Worker processes for pictures of one API process; they start with the first pictures."""
    max_waiting_pictures: int = 16
    """Uploads that may arrive or wait for a worker process; past it, an upload gets 503 before its body is read."""
    picture_still_seconds: float = 20.0
    """An upload of a picture ends if less than 8 KiB of it arrive in this time. As long as it goes on, it may take as
    long as the client's line needs. Keep it below the time after which a proxy in front gives up."""
    picture_patience_seconds: float = 120.0
    """An upload that has taken longer than this ends when there is no free place for others."""
    max_arriving_parts: int = 32
    """Parts of pictures that may arrive at one API process at the same time, by uploads that go on after a lost
    connection; past it, a part gets 503. Each needs up to 1 MiB of memory."""
    unfinished_upload_seconds: float = 43_200.0
    """How long an upload that goes on after a lost connection is kept, from its begin on."""
    max_unfinished_upload_bytes: int = 2 * 1024 * 1024 * 1024
    """The most bytes of all uploads of all APIs that are not finished, in the pictures' storage; past it, none begins,
    and the page sends pictures in one piece. Those of one account are twelve pictures at the most."""
    picture_cpu_seconds: float = 5.0
    """CPU time that a worker process may use for one picture; past it the process ends. The largest pictures that the
    limits allow need two to three seconds."""
    picture_seconds: float = 20.0
    """How long a worker process may take for one picture, without waiting; past it the process is killed."""
    abandoned_files_seconds: float = 60.0
    """How often an API looks for files of removed pictures that could not be deleted at once."""
    picture_grace_seconds: float = 600.0
    """An upload that has no row this long after its first file was begun has failed, and its files are deleted. Keep it
    well above `pictures_timeout_seconds` and `database_timeout_seconds`."""
    missing_sizes_seconds: float = 3600.0
    """How often an API looks for pictures of earlier versions, to make the sizes that browsers choose from."""
    missing_likenesses_seconds: float = 3600.0
    """How often an API looks for pictures of earlier versions that later uploads cannot be compared with yet, to make
    their likeness."""
    picture_memory_bytes: int = 1536 * 1024 * 1024
    """The address space of a worker process. The largest WebP that `max_picture_pixels` allows needs most of it."""

    kept_pages_bytes: int = 24 * 1024 * 1024
    """An API keeps the pages that it rendered last, in so many bytes. A kept page costs less than half of another."""
    max_message_bytes: int = 1024 * 1024
    """The largest frame, and the largest body of a long-poll POST."""
    max_connections: int = 50_000
    """Open TCP connections of a gateway, also limited by its file descriptors; past it, connections are refused."""
    request_head_seconds: float = 10.0
    """The first request on a connection to a gateway must arrive within this time."""
    max_websockets_per_user: int = 1000
    """WebSockets that one user may have open on one node. Past it, connects are refused, so that one user cannot take
    all the places."""
    max_channels_per_connection: int = 100
    """Topics that one connection may have joined at the same time."""
    joins_per_second: float = 100.0
    """Joins and new access tokens of one user on one node, per second in the long run."""
    join_burst: int = 10_000
    """Joins and new access tokens that may come at once. It is large because after an outage a user's clients join all
    their topics again."""
    frames_per_second: float = 1000.0
    """Frames that one user may send to one node, per second in the long run. From a user who sends more, the node reads
    more slowly. Frames and bytes share one budget: half the frames leave half of `bytes_per_second`."""
    bytes_per_second: int = 2 * 1024 * 1024
    """Bytes of frames that one user may send to one node, per second in the long run. Answers to joins count too."""
    traffic_burst_seconds: float = 10.0
    """Frames and bytes that one user may send in this time may also come at once."""
    sends_per_second: float = 10.0
    """`send` events of one user on one node, per second in the long run."""
    send_burst: int = 100
    """`send` events that may come at once."""
    reads_per_second: float = 10.0
    """`read` events of one user on one node, per second in the long run; apart from `send`."""
    read_burst: int = 100
    """`read` events that may come at once."""
    typings_per_second: float = 10.0
    """`typing` events of one user on one node, per second in the long run; apart from `send`."""
    typing_burst: int = 100
    """`typing` events that may come at once."""
    max_crashes_per_connection: int = 20
    """A connection is closed when this many of its channels have crashed, for example because of events that they do
    not know."""
    max_backlog_messages: int = 1000
    """Messages of one connection that may wait for busy channels; past it, the gateway stops reading from it."""
    subscribe_timeout_seconds: float = 5.0
    """How long a join waits for Redis to confirm its subscription."""
    max_outbox_bytes: int = 4 * 1024 * 1024
    """Bytes that may wait for one slow reader; past it, its connection is closed."""
    max_total_outbox_bytes: int = 256 * 1024 * 1024
    """Bytes that may wait for all slow readers of a gateway; past it, those with the largest backlog are closed."""
    close_seconds: float = 5.0
    """How long the client of a closing connection has to read the last frames and to close; past it, the connection is
    cut."""
    idle_seconds: float = 60.0
    """A connection on which the client has sent nothing for this long is closed."""
    longpoll_window_seconds: float = 10.0
    """How long a poll waits for messages. A session ends if it is not polled for one and a half times as long."""
    longpoll_beat_seconds: float = 2.0
    """While the answer to a long poll is incomplete, the gateway sends a sign of life this often. A proxy may give up a
    gateway that is silent for twice as long."""
    longpoll_body_seconds: float = 10.0
    """The body of a long-poll POST must arrive within this time."""
    max_longpoll_sessions_per_user: int = 100
    """Long-poll sessions that one user may have on one node; past it, the session that was polled longest ago ends."""
    node_call_seconds: float = 3.0
    """A gateway that does not answer another gateway for this long counts as dead."""
    presence_lease_seconds: float = 4.0
    """A gateway without a sign of life for this long is dead, and its users are no longer present."""
    presence_load_seconds: float = 1.0
    """How long a join waits to learn who is present on other nodes; past it, these users follow as a diff."""
    presence_diffs_per_second: float = 2.0
    """`presence_diff` events that a topic's members get, per second in the long run; past it several become one."""
    presence_diff_burst: int = 20
    """`presence_diff` events of a topic that may come at once."""
    max_presences_per_user: int = 20
    """Presences of one user in a topic that a node shows. The connections past it follow when others end."""
    max_listed_presences: int = 1000
    """The most presences in the `presence_state` that a client gets when it joins; the clients of larger topics get the
    others' changes only."""
    drain_seconds: float = 10.0
    """A stopping gateway spreads the closing of its sockets over this time."""
    shutdown_seconds: float = 30.0
    """A stopping process ends within this time, even if requests are still under way."""

    @property
    def is_production(self) -> bool:
        return self.environment == "production"

    @property
    def has_mail(self) -> bool:
        """Whether mails are sent, or written into files as in development."""
        return bool(self.smtp_url) or not self.is_production

    @property
    def mail_folder(self) -> Path | None:
        """Where mails are written instead of being sent; None if they are sent, or if there are none."""
        return self.data_directory / "mail" if self.has_mail and not self.smtp_url else None

    @property
    def confirms_addresses(self) -> bool:
        """Whether people have to confirm their addresses."""
        return self.confirm_addresses == "on" or (not self.confirm_addresses and bool(self.smtp_url))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read and check the environment. An empty variable counts as absent. Raises InvalidSettings."""
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for setting in fields(cls):
            if setting.name == "jwt_secrets":
                values[setting.name] = _jwt_secrets(environ)
                continue
            text = _given(setting.name.upper(), environ, may_be_in_file=_SECRET in setting.metadata)
            if text:
                values[setting.name] = _parse(setting.name, str(setting.type), text)
        settings = cls(**values)
        settings._check()
        return settings

    def _check(self) -> None:
        if self.environment not in ("development", "production"):
            raise InvalidSettings(f"ENVIRONMENT: must be 'development' or 'production', not {self.environment!r}")
        for name in ("jwt_secrets", "database_url", "redis_url"):
            if self.is_production and not getattr(self, name):
                raise InvalidSettings(f"{name.upper()}: required in production")
        if self.log_level.upper() not in LOG_LEVELS:
            raise InvalidSettings(f"LOG_LEVEL: must be one of {', '.join(LOG_LEVELS)}, not {self.log_level!r}")
        if self.log_format not in LOG_FORMATS:
            raise InvalidSettings(f"LOG_FORMAT: must be json or text, not {self.log_format!r}")
        if not re.fullmatch("[A-Z]{3}", self.currency):
            raise InvalidSettings(f"CURRENCY: must be three capital letters, like EUR, not {self.currency!r}")
        if self.distance_unit not in ("mi", "km"):
            raise InvalidSettings(f"DISTANCE_UNIT: must be mi or km, not {self.distance_unit!r}")
        for origin in self.allowed_origins:
            fault = origin_fault(origin)
            if fault:
                raise InvalidSettings(f"ALLOWED_ORIGINS: {origin!r} {fault}")
        for name in ("gateway_url", "site_url"):
            if (url := getattr(self, name)) and (not _is_web(url) or origin_fault(url)):
                raise InvalidSettings(f"{name.upper()}: must be a scheme and a host, like https://example.com")
        self._check_push()
        if self.smtp_url:
            try:
                SmtpServer.of(self.smtp_url)
            except ValueError as error:
                raise InvalidSettings(f"SMTP_URL: {error}") from None
            if not self.site_url:
                raise InvalidSettings("SITE_URL: required with SMTP_URL, because mails have links to the page")
        for name in ("confirm_addresses", "database_pooler"):
            if (value := getattr(self, name)) not in ("", "on", "off"):
                raise InvalidSettings(f"{name.upper()}: must be on or off, not {value!r}")
        if self.confirm_addresses == "on" and not self.has_mail:
            raise InvalidSettings("SMTP_URL: required with CONFIRM_ADDRESSES=on")
        if self.mail_from and not is_mailbox(self.mail_from):
            raise InvalidSettings("MAIL_FROM: must be an address, like cars@example.com or Cars <cars@example.com>")
        for name in ("aws_endpoint_url", "aws_endpoint_url_s3"):
            if (url := getattr(self, name)) and not _is_web(url):
                raise InvalidSettings(f"{name.upper()}: must begin with https:// or http://")
        for name in ("api_port", "gateway_port"):
            if not 0 < getattr(self, name) < 65536:
                raise InvalidSettings(f"{name.upper()}: must be between 1 and 65535, not {getattr(self, name)}")
        for setting in fields(self):
            value = getattr(self, setting.name)
            most = _most(setting.name)
            if type(value) in (int, float) and not 0 < value <= most and not (value == 0 and setting.name in _MAY_BE_0):
                raise InvalidSettings(f"{setting.name.upper()}: must be more than 0 and at most {most:g}, not {value}")
        least, lifetime = self.access_token_seconds, self.refresh_token_seconds
        if lifetime < least:
            raise InvalidSettings(
                f"REFRESH_TOKEN_SECONDS: must be at least ACCESS_TOKEN_SECONDS, {least}, not {lifetime}"
            )

    def _check_push(self) -> None:
        if self.vapid_private_key and not re.fullmatch("[A-Za-z0-9_-]{43}=?", self.vapid_private_key):
            raise InvalidSettings(
                "VAPID_PRIVATE_KEY: must be 32 bytes in base64url, as `python -m api push-key` prints"
            )
        if self.vapid_contact and not re.match("mailto:.+@|https://.", self.vapid_contact):
            raise InvalidSettings("VAPID_CONTACT: must begin with mailto: or https://")
        if not self.is_production:
            return
        if self.push_private_endpoints:
            raise InvalidSettings("PUSH_PRIVATE_ENDPOINTS: only for tests, not in production")
        if self.vapid_private_key and not self.vapid_contact and not self.site_url.startswith("https://"):
            raise InvalidSettings(
                "VAPID_CONTACT: required with VAPID_PRIVATE_KEY, unless SITE_URL begins with https://"
            )


def _given(name: str, environ: Mapping[str, str], *, may_be_in_file: bool) -> str:
    """Returns the variable's value, or the content of the file that its NAME_FILE names. Raises InvalidSettings."""
    text = environ.get(name, "").strip()
    path = environ.get(f"{name}_FILE", "").strip() if may_be_in_file else ""
    if not path:
        return text
    if text:
        raise InvalidSettings(f"{name}_FILE: give either this or {name}, not both")
    try:
        content = Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InvalidSettings(f"{name}_FILE: cannot read {path}: {os.strerror(error.errno or 0).lower()}") from None
    except UnicodeDecodeError:
        raise InvalidSettings(f"{name}_FILE: {path} is not UTF-8") from None
    if not content:
        raise InvalidSettings(f"{name}_FILE: {path} is empty")
    return content


def _jwt_secrets(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the list in JWT_SECRETS, or the one secret in JWT_SECRET; empty if neither is given.

    Raises InvalidSettings, whose text has no part of a secret.
    """
    several = _given("JWT_SECRETS", environ, may_be_in_file=True)
    single = _given("JWT_SECRET", environ, may_be_in_file=True)
    if several and single:
        raise InvalidSettings("JWT_SECRET: give either this or JWT_SECRETS, not both")
    if not several and not single:
        return ()
    # A single secret may have commas.
    found = (single,) if single else split_secrets(several)
    fault = secrets_fault(found)
    if fault:
        raise InvalidSettings(f"{'JWT_SECRET' if single else 'JWT_SECRETS'}: {fault}")
    return found


def split_secrets(text: str) -> tuple[str, ...]:
    """Returns the secrets between commas or, in a file, on lines of their own. Some of them may be empty."""
    return tuple(re.split(r"\s*[,\n]\s*", text.strip()))


def _most(name: str) -> float:
    if name in ("access_token_seconds", "refresh_token_seconds", "session_seconds"):
        return _MOST_TOKEN_SECONDS
    if name.endswith("_seconds"):
        return _MOST_SECONDS
    if name.endswith("_days"):
        return _MOST_DAYS
    if name in ("api_workers", "gateway_workers"):
        return MOST_WORKERS
    return _MOST_BYTES if name.endswith("_bytes") else _MOST


def _is_web(url: str) -> bool:
    return re.fullmatch(r"https?://[^\s/@?#*]+(?:/[^\s?#]*)?", url, re.IGNORECASE) is not None


def _list(text: str) -> list[str]:
    """Returns the parts between commas, stripped. Raises ValueError if there are none, which is surely a mistake."""
    parts = [part for part in (part.strip() for part in text.split(",")) if part]
    if not parts:
        raise ValueError(text)
    return parts


_EXPECTED = {"bool": "on or off", "int": "a whole number", "float": "a number", "tuple[str, ...]": "a list of origins"}


def _parse(name: str, kind: str, text: str) -> object:
    try:
        match kind:
            case "int":
                return int(text)
            case "float":
                number = float(text)
                if not math.isfinite(number):
                    raise ValueError(text)
                return number
            case "bool":
                return {"on": True, "off": False}[text.lower()]
            case "Path":
                return Path(text)
            case "tuple[str, ...]":
                return tuple(_list(text))
            case "tuple[IPv4Network | IPv6Network, ...]":
                return tuple(map(ip_network, _list(text)))
            case _:
                return text
    except (ValueError, KeyError):
        expected = _EXPECTED.get(kind, "a list of networks, like 10.0.0.0/8")
        raise InvalidSettings(f"{name.upper()}: must be {expected}, not {text!r}") from None
