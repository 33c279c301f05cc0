"""The version of the package; setup.py, the wheel and the documentation read it from here."""

__version__ = "0.1.0"
