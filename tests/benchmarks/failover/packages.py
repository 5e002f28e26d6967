"""Versions of Debian packages."""

import subprocess

TIMEOUT = 20.0


def installed(*names: str) -> dict[str, str]:
    """The version of each that is installed. Raises LookupError."""
    found = {}
    for name in names:
        said = subprocess.run(
            ["dpkg-query", "--showformat", "${db:Status-Status} ${Version}", "--show", name],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        status, _, version = said.stdout.partition(" ")
        if status != "installed":
            raise LookupError(f"the package {name} is not installed: run tests/benchmarks/setup")
        found[name] = version
    return found
