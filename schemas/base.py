"""What all records have in common: strict types, additive fields ignored, times with a zone."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.functional_validators import AfterValidator, BeforeValidator

from schemas.identifiers import MAX_ORDER_ID_LENGTH, ORDER_ID_PATTERN, check_order_id
from schemas.money import MAX_AMOUNT_MINOR, exponent

# More would not be read.
MAX_PROBLEMS = 8
# What pydantic puts before the words of a ValueError: its name for the kind, of no use to whoever has to mend it.
VALUE_ERROR = "Value error, "


class Record(BaseModel):
    """A wire record: wrong types are refused (no "1" for 1), unknown fields are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


def _listed(currency: str) -> str:
    exponent(currency)
    return currency


OrderId = Annotated[
    str,
    AfterValidator(check_order_id),
    Field(
        min_length=1,
        max_length=MAX_ORDER_ID_LENGTH,
        json_schema_extra={"pattern": ORDER_ID_PATTERN},
        description="Names the order, here and to the wallet.",
    ),
]
EventId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64),
    Field(description="Unique in the order; the same id again is a duplicate."),
]
Currency = Annotated[
    str,
    AfterValidator(_listed),
    Field(min_length=3, max_length=3, json_schema_extra={"pattern": "^[A-Z]{3}$"}, description="ISO 4217."),
]
PositiveMinor = Annotated[int, Field(gt=0, le=MAX_AMOUNT_MINOR, description="In minor units.")]
Minor = Annotated[int, Field(ge=0, le=MAX_AMOUNT_MINOR, description="In minor units.")]
Reason = Annotated[str, StringConstraints(max_length=256)]


# RFC 3339, 5.6 `date-time`. pydantic alone also takes a string of digits, as seconds or milliseconds of Unix time,
# whichever looks likelier.
_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def _written_as_time(given: object) -> object:
    if isinstance(given, datetime) or (isinstance(given, str) and _RFC_3339.fullmatch(given)):
        return given
    raise ValueError("not an RFC 3339 time with a zone, such as 2026-03-01T12:00:00Z")


def _in_utc(moment: datetime) -> datetime:
    # A year at the edge of the calendar cannot be converted between zones, and no order is that old.
    if not 1970 < moment.year < 9999:  # noqa: PLR2004 - the two ends of what a calendar library takes
        raise ValueError(f"the year {moment.year} is not a time at which an order could happen")
    return moment.astimezone(UTC)


Time = Annotated[
    AwareDatetime,
    # Behind a function even JSON's strings count as a wrong type; the function has seen to it.
    Field(strict=False, description="RFC 3339, UTC."),
    BeforeValidator(_written_as_time),
    AfterValidator(_in_utc),
]


def in_words(error: ValidationError, *, tagged: bool = False) -> str:
    """A validation error as a person reads it: each field and what is wrong with it, in one line, never the value.

    `tagged`: of records that their `type` tells apart, whose places begin with it.
    """
    problems = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False)[:MAX_PROBLEMS]:
        parts = (problem["loc"][1:] or problem["loc"] or ("type",)) if tagged else problem["loc"]
        place = ".".join(map(str, parts))
        text = own_words(problem["msg"])
        problems.append(f"{place}: {text}" if place else text)
    return "; ".join(problems)


def own_words(message: str) -> str:
    """A message of pydantic without what it puts before the words of a ValueError of ours."""
    return message.removeprefix(VALUE_ERROR)
