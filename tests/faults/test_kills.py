"""The short form of kills.py: a few kills of everything that writes, without Milvus."""

import subprocess
import sys
from pathlib import Path


def test_a_kill_at_any_moment_costs_nothing_and_leaves_nothing():
    program = Path(__file__).with_name("kills.py")
    command = [sys.executable, str(program), "--short", "--points", "1", "--random", "4"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert int(done.stdout.splitlines()[-1].split()[2]) >= 10  # killed, and none of them missed
