"""What no generator of test data can know of the API's values."""

import datetime
import os
import uuid

import schemathesis
from schemathesis.core.parameters import ParameterLocation

KEY = "Idempotency-Key"
LONGEST_KEY = 255

# What ends or rests something, and a thing of which the run needs nothing.
DECOYS = {
    "erase_member": ("member_id", "DECOY_MEMBER"),
    "revoke_key": ("key_id", "DECOY_KEY"),
    "suspend_merchant": ("merchant_id", "DECOY_MERCHANT"),
    "suspend_store": ("store_id", "DECOY_STORE"),
}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Changes valid values that only look valid.

    A cursor is sealed by the server: one that is made up is refused, as it should be. It is left
    out where the rest of the query is valid.

    An idempotency key means one act: the generator likes to use "0" for many, which is refused, as
    it should be. Each valid key gets an end of its own.

    A pattern knows no calendar: a 30 February or a 53rd week of a year of 52 becomes a month that is.

    A key, a member, a merchant or a store of the run itself is spared, so that the run goes on.
    """
    name, decoy = DECOYS.get(case.operation.definition.raw.get("operationId"), (None, None))
    if name in (case.path_parameters or {}) and not negative(case, ParameterLocation.PATH):
        case.path_parameters[name] = os.environ[decoy]
    if case.query and not negative(case, ParameterLocation.QUERY):
        case.query.pop("cursor", None)
        keep_to_the_calendar(case.query)
    if isinstance(case.body, dict) and not negative(case, ParameterLocation.BODY):
        keep_to_the_calendar(case.body)
    headers = case.headers or {}
    key = headers.get(KEY)
    if isinstance(key, str) and key and not negative(case, ParameterLocation.HEADER):
        end = uuid.uuid4().hex
        headers[KEY] = key[: LONGEST_KEY - len(end)] + end


def keep_to_the_calendar(values):
    """Puts a month into the place of a period that no calendar has."""
    period = values.get("period")
    if not isinstance(period, str) or len(period) == len("2017-06"):
        return
    try:
        if "W" in period:
            year, week = period.split("-W")
            datetime.date.fromisocalendar(int(year), int(week), 1)
        else:
            datetime.date.fromisoformat(period)
    except ValueError:
        values["period"] = "2017-06"


def negative(case, location):
    """Whether something in that place was made invalid on purpose."""
    return case.meta is not None and case.meta.is_negative_at(location)
