"""Characters that nobody sees: how a name, a token or a template can look like one thing and be another."""

import re
import unicodedata

# Soft hyphen, joiners, Hangul fillers, Mongolian separators, zero-width and bidirectional controls, byte order mark, interlinear
# annotation, musical controls, the tag block (text hidden in plain sight). Ordinary emoji variation selectors are not among them.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")

# Letters of other scripts that are drawn like Latin ones, after NFKC and lower-casing.
_CONFUSABLE = str.maketrans("аеорсухіјѕԁһԛԝвкмнтгαεορτυνικχ", "aeopcyxijsdhqwbkmhtraeoptuvikx")


def hidden(text: str) -> str | None:
    """The first invisible character as ``U+200B``, or None."""
    found = INVISIBLE.search(text)
    return None if found is None else f"U+{ord(found.group()):04X}"


def folded(text: str) -> str:
    """Text as a reader would take it: compatibility forms, look-alike letters and case folded (facts/formats.md section 6.4)."""
    return unicodedata.normalize("NFKC", text).lower().translate(_CONFUSABLE)
