"""The examples as people run them: processes of their own."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


@asynccontextmanager
async def example(
    name: str, *arguments: str, cwd: Path, **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """An example that runs, with no key but those given."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TAVUS_", "DEEPGRAM_", "OPENAI_", "CARTESIA_"))
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / name),
        *arguments,
        cwd=cwd,
        env={**clean, "PYTHONIOENCODING": "utf-8", **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def run_example(name: str, *arguments: str, cwd: Path) -> str:
    """What an example prints that runs with no account, and goes well."""
    async with example(name, *arguments, cwd=cwd) as process:
        stdout, stderr = [part.decode() for part in await process.communicate()]
    assert process.returncode == 0, stdout + stderr
    return stdout
