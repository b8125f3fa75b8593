"""Single messages of a wallet, made and examined by hand. Nothing is sent; no server is needed."""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from pydantic import TypeAdapter, ValidationError

from schemas.base import Time
from schemas.strict_json import MAX_RECORD_BYTES, MalformedRecordError, loads_object
from service.cli.context import NoError, print_json, settings, wants_json
from service.clock import SystemClock
from service.wallets.adapter import BuilderRefusedError, RawCallback
from service.wallets.by_hand import NO_PATH, FieldsRefusedError, RawAnswer, SignedMessage, WalletByHand
from service.wallets.workbench import NotByHandError, by_hand, examine_order_string

_TIME: Final[TypeAdapter[datetime]] = TypeAdapter(Time)

Profile = Annotated[str, typer.Option(help="The wallet profile, of the file of --config.", metavar="P")]
Method = Annotated[
    str, typer.Option(help="The wallet's name of the call: alipay.trade.query, inquiryPayment.", metavar="M")
]
Timestamp = Annotated[
    str | None, typer.Option(help="The message's time, RFC 3339; now if it is not given.", metavar="T")
]
At = Annotated[
    str | None, typer.Option("--at", help="When it arrived, RFC 3339; now if it is not given.", metavar="T")
]
Headers = Annotated[
    Path | None, typer.Option(help="A file with the HTTP headers, as a JSON object.", metavar="H.json")
]
HeadersTo = Annotated[
    Path | None, typer.Option(help="Write the HTTP headers there, as --headers takes them.", metavar="H.json")
]
RequestPath = Annotated[
    str,
    typer.Option("--path", help="The path that is signed, with its query; else the profile's.", metavar="/P"),
]


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(
        help="Make and examine single messages of a wallet, from standard input. Nothing is sent.",
        no_args_is_help=True,
    )
    app.add_typer(group, name="wallet")
    group.command("order-string")(order_string)
    group.command("parse-order-string")(parse_order_string)
    group.command("verify-callback")(verify_callback)
    group.command("verify-response")(verify_response)
    group.command("sign-callback")(sign_callback)
    group.command("sign-request")(sign_request)


def order_string(
    context: typer.Context,
    profile: Profile,
    timestamp: Timestamp = None,
    method: Annotated[
        str | None, typer.Option(help="A payment or a freeze, by the fields, if it is not given.", metavar="M")
    ] = None,
) -> None:
    """Make the orderStr of a biz_content object (JSON). Exit code 1 for what a wallet would refuse."""
    wallet = _wallet(context, profile)
    at = _moment(timestamp, "--timestamp")
    try:
        made = wallet.order_string(_object("biz_content"), method, at)
    except BuilderRefusedError as error:
        raise NoError(f"a wallet would refuse it: {error}") from None
    if wants_json(context):
        print_json(asdict(made))
    else:
        print(made.order_str)


def parse_order_string(
    context: typer.Context,
    profile: Annotated[
        str | None, typer.Option(help="Verify with this profile's own public half.", metavar="P")
    ] = None,
) -> None:
    """Read an orderStr and say what is wrong with it. Exit code 1 when it is damaged or not verified."""
    raw = _input()
    examine = examine_order_string if profile is None else _wallet(context, profile).examine_order_string
    found = examine(raw)
    if wants_json(context):
        print_json(asdict(found))
    else:
        for name, value in found.params.items():
            if name != "biz_content" or found.biz_content is None:
                print(f"{name} = {value}")
        _print_members("biz_content.", found.biz_content)
        print(f"\nsignature: {found.signature}")
        for problem in found.problems:
            print(f"- {problem}")
        print("ok" if found.ok else "NO: do not use it")
    _exit(ok=found.ok)


def verify_callback(
    context: typer.Context,
    profile: Profile,
    *,
    headers: Headers = None,
    path: RequestPath = NO_PATH,
    at: At = None,
) -> None:
    """Verify a callback's body and say what it tells of an order. Exit code 1 when it is not to be believed."""
    wallet = _wallet(context, profile)
    callback = RawCallback("POST", path, _headers(headers), _input(), _moment(at, "--at"))
    found = wallet.examine_callback(callback)
    if wants_json(context):
        print_json(asdict(found))
    else:
        print(f"{'ok' if found.ok else 'NO'}: {found.reason}")
        _print_members("", found.fact)
    _exit(ok=found.ok)


