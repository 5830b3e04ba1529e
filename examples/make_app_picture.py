"""Make the picture of the app for the documentation: its own example video, analyzed in Chromium.

pip install 'mmemo[app]' playwright
python examples/make_app_picture.py --out docs/images/app.png
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

SIZE = {"width": 1280, "height": 1200}


def main(out: Path) -> None:
    """Start the app, analyze the example, and write what the browser shows."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("needs Chromium: apt-get install chromium")
    server = subprocess.Popen([sys.executable, "-m", "mmemo", "app", "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found is not None
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            page = chromium.new_page(viewport=SIZE)
            page.goto(found[0])
            page.click("button:text('A video')")
            page.wait_for_selector("#result .finding", timeout=120_000)
            page.mouse.move(0, 0)
            page.wait_for_timeout(1500)  # the video's first frame
            page.screenshot(path=out)
    finally:
        server.terminate()
        server.wait()
    print(f"{out}  {out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "docs" / "images" / "app.png")
    main(parser.parse_args().out)
