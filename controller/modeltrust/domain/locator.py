"""Locators: JSON Pointers into an object, with a sub-locator after "#" such as ``/spec/containers/0/args/2#word 7``."""


def path_of(locator: str) -> str:
    """A locator as people write paths: ``spec.containers[0].args[2]``; the sub-locator is left out."""
    result = ""
    for part in locator.partition("#")[0].split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if key.isdecimal():
            result += f"[{key}]"
        else:
            result += f".{key}" if result else key
    return result
