"""modeltrust: may this model run here?"""

__version__ = "0.1.0"
