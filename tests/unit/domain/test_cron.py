"""Schedules: strict to read, and never late by more than they say."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain.cron import parse_schedule
from modeltrust.domain.errors import InvalidInputError


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("schedule", "now", "expected"),
    [
        ("0 3 * * *", "2026-11-24T02:59:59", "2026-11-24T03:00"),
        ("0 3 * * *", "2026-11-24T03:00:00", "2026-11-25T03:00"),
        ("*/15 * * * *", "2026-11-24T11:46:00", "2026-11-24T12:00"),
        ("5-10/5 1,13 * * *", "2026-11-24T01:06:00", "2026-11-24T01:10"),
        ("0 0 1 JAN *", "2026-11-24T00:00:00", "2027-01-01T00:00"),
        ("0 0 29 2 *", "2026-11-24T00:00:00", "2028-02-29T00:00"),
        ("0 0 * * 7", "2026-11-24T00:00:00", "2026-11-29T00:00"),
        ("0 0 * * MON-FRI", "2026-11-28T00:00:00", "2026-11-30T00:00"),
        ("0 0 25 * SUN", "2026-11-24T00:00:00", "2026-11-25T00:00"),
        ("30/10 4 * * *", "2026-11-24T04:35:00", "2026-11-24T04:40"),
    ],
)
def test_the_next_time_is_what_cron_says(schedule: str, now: str, expected: str) -> None:
    assert parse_schedule(schedule).next_after(at(now)) == at(expected)


def test_a_day_that_never_comes_has_no_next_time() -> None:
    assert parse_schedule("0 0 31 2 *").next_after(at("2026-11-24T00:00:00")) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "* * * * * *",
        "@daily",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "*/0 * * * *",
        "5-1 * * * *",
        "1, * * * *",
        "a * * * *",
        "? * * * *",
        "MON * * * *",
        "*-5 * * * *",
        "1//2 * * * *",
        "\u0661 * * * *",
        "-1 * * * *",
        "*  * * * *",
        "1/MON * * * *",
        "* * * * FOO",
        "٣ * * * *",
    ],
)
def test_another_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_schedule(text)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 59), st.integers(0, 23), st.sampled_from(["*", "1-7", "*/9"]), st.integers(0, 4_000_000_000))
def test_the_next_time_is_later_and_fits(minute: int, hour: int, days: str, now: int) -> None:
    found = parse_schedule(f"{minute} {hour} {days} * *").next_after(now)

    assert found is not None
    assert found > now
    moment = datetime.fromtimestamp(found, UTC)
    assert (moment.minute, moment.hour, moment.second) == (minute, hour, 0)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="0123456789*,/-?ABCFIJMNORSU ", max_size=30))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    try:
        parse_schedule(text).next_after(0)
    except InvalidInputError:
        return
