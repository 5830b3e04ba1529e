"""The installed app starts, shows its page and answers a program; for sets of versions that have no browser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from urllib.request import Request, urlopen

server = subprocess.Popen([sys.executable, "-m", "mmemo", "app", "--port", "0"], stdout=subprocess.PIPE, text=True)
guard = threading.Timer(180, server.kill)
guard.start()
try:
    assert server.stdout is not None
    line = server.stdout.readline()
    found = re.search(r"(http://\S+)/\?token=(\S+)", line)
    if found is None:
        sys.exit(f"The app did not start: {line!r}")
    address, token = found.groups()
    bearer = {"Authorization": f"Bearer {token}"}
    with urlopen(Request(f"{address}/", headers=bearer)) as page:
        assert b"<html" in page.read()
    form = Request(f"{address}/api/analyze", b"text=What+a+lovely+day.", bearer)
    with urlopen(form) as answer:
        print("The app answers:", json.load(answer)["label"])
finally:
    guard.cancel()
    server.terminate()
    server.wait(60)
