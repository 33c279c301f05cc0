"""The extension, compiled and linked for macOS on Linux: ``python -m metalsim.macos`` (docs/macos.md explains it)."""
