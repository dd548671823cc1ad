"""Headers of 25 MB, each as slow to judge as its shape allows."""

from collections.abc import Callable

from tests.support.safetensors_cases import pack

LARGE: dict[str, Callable[[], bytes]] = {
    "as written": lambda: pack(
        {f"model.layers.{n}.mlp.up_proj.weight": {"dtype": "U8", "shape": [1], "data_offsets": [n, n + 1]} for n in range(243_000)},
        bytes(243_000),
    ),
    "short names": lambda: pack(
        {f"{n:x}": {"dtype": "U8", "shape": [], "data_offsets": [n, n + 1]} for n in range(380_000)}, bytes(380_000)
    ),
    "one long shape": lambda: pack(
        '{"a":{"dtype":"U8","shape":[' + ",".join(["1"] * 12_400_000) + '],"data_offsets":[0,1]}}', b"x"
    ),
    "lists in a shape": lambda: pack(
        '{"a":{"dtype":"U8","shape":[' + ",".join(["[]"] * 8_300_000) + '],"data_offsets":[0,1]}}', b"x"
    ),
    "unusual form": lambda: pack('{"a":{"shape":[' + ",".join(["{}"] * 1_600_000) + '],"dtype":"U8","data_offsets":[0,1]}}', b"x"),
    "metadata": lambda: pack(
        '{"__metadata__":{'
        + ",".join(f'"{n:x}":"a.b"' for n in range(400_000))
        + '},"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}',
        b"x",
    ),
}
