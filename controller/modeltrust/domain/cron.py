"""Schedules of five fields, in UTC: minute, hour, day of month, month, day of week. Strict; no macros, no seconds, no ``?``.

As cron(5): lists, ranges, steps, names of months and days, 7 is Sunday; where both days are restricted either suffices.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, quote

_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTHS = {name: number for number, name in enumerate(_NAMES, start=1)}
_DAYS = {name: number for number, name in enumerate(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"])}
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _DAYS),
)
_SUNDAY = 7
_NUMBER_CHARACTERS = 2


@dataclass(frozen=True, slots=True)
class Schedule:
    """Parsed: what each field allows.

    Attributes:
        minutes: 0 to 59.
        hours: 0 to 23.
        days: of the month; None: every one.
        months: 1 to 12.
        weekdays: 0 is Sunday; None: every one.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] | None
    months: frozenset[int]
    weekdays: frozenset[int] | None

    def next_after(self, seconds: int) -> int | None:
        """The first moment behind another one, in unix seconds; None where none comes within limits.MONITOR_CRON_DAYS."""
        after = datetime.fromtimestamp(seconds, UTC)
        midnight = after.replace(hour=0, minute=0, second=0, microsecond=0)
        for _ in range(limits.MONITOR_CRON_DAYS):
            if self._on(midnight):
                for minutes in self._times():
                    moment = int(midnight.timestamp()) + minutes * 60
                    if moment > seconds:
                        return moment
            midnight += timedelta(days=1)
        return None

    def _times(self) -> list[int]:
        return sorted(hour * 60 + minute for hour in self.hours for minute in self.minutes)

    def _on(self, day: datetime) -> bool:
        if day.month not in self.months:
            return False
        in_month = self.days is None or day.day in self.days
        in_week = self.weekdays is None or day.isoweekday() % _SUNDAY in self.weekdays
        return in_month or in_week if self.days is not None and self.weekdays is not None else in_month and in_week


def parse_schedule(text: str) -> Schedule:
    """Read a schedule.

    Raises:
        InvalidInputError: not five fields of numbers, names, lists, ranges and steps within their bounds.
    """
    parts = text.split(" ")
    if len(parts) != len(_FIELDS):
        raise InvalidInputError(f"got {quote(text)}, expected five fields: minute hour day month weekday")
    values = [_field(part, *field) for part, field in zip(parts, _FIELDS, strict=True)]
    minutes, hours, days, months, weekdays = values
    return Schedule(
        minutes,
        hours,
        None if parts[2] == "*" else days,
        months,
        None if parts[4] == "*" else frozenset(day % _SUNDAY for day in weekdays),
    )


def _field(text: str, name: str, low: int, high: int, names: dict[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for item in text.split(","):
        span, slash, step = item.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            start, end = low, high
        else:
            start = _number(first, name, low, high, names)
            end = _number(last, name, low, high, names) if dash else start if not slash else high
        width = _number(step, name, 1, high, {}) if slash else 1
        if end < start:
            raise InvalidInputError(f"got {quote(item)} for the {name}, expected a range that ends behind its start")
        found.update(range(start, end + 1, width))
    return frozenset(found)


def _number(text: str, name: str, low: int, high: int, names: dict[str, int]) -> int:
    if text.upper() in names:
        return names[text.upper()]
    if not (text.isascii() and text.isdigit() and len(text) <= _NUMBER_CHARACTERS and low <= int(text) <= high):
        raise InvalidInputError(f"got {quote(text)} for the {name}, expected {low} to {high}")
    return int(text)
