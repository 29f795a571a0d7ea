"""A headless Chromium that a test looks through: opens pages, waits, clicks, takes pictures.

It speaks the DevTools protocol over a web socket of aiohttp, which MLflow brings along.
"""

import asyncio
import base64
import json
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
PATIENCE = 60.0


class Page:
    """One page of the browser; ``errors`` are what it wrote to its console as errors."""

    def __init__(self, loop, session, socket):
        self.loop, self.session, self.socket = loop, session, socket
        self.errors = []
        self.requests = []
        self._number = 0

    def open(self, address):
        self.ask("Page.navigate", url="about:blank")
        self.ask("Page.navigate", url=address)

    def value(self, expression):
        """What a JavaScript expression is on the page; promises are awaited."""
        answer = self.ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression, patience=PATIENCE):
        """Wait until an expression is true on the page; returns what it is."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if found := self.value(f"(() => {{ try {{ return {expression} }} catch {{}} }})()"):
                return found
            time.sleep(0.1)
        raise AssertionError(f"never true: {expression}\n{self.value('document.body.innerText')}")

    def says(self, text):
        return self.until(f"document.body.innerText.includes({json.dumps(text)})")

    def picture(self, path):
        answer = self.ask("Page.captureScreenshot", format="png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    def ask(self, method, **params):
        return self.loop.run_until_complete(self._ask(method, params))

    async def _ask(self, method, params):
        self._number += 1
        mine = self._number
        await self.socket.send_json({"id": mine, "method": method, "params": params})
        while True:
            message = await asyncio.wait_for(self.socket.receive_json(), PATIENCE)
            if message.get("id") == mine:
                assert "error" not in message, message
                return message["result"]
            self._hear(message)

    def _hear(self, message):
        what, said = message.get("method"), message.get("params", {})
        if what == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(said["exceptionDetails"]))
        elif what == "Runtime.consoleAPICalled" and said["type"] == "error":
            self.errors.append(" ".join(str(one.get("value", one)) for one in said["args"]))
        elif what == "Log.entryAdded" and said["entry"]["level"] == "error":
            self.errors.append(f"{said['entry']['text']} {said['entry'].get('url', '')}")
        elif what == "Page.javascriptDialogOpening":
            self.errors.append(f"a dialog says {said['message']}")
        elif what == "Network.requestWillBeSent":
            self.requests.append(said["request"]["url"])


@contextmanager
def browsing(width=1700, height=1100):
    """A browser with one page of that size."""
    folder = tempfile.mkdtemp()
    flags = [*FLAGS, f"--user-data-dir={folder}", f"--window-size={width},{height}"]
    browser = subprocess.Popen(
        [CHROMIUM, *flags, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    loop = asyncio.new_event_loop()
    try:
        page = loop.run_until_complete(_page(Path(folder)))
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.ask(f"{domain}.enable")
        yield page
        loop.run_until_complete(page.session.close())
    finally:
        browser.terminate()
        browser.wait(20)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        shutil.rmtree(folder, ignore_errors=True)


async def _page(folder):
    port = folder / "DevToolsActivePort"
    deadline = time.monotonic() + PATIENCE
    while not port.exists() or not port.read_text().strip():
        assert time.monotonic() < deadline, "the browser did not start"
        await asyncio.sleep(0.05)
    number = port.read_text().split()[0]
    session = aiohttp.ClientSession(trust_env=False)
    async with session.get(f"http://127.0.0.1:{number}/json/list") as answer:
        pages = [one for one in await answer.json() if one["type"] == "page"]
    socket = await session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0)
    return Page(asyncio.get_event_loop(), session, socket)
