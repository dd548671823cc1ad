"""The signed statement: trust file, in-toto codec, DSSE envelope."""
