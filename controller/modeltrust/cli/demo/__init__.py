"""`modeltrust demo`: the whole thing on this machine, by its real parts, on real input."""

from modeltrust.cli.demo.command import command as command
