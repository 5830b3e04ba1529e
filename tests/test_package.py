"""Promises about the package as a whole: import time, no network, runnable documentation."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mmemo
from mmemo.pretrained import MICRO, MODELS, WEIGHTS
from mmemo.samples import make_clip

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_importing_is_quick_and_loads_no_model_library() -> None:
    code = (
        "import sys, time; start = time.process_time(); import mmemo; took = time.process_time() - start;"
        "heavy = {'torch', 'transformers', 'av', 'cv2', 'numpy'} & set(sys.modules);"
        "assert not heavy, heavy; assert took < 0.3, took"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_analyzing_never_imports_transformers(clip: Path) -> None:
    code = (
        "import sys, mmemo; mmemo.analyze(sys.argv[1], text='hello');"
        "assert 'transformers' not in sys.modules and 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(clip)], check=True, timeout=120)


def test_public_names() -> None:
    assert set(mmemo.__all__) <= set(dir(mmemo))
    for name in mmemo.__all__:
        assert getattr(mmemo, name).__doc__
    with pytest.raises(AttributeError, match="nonsense"):
        mmemo.nonsense  # noqa: B018


def test_analyzing_opens_no_network_socket(clip: Path, tmp_path: Path) -> None:
    """The system calls of a whole analysis, speech recognition included, are watched by strace."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("needs strace (apt-get install strace)")
    log = tmp_path / "calls"
    command = [strace, "-f", "-qq", "-e", "trace=network", "-o", str(log), sys.executable, "-m", "mmemo"]
    done = subprocess.run([*command, "analyze", str(clip), "--json"], capture_output=True, text=True, timeout=300)
    if "PTRACE" in done.stderr or "ptrace" in done.stderr:
        pytest.skip("this machine forbids tracing")
    assert done.returncode == 0, done.stderr
    sockets = [
        line for line in log.read_text().splitlines() if re.search(r"AF_INET|AF_INET6|AF_PACKET|connect\(", line)
    ]
    assert sockets == []


def test_analyzing_works_without_any_network(clip: Path) -> None:
    """The same in a network namespace that has not even a loopback device that is up."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "--net", "true"], capture_output=True).returncode:
        pytest.skip("needs the right to make a network namespace")
    done = subprocess.run(
        [unshare, "--net", sys.executable, "-m", "mmemo", "analyze", str(clip), "--json"],
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_the_weights_fit_into_the_wheel() -> None:
    total = sum(file.stat().st_size for file in WEIGHTS.rglob("*") if file.is_file())
    assert total < 90e6
    for model in MODELS.values():
        for weights in model.parts.values():
            assert (ROOT / weights.card).is_file()
    assert (ROOT / MICRO.card).is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_in_the_documentation_runs(page: Path, tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    if not blocks:
        pytest.skip("no code on this page")
    make_clip(tmp_path / "clip.mp4", seconds=2.0)
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_in_the_documentation_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
