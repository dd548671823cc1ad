"""Where a path of a container really is."""

import msgspec


class Place(msgspec.Struct, gc=False):
    """A place on a volume.

    Attributes:
        volume: name of the volume.
        path: path inside it, without leading or trailing slash.
    """

    volume: str
    path: str
