"""The nouns that every part of modeltrust speaks, in the standard library alone."""
