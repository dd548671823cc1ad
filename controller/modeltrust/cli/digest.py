"""`modeltrust digest DIR|REF`: the content digest."""

import click

from modeltrust.cli import options
from modeltrust.cli.models import listed, opened, plain_http_option
from modeltrust.cli.output import json as json_output
from modeltrust.cli.output import text
from modeltrust.verification.content import content_of


@click.command("digest")
@click.argument("name", metavar="DIR|REF")
@plain_http_option
@options.output("json")
def command(name: str, plain_http: bool, output: str) -> None:  # noqa: FBT001 - a flag
    """The content digest of a model: what it is, by all its files.

    \b
    Examples:
      modeltrust digest ./guard-7b
      modeltrust digest oci://registry.acme.example/models/guard@sha256:9f2c…
    """
    with opened(name, plain_http=plain_http) as source:
        listing = listed(source)
    digest = content_of(listing)
    if output == "json":
        size = sum(entry.size for entry in listing.files)
        json_output.write({"contentDigest": str(digest), "files": len(listing.files), "bytes": size})
    else:
        text.say(str(digest))