def verify_response(
    context: typer.Context,
    profile: Profile,
    method: Method,
    *,
    headers: Headers = None,
    path: RequestPath = NO_PATH,
    at: At = None,
) -> None:
    """Verify the answer to a call and say how that went. Exit code 1 when it is not to be believed."""
    wallet = _wallet(context, profile)
    answer = RawAnswer(method, _input(), _moment(at, "--at"), _headers(headers), path)
    found = wallet.examine_answer(answer)
    if wants_json(context):
        print_json(asdict(found))
    else:
        print(f"{'ok' if found.ok else 'NO'}: {found.reason}")
        print(f"outcome: {found.outcome}{f' ({found.code})' if found.code else ''}")
        _print_members("", found.body)
    _exit(ok=found.ok)


def sign_callback(
    context: typer.Context, profile: Profile, timestamp: Timestamp = None, headers_to: HeadersTo = None
) -> None:
    """Sign the callback with these fields (JSON), as a wallet that holds the profile's private key would."""
    wallet = _wallet(context, profile)
    at = _moment(timestamp, "--timestamp")
    try:
        signed = wallet.sign_callback(_object("fields"), at)
    except FieldsRefusedError as error:
        raise NoError(str(error)) from None
    if headers_to is not None:
        _write_headers(headers_to, signed)
    elif "signature" in signed.headers and not wants_json(context):
        print("its signature is in the headers: --headers-to H.json writes them", file=sys.stderr)
    if wants_json(context):
        print_json({"headers": dict(signed.headers), "body": signed.body.decode("ascii")})
    else:
        # As it is, without a line's end: so it can be piped on.
        sys.stdout.write(signed.body.decode("ascii"))


def sign_request(context: typer.Context, profile: Profile, method: Method, timestamp: Timestamp = None) -> None:
    """Sign a call with this biz_content object (JSON). Exit code 1 for what a wallet would refuse."""
    wallet = _wallet(context, profile)
    at = _moment(timestamp, "--timestamp")
    try:
        signed = wallet.sign_request(method, _object("biz_content"), at)
    except BuilderRefusedError as error:
        raise NoError(f"a wallet would refuse it: {error}") from None
    if wants_json(context):
        print_json(_request_document(signed))
    else:
        print(f"POST {signed.url}", *(f"{name}: {value}" for name, value in signed.headers.items()), sep="\n")
        print(f"\n{signed.body.decode('utf-8')}")


def _write_headers(file: Path, signed: SignedMessage) -> None:
    try:
        file.write_text(json.dumps(dict(signed.headers), indent=2) + "\n", "utf-8")
    except OSError as error:
        raise typer.BadParameter(f"cannot write {file}: {error.strerror}", param_hint="--headers-to") from None


def _request_document(signed: SignedMessage) -> dict[str, Any]:
    return {
        "url": signed.url,
        "query": signed.query,
        "headers": dict(signed.headers),
        "body": signed.body.decode("utf-8"),
    }


def _wallet(context: typer.Context, name: str) -> WalletByHand:
    profiles = settings(context).profiles
    if name not in profiles:
        known = ", ".join(sorted(profiles)) or "none: name a file with --config"
        raise typer.BadParameter(f"no profile is named {name!r}; there is {known}", param_hint="--profile")
    try:
        return by_hand(name, profiles[name])
    except NotByHandError as error:
        raise typer.BadParameter(str(error), param_hint="--profile") from None


def _moment(text: str | None, option: str) -> datetime:
    if text is None:
        return SystemClock().now()
    try:
        return _TIME.validate_python(text)
    except ValidationError:
        raise typer.BadParameter(
            f"{text!r} is not an RFC 3339 time with a zone, such as 2026-03-01T12:00:00Z", param_hint=option
        ) from None


def _input() -> bytes:
    """Standard input to its end, as the bytes that it is."""
    raw = sys.stdin.buffer.read(MAX_RECORD_BYTES + 1)
    if len(raw) > MAX_RECORD_BYTES:
        raise typer.BadParameter(f"standard input has more than {MAX_RECORD_BYTES} bytes")
    return raw


def _object(what: str) -> dict[str, Any]:
    try:
        return loads_object(_input())
    except MalformedRecordError as error:
        raise typer.BadParameter(f"standard input should be the {what} object: {error}") from None


def _headers(file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    try:
        given = loads_object(file.read_bytes())
    except OSError as error:
        raise typer.BadParameter(f"cannot read {file}: {error.strerror}", param_hint="--headers") from None
    except MalformedRecordError as error:
        raise typer.BadParameter(f"{file}: {error}", param_hint="--headers") from None
    if not all(isinstance(value, str) for value in given.values()):
        raise typer.BadParameter(f"{file}: every header should be a string", param_hint="--headers")
    return {name.lower(): value for name, value in given.items()}


def _print_members(before: str, members: Mapping[str, Any] | None) -> None:
    for name, value in (members or {}).items():
        if value is not None and value != "":
            print(f"{before}{name} = {value}")


def _exit(*, ok: bool) -> None:
    if not ok:
        raise typer.Exit(1)
