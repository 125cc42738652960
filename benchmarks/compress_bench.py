#!/usr/bin/env python3
"""Speed and memory of `helix compress` on a whole checkpoint of random weights.

    benchmarks/compress_bench.py HELIX CONFIG_JSON [--runs 3] [--work FOLDER] [-- OPTION ...]

HELIX is the program, CONFIG_JSON a Hugging Face config.json that gives the shapes; options after
`--` go to `helix compress`. The checkpoint is made once in the work folder (BF16, by
tools/make_dummy_checkpoint.py) and compressed `runs` times. Beside each run stands the machine's
limit, measured in the same minute: writing and flushing as many bytes as the run wrote, and
SHA-256 over the source and the output on one thread.

Anonymous memory is sampled from /proc every 5 ms; mapped files do not count.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def anonymous_bytes(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


def compress(command: list[str]) -> tuple[float, int, dict]:
    """Seconds, peak anonymous bytes and receipt of one run."""
    start = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        os.set_blocking(process.stdout.fileno(), False)
        output, peak = b"", 0
        while process.poll() is None:
            peak = max(peak, anonymous_bytes(process.pid))
            output += process.stdout.read() or b""
            time.sleep(0.005)
        seconds = time.monotonic() - start
        output += process.stdout.read() or b""
    if process.returncode != 0:
        sys.exit(f"helix compress ended with status {process.returncode}")
    return seconds, peak, json.loads(output)


def write_seconds(folder: Path, count: int) -> float:
    """Time to write and flush `count` bytes in one file."""
    block = os.urandom(1 << 24)
    path = folder / "write-limit"
    start = time.monotonic()
    with path.open("wb", buffering=0) as file:
        for begin in range(0, count, len(block)):
            file.write(block[: count - begin])
        os.fdatasync(file.fileno())
    seconds = time.monotonic() - start
    path.unlink()
    return seconds


def hash_rate() -> float:
    """Bytes per second of SHA-256 on one thread."""
    block = bytes(1 << 26)
    start = time.monotonic()
    for _ in range(4):
        hashlib.sha256(block).digest()
    return 4 * len(block) / (time.monotonic() - start)


def processor() -> str:
    lscpu = subprocess.run(["lscpu"], capture_output=True, text=True, check=True).stdout
    names = [line.split(":", 1)[1].strip() for line in lscpu.splitlines() if "Model name" in line]
    return f"{names[0] if names else 'unknown'}, {os.cpu_count()} cores"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("helix", type=Path)
    parser.add_argument("config", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--work", type=Path, help="where the checkpoint is made and kept")
    words = sys.argv[1:]
    split = words.index("--") if "--" in words else len(words)
    arguments = parser.parse_args(words[:split])
    options = words[split + 1 :]
    work = arguments.work or Path(tempfile.mkdtemp(prefix="helix-bench-"))
    source = work / f"{arguments.config.stem}-bf16"
    if not source.exists():
        maker = ROOT / "tools" / "make_dummy_checkpoint.py"
        subprocess.run([sys.executable, maker, arguments.config, source], check=True)
    print(f"{processor()}; {arguments.config.name}; options: {options or 'defaults'}")
    print("run  seconds  MB/s of input  anonymous MB  write limit s  keys")
    rates = []
    for run in range(arguments.runs):
        output = work / "output"
        command = [arguments.helix, "compress", source, output, "--force", "--json", "--quiet"]
        seconds, peak, receipt = compress([str(word) for word in command + options])
        sizes = receipt["sizes"]
        limit = write_seconds(work, sizes["output_weight_file_bytes"])
        rates.append(sizes["source_weight_file_bytes"] / seconds / 1e6)
        print(
            f"{run + 1:3}  {seconds:7.2f}  {rates[-1]:13.0f}  {peak / 1e6:12.0f}  {limit:13.2f}"
            f"  {receipt['counts']['keys']}",
            flush=True,
        )
    totals, sizes = receipt["totals"], receipt["sizes"]
    print(
        f"median {statistics.median(rates):.0f} MB/s; {sizes['source_weight_file_bytes']:,} ->"
        f" {sizes['output_weight_file_bytes']:,} bytes, {totals['bits_per_weight']:.3f} bits per"
        f" weight, {totals['snr_db']:.2f} dB; SHA-256 {hash_rate() / 1e6:.0f} MB/s on one thread"
    )
    shutil.rmtree(output)
    if not arguments.work:
        shutil.rmtree(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
